"""What every registered primitive keeps, in each dimension, on odd sizes and at each stride.

How a primitive is used stands in uses.py. Primitives of other packages, which come by entry points, are tested too.
"""

import inspect
import re

import pytest
import torch
from plans import THICK, staged
from pruned_weights import narrow_weights, zero_removed
from saved_tensors import measured_bytes, predicted_bytes
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from uses import FRAMES, Use, row_of, typical_uses, usable, uses_of

import voxnas.nn.ops  # noqa: F401 - registers the modules
from voxnas.arch.families.unet import UNet
from voxnas.arch.graph import GraphBuilder, infer_shapes
from voxnas.arch.layers import WEIGHTED, ones
from voxnas.arch.primitives.base import PRIMITIVES, Shape, blocks
from voxnas.complexity.analytic import analyze
from voxnas.nn.build import build_network, initialize
from voxnas.nn.network import Network
from voxnas.nn.ops.base import MODULES
from voxnas.nn.pruning import channel_groups, kept_channels, narrowed

torch.set_num_threads(1)

BATCH = 2
ALL = [use for name in usable() for use in uses_of(name)]
TYPICAL = [use for name in usable() for use in typical_uses(name)]
ONE_EACH = [next(use for use in typical_uses(name) if use.dims == max(PRIMITIVES[name].dims)) for name in usable()]
SINGLE = [use for use in ONE_EACH if not use.primitive.temporal and len(use.channels[0]) == 1]


def build(use: Use) -> nn.Module:
    """The module, initialised as in a network, with norms and biases as if it had been trained.

    Before that a norm's shift is 0, and its scale may be undone by the next norm of the same channels.
    """
    torch.manual_seed(0)
    module = MODULES[use.op](use.node, use.channels[0])
    module.apply(initialize)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 1:
                parameter += 0.3 * torch.randn_like(parameter)
    return module


def inputs_of(use: Use, batch: int = BATCH) -> list[torch.Tensor]:
    torch.manual_seed(1)
    lead = (batch, FRAMES) if use.primitive.temporal else (batch,)
    return [torch.randn(*lead, shape.channels, *shape.size) for shape in use.inputs]


def expected(use: Use, batch: int = BATCH) -> tuple[int, ...]:
    """Shape of the output as stated."""
    stated = use.primitive.shape(use.node, use.inputs)
    timed = use.primitive.temporal and not use.primitive.ends_time
    lead = (batch, stated.frames) if timed else (batch,)
    return (*lead, stated.channels) if row_of(use.op).vector else (*lead, stated.channels, *stated.size)


class Elements(TorchDispatchMode):
    """Counts what convolutions and products with weights return."""

    ATEN = torch.ops.aten
    COUNTED = (ATEN.convolution.default, ATEN.addmm.default, ATEN.mm.default, ATEN.mm.out)

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        if func in self.COUNTED:
            self.count += output.numel()
        return output


def test_statements_and_modules_have_the_same_names():
    assert list(PRIMITIVES) == list(MODULES)


def test_of_every_primitive_it_is_known_how_it_is_used():
    assert set(PRIMITIVES) - set(usable()) == set(), "is no block: give it a row in tests/contract/uses.py"


@pytest.mark.parametrize("name", blocks())
def test_a_block_names_its_source(name):
    kind = type(PRIMITIVES[name])
    words = f"{inspect.getmodule(kind).__doc__} {kind.__doc__}"
    assert re.search(r"(19|20)\d\d", words), "no paper with its year in the docstrings"


@pytest.mark.filterwarnings("ignore:TF32")  # torch warns of its own reset of a flag
@pytest.mark.parametrize("use", ALL, ids=str)
def test_shape_and_cost_are_as_stated(use):
    module = build(use).eval()
    # Attention and recurrence in their plain products, which the counter knows.
    plain = sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False)
    with torch.no_grad(), plain[0], plain[1], FlopCounterMode(display=False) as flops, Elements() as elements:
        output = module(*inputs_of(use))
    layers = list(use.primitive.layers(use.node, use.inputs))
    assert tuple(output.shape) == expected(use)
    assert sum(layer.parameters for layer in layers) == sum(p.numel() for p in module.parameters())
    assert sum(layer.macs for layer in layers) * BATCH * 2 == flops.get_total_flops()
    if not any(layer.kind == "recurrent" for layer in layers):  # whose products are made in steps
        weighted = sum(layer.elements for layer in layers if layer.kind in WEIGHTED)
        assert weighted * BATCH == elements.count


