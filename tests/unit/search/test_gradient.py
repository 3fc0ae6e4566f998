"""Gradient searches from a space to a proposal, in this process."""

import pytest
import torch
from plans import space_file
from tiny_training import new_study, train_stored, write_folds  # noqa: F401 - a fixture

from voxnas.arch.families.supernet import discrete_graph
from voxnas.arch.search_space import SearchSpace
from voxnas.core.errors import UserError
from voxnas.core.settings import parse_settings
from voxnas.core.spec import stage_spec
from voxnas.core.trial import Proposal, Result
from voxnas.io.records import read_json, read_plan, read_record, write_json
from voxnas.io.tables import read_table
from voxnas.nn.build import build_network
from voxnas.search.base import Trained
from voxnas.search.gradient import active_share, make_supernet, with_cells
from voxnas.search.job import run_job
from voxnas.training.discretize import discretize
from voxnas.training.jobs import proposal_job
from voxnas.training.store import Entry

OPERATIONS = ["plain", "separable", "skip", "zero"]
SPACE = space_file("cells-unet")
SPACE["cell"] = {"nodes": 2, "operations": OPERATIONS}
SPACE["parameters"] |= {"stages": 2, "base_width": 2}


def prepare(paths, folds=3, method="scnas", space=SPACE, **options):
    """Write the splits and the spec of a search."""
    write_folds(paths, *((2, 4) if folds == 3 else (2,)))
    raw = {"methods": [method], "options": {method: options}, "budget": {"amount": 4}, "limits": {}}
    spec = stage_spec(parse_settings({"search": raw}), "search", name=method, method=method, baseline=None, space=space)
    write_json(paths.spec(f"search-{method}"), spec)


class InProcess:
    """Trains in this process and keeps the jobs."""

    def __init__(self, paths):
        self.paths, self.jobs = paths, []

    def train(self, job):
        self.jobs.append(job)
        entry, outcome = train_stored(self.paths, job)
        return Trained(entry.name, outcome.score, outcome.metrics, entry.curve.read_text(), 1.5)

    def discretize(self, job, digest):
        return discretize(self.paths, job, Entry(self.paths.store / digest))


class Diverging(InProcess):
    """The trainings of one kind diverge."""

    def __init__(self, paths, kind):
        super().__init__(paths)
        self.kind = kind

    def train(self, job):
        return Trained("", None, {}, "", 0.5, "diverged") if job.kind == self.kind else super().train(job)


def run(paths, method="scnas", trainer=None):
    """Run the search; the trainings that it asked for."""
    trainer = trainer or InProcess(paths)
    assert run_job(paths, method, trainer) == 1
    return trainer.jobs


@pytest.mark.parametrize(
    ("method", "options"), [("scnas", {}), ("gdas", {}), ("darts", {"order": 2}), ("pc_darts", {})], ids=str
)
def test_it_leaves_a_network_of_the_space(new_study, method, options):  # noqa: F811
    paths = new_study("segmentation", scans=8)
    fine_tune = 0.5 if method == "scnas" else 0
    prepare(paths, method=method, trials=2, warm_up=0.0, fine_tune=fine_tune, **options)
    supernet, trial, *further = run(paths, method)
    folder = paths.step(method, 0)
    proposal, result = read_record(folder / "proposal.json", Proposal), read_record(folder / "result.json", Result)
    work = {"scnas": 2 * 8 / 15, "gdas": 2 * 4 / 15, "darts": 6, "pc_darts": 2}[method]
    assert supernet.samples == pytest.approx(8 / work, abs=0.5)
    assert supernet.alpha_folds == (1,) and supernet.fold == trial.fold == 0
    assert SearchSpace.from_dict(SPACE).decode(proposal.config, read_plan(paths.plan))[0] == proposal.architecture
    assert trial == proposal_job(paths, proposal.model_copy(update={"samples": 4}))
    assert trial.architecture == proposal.architecture and result.samples == supernet.samples + 4 + 4 * fine_tune
    assert {"relaxed", "inherited", "dice_1"} <= set(result.metrics)
    assert [job.kind for job in further] == ["fine_tune"] * len(further) and bool(further) == bool(fine_tune)
    assert ("fine_tuned" in result.metrics) == bool(fine_tune)
    table = read_table(folder / "alphas.tsv", {})
    rows = table[[f"up.1/2/{op}" for op in OPERATIONS]].astype(float)
    assert rows.sum(axis=1).to_numpy() == pytest.approx(1)
    assert read_json(folder / "run.json") == {"cpu_seconds": 3.0 + 1.5 * len(further)}


