import torch


def test_it_gives_zeros_of_the_output_shape(make):
    module = make("zero", 4, 6, kernel=3, stride=(1, 2, 2))
    output = module(torch.full((2, 4, 5, 7, 5), torch.nan))
    assert output.shape == (2, 6, 5, 4, 3) and not output.any()
    assert not list(module.parameters())


def test_it_keeps_the_dtype(make):
    assert make("zero", 4)(torch.ones(1, 4, 2, 2, 2, dtype=torch.bfloat16)).dtype is torch.bfloat16
