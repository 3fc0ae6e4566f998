"""Networks on matrices of connections: what they read, what they cost, and how a space describes them."""

import pytest
import torch
from plans import changed, input_view, limit, run_plan, space_file
from pydantic import ValidationError

from voxnas.arch.baselines import BASELINES
from voxnas.arch.families.matrix import Matrix
from voxnas.arch.search_space import SearchSpace
from voxnas.core.errors import UserError
from voxnas.nn.build import build_network

PLAN = run_plan({"connectivity": input_view((1, 12, 12))}, unit="participant")
REGIONS = 12


def matrix(**changes):
    return Matrix(**{"in_channels": 1, "out_channels": 2, "regions": REGIONS, "reads": "pairs", **changes})


@pytest.mark.parametrize("without_effect", [{"dropout": 0.5}, {"activation": "silu"}], ids=str)
def test_choices_without_effect_are_neutral(without_effect):
    assert matrix(**without_effect) == matrix()


@pytest.mark.parametrize(
    "wrong",
    [{"edges": [4]}, {"nodes": 4}, {"reads": "rows"}, {"reads": "crosses", "nodes": 4}, {"regions": 1}],
    ids=str,
)
def test_a_reader_has_its_layers_and_no_others(wrong):
    with pytest.raises(ValidationError):
        matrix(**wrong)


def test_without_hidden_layers_the_pairs_make_a_linear_model():
    torch.manual_seed(0)
    network = build_network(matrix()).eval()
    assert sum(p.numel() for p in network.parameters()) == 2 * (66 + 1)
    with torch.no_grad():
        a, b = torch.randn(2, 3, 1, 1, REGIONS, REGIONS)
        torch.testing.assert_close(network(a + b) + network(0 * a), network(a) + network(b))
        lower = torch.zeros(1, 1, 1, REGIONS, REGIONS).index_put_(
            (*(torch.zeros(66, dtype=torch.long),) * 3, *torch.tril_indices(REGIONS, REGIONS, -1)), torch.ones(66)
        )
        torch.testing.assert_close(network(lower), network(0 * lower))  # a connection is read once


def test_pairs_are_taken_from_the_mean_of_the_training_scans():
    network = build_network(matrix(hidden=[4])).eval()
    scans = [torch.randn(1, 1, REGIONS, REGIONS) for _ in range(4)]
    mean = torch.stack(scans).mean(0, keepdim=True)
    network.fit_inputs(lambda: iter(scans))
    torch.testing.assert_close(network.pairs(mean), torch.zeros(1, 66, 1, 1, 1), atol=1e-6, rtol=0)
    again = build_network(matrix(hidden=[4])).eval()
    again.load_state_dict(network.state_dict())
    torch.testing.assert_close(again(mean), network(mean))


def test_a_network_that_fits_nothing_reads_no_scan():
    network = build_network(matrix(reads="rows", nodes=2))
    network.fit_inputs(lambda: pytest.fail("read"))


def test_a_search_begins_near_brainnetcnn():
    space = SearchSpace.from_dict(space_file("matrix"))
    architecture, recipe = space.decode(space.start(PLAN, limit(10**9)), PLAN)
    assert (architecture.reads, architecture.edges, architecture.nodes) == ("crosses", (32, 64), 1)
    assert architecture.view == "connectivity" and recipe.loss == "ce"
    assert BASELINES["connectivity-cnn"](PLAN, limit(10**9))[0].name == "brainnetcnn"


def test_the_space_is_for_connectivity_alone():
    space = SearchSpace.from_dict(space_file("matrix"), "matrix.yaml")
    with pytest.raises(UserError, match="family matrix reads connectivity, and the study searches networks on clips"):
        space.check_fits(changed(PLAN, view="clips"))
    space.check_fits(PLAN)