def test_a_diverged_network_is_a_failed_result_and_a_diverged_supernet_an_error(new_study):  # noqa: F811
    paths = new_study("segmentation", scans=8)
    prepare(paths, trials=2)
    run(paths, trainer=Diverging(paths, "fit"))
    result = read_record(paths.step("scnas", 0) / "result.json", Result)
    assert (result.state, result.reason, result.score) == ("FAILED", "diverged", None)
    assert {"relaxed", "inherited"} == set(result.metrics)
    with pytest.raises(UserError, match=r"the supernet failed \(diverged\)"):
        run(paths, trainer=Diverging(paths, "supernet"))


def test_it_needs_a_fold_for_each_purpose_and_a_space_of_cells(new_study):  # noqa: F811
    paths = new_study("segmentation", scans=8)
    prepare(paths, folds=2)
    with pytest.raises(UserError, match=r"splits.folds = 2: a gradient search needs"):
        run(paths)
    prepare(paths, method="pc_darts", partial_channels=3)
    with pytest.raises(UserError, match=r"partial = 3 does not divide the widths \[2, 4\]"):
        run(paths, "pc_darts")
    prepare(paths, space=space_file("unet"))
    with pytest.raises(UserError, match="needs a space of the family cells-cnn or cells-unet, not unet"):
        run(paths)


def test_kept_operations_become_a_configuration():
    space = SearchSpace.from_dict(SPACE)
    start = space.sample(0)
    kept = {
        f"{kind}.{node}": ((0, "plain"), (node + 1, "skip"))
        for kind in ("normal", "reduction", "up")
        for node in (0, 1)
    }
    found = with_cells(space, start, kept)
    assert found["normal.1.a.op"] == "plain" and found["normal.1.a.from"] == "before"
    assert found["up.1.b.op"] == "skip" and found["up.1.b.from"] == "node0"


def test_the_share_of_a_sample_counts_working_operations(new_study):  # noqa: F811
    paths = new_study("segmentation", scans=8)
    space = SearchSpace.from_dict(SPACE)
    supernet = make_supernet(space, space.decode(space.sample(0), read_plan(paths.plan))[0])
    assert supernet.operations == tuple(OPERATIONS) and supernet.nodes == 2
    assert active_share(supernet, 2, 2) == pytest.approx(8 / 15) and active_share(supernet, 9, 9) == 1


def test_a_discrete_graph_computes_what_the_kept_operations_of_the_supernet_compute(new_study):  # noqa: F811
    paths = new_study("segmentation", scans=8)
    space = SearchSpace.from_dict(SPACE)
    supernet = make_supernet(space, space.decode(space.sample(0), read_plan(paths.plan))[0])
    torch.manual_seed(0)
    whole = build_network(supernet).eval()
    kept = {}
    for label, mix in whole.owned().items():
        mix.kept = mix.best()
        kept[label] = [(edge, mix.names[op]) for edge, op in mix.kept]
    whole.choose()
    network = build_network(discrete_graph(supernet, kept)).eval()
    weights = whole.state_dict()
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    x = torch.randn(1, 1, 8, 8, 8)
    torch.testing.assert_close(network(x), whole(x))
    assert len(network.graph.nodes) < len(whole.graph.nodes) / 2
