"""Networks in stages of blocks: the parts that U-Nets, CNNs and networks on clips share."""
