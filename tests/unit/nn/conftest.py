"""The tests of networks use one thread."""

import torch

torch.set_num_threads(1)
