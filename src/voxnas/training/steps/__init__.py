"""The steps of the training loop: the loss and the learning parameters of an optimizer step."""
