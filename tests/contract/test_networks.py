"""Every hand-made network of the registry: what is stated of it holds for the network that is built."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from voxnas.arch.families import expand
from voxnas.arch.families.reference import Reference
from voxnas.arch.reference import NETWORKS
from voxnas.complexity.analytic import analyze
from voxnas.core.architecture import parse_architecture
from voxnas.nn.build import build_network

torch.set_num_threads(1)

CASES = [(name, dims) for name in NETWORKS for dims in NETWORKS[name].dims]
ODD = {1: (53,), 2: (35, 50), 3: (35, 51, 34)}
SMALL = {"attention-unet": 4, "nnunet-plain": 4, "nnunet-resenc": 4, "unet3d": 4, "segresnet": 4}  # widths, for speed


def named(name: str, dims: int = 3, **options) -> Reference:
    return Reference(name=name, in_channels=2, out_channels=3, dims=dims, options=options)


def expected(name: str, size: tuple[int, ...]) -> tuple[int, ...]:
    return (1, 3, *size) if "segmentation" in NETWORKS[name].tasks else (1, 3)


@pytest.mark.parametrize(("name", "dims"), CASES, ids=lambda value: str(value))
def test_shape_parameters_and_macs_are_as_stated(name, dims):
    architecture, size = named(name, dims), ODD[dims]
    with torch.device("meta"):
        network = build_network(architecture).eval()
        with FlopCounterMode(display=False) as flops:
            output = network(torch.zeros(1, 2, *size))
    cost = analyze(architecture, size)
    assert tuple(output.shape) == expected(name, size)
    assert cost.parameters == sum(p.numel() for p in network.parameters())
    assert cost.macs * 2 == flops.get_total_flops()


@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_parameter_is_used_in_training(name):
    with torch.device("meta"):
        network = build_network(named(name)).train()
        outputs = network(torch.zeros(2, 2, *ODD[3]))
        sum(y.sum() for y in (outputs if isinstance(outputs, list) else [outputs])).backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_training_step_reaches_every_layer(name):
    architecture = named(name, **({"width": SMALL[name]} if name in SMALL else {}))
    torch.manual_seed(0)
    network = build_network(architecture).train()
    outputs = network(torch.randn(2, 2, 33, 17, 16))  # two voxels at the bottom, for norms need more than one
    outputs = outputs if isinstance(outputs, list) else [outputs]
    sum((y * torch.randn_like(y)).sum() for y in outputs).backward()
    # A bias before a norm has no effect; published networks have them.
    idle = {
        f"{node.id}.0.bias"
        for node in expand(architecture).nodes
        if node.op == "conv" and node.option("bias") and node.option("norm")
    }
    strength = {n: float(p.grad.abs().max()) for n, p in network.named_parameters() if n not in idle}
    assert all(torch.isfinite(y).all() for y in outputs)
    assert [n for n, most in strength.items() if not most > 0] == []


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_record_survives_json_and_every_size_is_taken(name):
    architecture = named(name)
    assert parse_architecture(architecture.plain()) == architecture
    assert hash(parse_architecture(architecture.plain())) == hash(architecture)
    assert expand(architecture).divisor == (1, 1, 1)
    for size in ((1, 1, 1), (9, 11, 9), (40, 56, 7)):
        assert analyze(architecture, size).macs > 0


@pytest.mark.parametrize("name", list(NETWORKS))
def test_parameters_are_in_the_order_of_the_nodes(name):
    """On which the initial weights under a seed depend: no scope of the builder is entered twice."""
    with torch.device("meta"):
        network = build_network(named(name))
    by_node = [p for node in network.graph.nodes[1:] for p in network.get_submodule(node.id).parameters()]
    assert all(a is b for a, b in zip(network.parameters(), by_node, strict=True))