@pytest.mark.parametrize("use", TYPICAL, ids=str)
def test_gradients_reach_the_inputs_and_every_parameter(use):
    module, inputs = build(use).train(), [x.requires_grad_() for x in inputs_of(use)]
    output, row = module(*inputs), row_of(use.op)
    if use.primitive.constant:
        assert not output.requires_grad
        return
    torch.manual_seed(2)
    (output * torch.randn_like(output)).sum().backward()
    learnt = {name: p.grad for name, p in module.named_parameters() if not name.endswith(row.undone)}
    assert [name for name, grad in learnt.items() if grad is None] == []
    strength = {name: float(grad.abs().max()) for name, grad in learnt.items()}
    # A bias that a norm undoes has a gradient of rounding errors only.
    assert [name for name, most in strength.items() if most <= 1e-5 * max(strength.values())] == []
    assert [name for name, grad in learnt.items() if (grad == 0).any()] == [], "parts are not used"
    seen = [x for number, x in enumerate(inputs) if number not in row.unread]
    assert all(x.grad is not None and x.grad.any() for x in seen)


@pytest.mark.parametrize("use", TYPICAL, ids=str)
def test_a_sample_does_not_depend_on_its_batch_and_is_not_changed(use):
    """Not changed, for other nodes of the graph may read it too."""
    module, inputs = build(use).train(), inputs_of(use, batch=3)
    kept = [x.clone() for x in inputs]
    with torch.no_grad():
        together, alone = module(*inputs), module(*(x[1:2] for x in kept))
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(x, y) for x, y in zip(inputs, kept, strict=True))


