"""A study in which steps are proposed for real and trained by a formula, for tests of searches."""

import math

import pytest
from plans import space_file, volume_plan

from voxnas.complexity.analytic import analyze
from voxnas.core.paths import StudyPaths
from voxnas.core.settings import StudySettings, parse_settings
from voxnas.core.spec import stage_spec
from voxnas.core.splits import Splits
from voxnas.core.trial import Proposal, Result
from voxnas.io.records import read_record, write_json, write_text
from voxnas.search.arrival import Arrivals
from voxnas.search.propose import make_proposal

NO_LIMIT = {"parameters": None}
PLAN = volume_plan(patch=(32, 48, 32))


def objective(architecture, recipe):
    """A smooth score with its maximum at width 16, three or more stages and learning rate 3e-3."""
    width = math.log2(architecture.widths[0]) - 4
    rate = math.log10(recipe.learning_rate) + 2.5
    return 0.9 - 0.02 * width**2 - 0.03 * rate**2 - 0.03 * (len(architecture.widths) < 3)


def options(initial=3, surrogate="gp", rungs=1, factor=3):
    """Settings of a search: the options of its strategies, with promotion for more than one rung."""
    found = {"bayesian": {"initial": initial, "surrogate": surrogate}}
    if rungs > 1:
        found["asha"] = {"rungs": rungs, "factor": factor}
    return {"promotion": "asha" if rungs > 1 else "", "options": found}


class Study:
    """A study's folder in which steps are proposed for real and trained by a formula."""

    def __init__(self, root, *searches, **changes):
        self.paths = StudyPaths(root)
        search = options() | {
            "space": "auto",
            "window": 2,
            "start": True,
            "budget": {"amount": 240, "unit": "samples"},
            "limits": {"parameters": 300_000},
        }
        self.spec = {"stage": "search", "version": 1, "task": "segmentation", "seed": 5, "search": search | changes}
        self.space = space_file("unet")
        write_json(self.paths.plan, PLAN)
        training = {"budget": {"amount": 600}}
        settings = parse_settings({"seed": 5, "training": training, "search": {"finalists": 2, "limits": NO_LIMIT}})
        write_json(self.paths.spec("select"), stage_spec(settings, "select"))
        for name in searches:
            self.add_search(name, name)

    def add_search(self, name, method, baseline=None, **changes):
        spec = self.spec | {"name": name, "method": method, "baseline": baseline, "space": self.space}
        spec["search"] = spec["search"] | changes
        write_json(self.paths.spec(f"search-{name}"), spec)

    def file(self, name, step, kind):
        return self.paths.step(name, step) / f"{kind}.json"

    def propose(self, name, step):
        proposal = make_proposal(self.paths, name, step)
        write_json(self.file(name, step, "proposal"), proposal)
        return proposal

    def train(self, name, step, state="DONE", score=None):
        proposal = read_record(self.file(name, step, "proposal"), Proposal)
        if proposal.idle:
            result = Result(state="SKIPPED")
        elif state == "FAILED":
            result = Result(state="FAILED", reason="diverged", key=proposal.key)
        else:
            cost = analyze(proposal.architecture, PLAN.patch)
            score = objective(proposal.architecture, proposal.recipe) if score is None else score
            result = Result(
                state=state,
                key=proposal.key,
                score=score,
                samples=proposal.samples,
                parameters=cost.parameters,
                macs=cost.macs,
                cpu_seconds=proposal.samples / 160,
            )
        write_json(self.file(name, step, "result"), result)
        return result

    def begin(self, name, step):
        """In order of arrival, propose a step as its job does before the training."""
        proposal = Arrivals(self.paths, name).propose(step)
        write_json(self.file(name, step, "proposal"), proposal)
        return proposal

    def end(self, name, step, state="DONE"):
        """In order of arrival, train a step and record its result."""
        self.train(name, step, state)
        result = read_record(self.file(name, step, "result"), Result)
        return Arrivals(self.paths, name).finish(step, result)

    def arrive(self, name, *steps):
        """In order of arrival, run some steps one after the other; return their proposals."""
        return [(self.begin(name, step), self.end(name, step))[0] for step in steps]

    def run(self, name, steps, failed=()):
        """Run a search in strict order, with each result as late as the window allows."""
        window = self.spec["search"]["window"]
        for k in range(steps + window):
            if k >= window:
                self.train(name, k - window, "FAILED" if k - window in failed else "DONE")
            if k < steps:
                self.propose(name, k)

    def records(self, name, steps):
        return [read_record(self.file(name, k, "proposal"), Proposal) for k in range(steps)]

    def proposals(self, name, steps):
        return [self.file(name, k, "proposal").read_bytes() for k in range(steps)]


@pytest.fixture
def study(tmp_path):
    """Function: a study with searches by the named methods, and some settings of the searches changed."""
    return lambda *searches, **changes: Study(tmp_path / "study", *searches, **changes)


@pytest.fixture
def arriving(study):
    """Function: a study in order of arrival, with all files on which the identity of its log depends."""

    def make(*searches, **changes):
        s = study(*searches, order="arrival", **changes)
        write_text(s.paths.scans, "scan\tparticipant\tsha256\na\ta\t00\n")
        write_json(s.paths.splits, Splits(test=(), folds=()))
        write_json(s.paths.spec("train"), stage_spec(StudySettings(seed=5), "train"))
        return s

    return make
