"""The steps of the training loop, one module each: the loss and the learning parameters of an optimizer step."""