@pytest.mark.parametrize("use", TYPICAL, ids=str)
def test_it_trains_under_bf16_autocast(use):
    module, inputs = build(use).train(), [x.requires_grad_() for x in inputs_of(use)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = module(*inputs)
    assert tuple(output.shape) == expected(use) and output.isfinite().all()
    if output.requires_grad:
        output.float().square().sum().backward()
    assert all(p.grad.isfinite().all() for p in module.parameters())
    with torch.no_grad():
        exact = module(*inputs)
    assert (output.float() - exact).abs().max() <= 0.1 * exact.abs().max()


@pytest.mark.parametrize("use", [use for use in ONE_EACH if use.primitive.temporal], ids=str)
def test_it_uses_the_order_of_the_frames_if_it_says_so(use):
    module, (clip,) = build(use).eval(), inputs_of(use)
    with torch.no_grad():
        backwards = module(clip.flip(1))
        backwards = backwards if use.primitive.ends_time else backwards.flip(1)
        same = torch.allclose(module(clip), backwards, rtol=1e-4, atol=1e-5)
    assert same is not use.primitive.uses_order(use.node)


@pytest.mark.filterwarnings("ignore:TF32")
@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("name", [name for name in usable() if PRIMITIVES[name].arity == 1])
def test_memory_kept_for_backward_is_near_the_prediction(name, bf16):
    """In sum over the ways to use it, up to a kilobyte."""
    measured = predicted = 0.0
    for use in (use for use in TYPICAL if use.op == name and use.dims == max(PRIMITIVES[name].dims)):
        (channels,), asked = use.channels
        builder = GraphBuilder(channels, use.dims, clip=use.primitive.temporal)
        at = builder.add(use.op, builder.input, asked, use.kernel, use.stride, options=use.options)
        graph, (x,) = builder.finish(at), inputs_of(use)
        measured += measured_bytes(Network(graph).train(), x.requires_grad_(), bf16)
        predicted += predicted_bytes(graph, (FRAMES, *use.size) if graph.clip else use.size, BATCH, bf16)
    assert abs(predicted - measured) <= row_of(name).memory_error * max(predicted, measured) + 1024


@pytest.mark.parametrize("use", [use for use in ONE_EACH if use.primitive.block], ids=str)
def test_a_block_takes_the_norm_and_the_activation_of_its_node(use):
    other = Use(use.op, use.size, use.channels, use.kernel, use.stride, use.options, norm="group", activation="silu")
    kinds = {type(module) for module in build(other).modules()}
    assert not kinds & {nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.LeakyReLU}
    with torch.no_grad():
        assert tuple(build(other)(*inputs_of(other)).shape) == expected(other)


@pytest.mark.parametrize("use", ONE_EACH, ids=str)
def test_it_can_be_exported(use):
    module, inputs = build(use).eval(), inputs_of(use)
    with torch.no_grad():
        exported = torch.export.export(module, tuple(inputs)).module()
        torch.testing.assert_close(exported(*inputs), module(*inputs))


@pytest.mark.parametrize("use", [use for use in SINGLE if not row_of(use.op).vector], ids=str)
def test_on_a_clip_it_sees_each_frame_alone(use):
    (channels,), asked = use.channels
    builder = GraphBuilder(channels, use.dims, clip=True)
    graph = builder.finish(builder.add(use.op, builder.input, asked, use.kernel, use.stride, options=use.options))
    network = Network(graph).eval()
    (shaped,) = infer_shapes(graph, (FRAMES, *use.size) if graph.clip else use.size)
    clip = torch.randn(BATCH, FRAMES, channels, *use.size)
    with torch.no_grad():
        output = network(clip)
        torch.testing.assert_close(output[:, 2], network.get_submodule(use.op).module(clip[:, 2]), rtol=1e-4, atol=1e-5)
    assert shaped.output == Shape(shaped.node.channels, tuple(output.shape[3:]), FRAMES)
    single = sum(layer.macs for layer in use.primitive.layers(shaped.node, use.inputs))
    assert sum(layer.macs for layer in shaped.layers) == FRAMES * single


@pytest.mark.parametrize("name", [name for name in blocks() if 3 in PRIMITIVES[name].dims])
def test_a_network_can_be_made_of_a_block(name):
    architecture = UNet(
        **staged([8, 12], blocks=[2, 1], strides=THICK[:2], kernels=[[1, 3, 3], [3, 3, 3]]),
        **{"decoder_blocks": [1], "block": name, "excite": True},
    )
    torch.manual_seed(0)
    network = build_network(architecture).train()
    output = network(torch.randn(1, 1, 5, 8, 12))
    assert output.shape == (1, 2, 5, 8, 12) and output.isfinite().all()
    assert analyze(architecture, (5, 8, 12)).parameters == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", usable())
def test_an_unknown_option_is_refused(name):
    use = next(uses_of(name))
    with pytest.raises(ValueError, match="no option"):
        _ = Use(name, use.size, use.channels, ones(use.dims), use.stride, {"colour": "red"}).node


@pytest.mark.parametrize("use", SINGLE, ids=str)
def test_a_network_without_some_channels_computes_what_it_does_with_zeros_in_their_place(use: Use) -> None:
    builder, node = GraphBuilder(2, use.dims), use.node
    before = builder.add("conv", builder.input, use.channels[0][0], options={"norm": False})
    facts = (node.kernel, node.stride, node.norm, node.activation, dict(node.options))
    last = builder.add(use.op, before, node.channels, *facts, name="tested")
    wide = builder.finish(last if row_of(use.op).vector else builder.add("pointwise_head", last, 2))
    groups = channel_groups(wide)
    assert bool(groups.groups) != (use.op in groups.fixed)
    removed = {c for found in groups.groups.values() for c in found[::2]}
    torch.manual_seed(0)
    network, small = Network(wide).eval(), Network(narrowed(wide, groups, removed)).eval()
    channels = kept_channels(wide, groups, removed)
    zero_removed(network, channels)
    small.load_state_dict(narrow_weights(network, channels))
    x = torch.randn(2, 2, *use.inputs[0].size)
    with torch.no_grad():
        torch.testing.assert_close(small(x), network(x), rtol=1e-4, atol=1e-5)
