"""Hand-made networks have their published sizes; differences are spelled out in the source of each count."""

import importlib

import pytest
import torch
from pydantic import ValidationError

from voxnas.arch.families import expand
from voxnas.arch.families.reference import Reference
from voxnas.arch.reference import NETWORKS
from voxnas.complexity.analytic import analyze
from voxnas.core.architecture import Recipe, network_key

COUNTS = [(name, count) for name in NETWORKS for count in NETWORKS[name].counts]
LEVELS = ((512, 256), (256, 128), (128, 64), (64, 32))  # channels of the Attention U-Net below and beside each skip


def parameters(name, **changes):
    record = {"name": name, "in_channels": 1, "out_channels": 2, "dims": 3, **changes}
    return analyze(Reference(**record), (32,) * record["dims"]).parameters


@pytest.mark.parametrize(("name", "count"), COUNTS, ids=lambda value: value if isinstance(value, str) else value.source)
def test_the_count_is_the_published_one(name, count):
    record = {"in_channels": count.in_channels, "out_channels": count.out_channels, "dims": count.dims}
    assert parameters(name, **record, options=count.options) == count.parameters


def test_every_network_has_a_published_count():
    assert [name for name in NETWORKS if not NETWORKS[name].counts] == []


def idle_biases():
    """Biases of MONAI's gates, which the norms behind them undo, and which the graph does not have."""
    return sum(2 * (beside // 2) + 1 for _, beside in LEVELS)


# Name, options, MONAI's network and its arguments, and how many parameters more MONAI has.
MONAI = [
    ("resnet10", {}, "resnet10", {"bias_downsample": False}, 0),
    # With its default, MONAI's projections have biases that their norms undo.
    ("resnet10", {}, "resnet10", {}, 128 + 256 + 512),
    ("resnet18", {}, "resnet18", {"bias_downsample": False}, 0),
    ("resnet34", {}, "resnet34", {"bias_downsample": False}, 0),
    ("resnet50", {}, "resnet50", {"bias_downsample": False}, 0),
    ("densenet121", {}, "DenseNet121", {}, 0),
    ("segresnet", {}, "SegResNet", {}, 0),
    ("segresnet", {"width": 32}, "SegResNet", {"init_filters": 32}, 0),
    ("vnet", {}, "VNet", {"act": "prelu"}, 0),
    ("vnet", {"activation": "elu"}, "VNet", {}, 0),
    (
        "attention-unet",
        {},
        "AttentionUnet",
        {"channels": (32, 64, 128, 256, 512), "strides": (2, 2, 2, 2)},
        # Up-convolutions of 27 taps in place of 8, one slope of a PReLU at each level, idle biases.
        sum((27 - 8) * below * beside for below, beside in LEVELS) + len(LEVELS) + idle_biases(),
    ),
]


@pytest.mark.parametrize(("name", "options", "theirs", "arguments", "more"), MONAI, ids=lambda value: str(value)[:20])
def test_the_size_is_monais(name, options, theirs, arguments, more):
    nets = importlib.import_module("monai.networks.nets")
    channels = (
        {"n_input_channels": 1, "num_classes": 2} if theirs.startswith("res") else {"in_channels": 1, "out_channels": 2}
    )
    with torch.device("meta"):
        network = getattr(nets, theirs)(spatial_dims=3, **channels, **arguments)
    assert sum(p.numel() for p in network.parameters()) == parameters(name, options=options) + more


def test_a_width_multiplier_follows_the_square():
    for name in ("mobilenet_v1", "mobilenet_v2", "shufflenet_v1"):
        whole, half = (expand(named(name, width)).nodes[-3].channels for width in (1.0, 0.5))
        assert half == (whole if name == "mobilenet_v2" else whole // 2)  # v2 keeps its last 1280
        assert parameters(name, options={"width": 0.5}) < 0.65 * parameters(name)


def named(name, width):
    return Reference(name=name, in_channels=1, out_channels=2, options={"width": width})


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("width", [0.25, 0.5, 1.0, 1.5, 2.0])
def test_shufflenet_v1_has_the_papers_groups_at_any_width(groups, width):
    options = {"groups": groups, "width": width}
    graph = expand(Reference(name="shufflenet_v1", in_channels=3, out_channels=10, options=options))
    found = {node.option("groups") for node in graph.nodes if node.op == "conv" and node.kernel == (1, 1, 1)}
    assert found == {1, groups}


def test_the_fixed_classifier_of_vgg_holds_most_of_it():
    pooled = parameters("vgg16", in_channels=3, out_channels=1000, dims=2)
    assert pooled == 14_714_688 + 513_000  # its convolutions, and one linear layer
    published = {"classifier": "published"}
    assert parameters("vgg16", in_channels=3, out_channels=1000, dims=3, options=published) > 700e6


def key(**options):
    record = Reference(name="mobilenet_v2", in_channels=1, out_channels=2, options=options)
    return network_key(record, Recipe())


def test_options_that_have_their_default_do_not_change_the_key():
    assert key() == key(width=1.0) == key(width=1)
    assert key() != key(width=0.5)
    stages = {"strides": [[1, 1, 1], [1, 2, 2]], "kernels": [[3, 3, 3]] * 2}
    record = Reference(name="nnunet-plain", in_channels=1, out_channels=2, options={**stages, "width": 32})
    assert record.plain()["options"] == stages


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "resnet19"}, "'resnet19' is none of"),
        ({"options": {"depth": 3}}, "option 'depth' is none of"),
        ({"options": {"width": "wide"}}, "option width is 'wide'"),
        ({"name": "shufflenet_v2", "options": {"width": 0.7}}, "width 0.7 is none of"),
        ({"name": "vgg16", "options": {"classifier": "big"}}, "neither pooled nor published"),
        ({"dims": 4}, "dims"),
    ],
    ids=str,
)
def test_what_the_registry_does_not_know_is_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        Reference(**{"name": "mobilenet_v2", "in_channels": 1, "out_channels": 2, **changes})
