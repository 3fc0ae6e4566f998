"""Layout of results/<study>, defined in this module only."""

from pathlib import Path

LEDGERS = "ledger"  # folder of the ledgers in results/


class StudyPaths:
    """Paths of one study.

    Parameters
    ----------
    root : path
        Folder of the study, ``results/<study>``.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.settings = self.root / "study.json"
        self.index = self.root / "index"
        self.scans = self.index / "scans.tsv"
        self.index_excluded = self.index / "excluded.tsv"
        self.excluded = self.root / "excluded.tsv"
        self.dataset = self.index / "dataset.json"
        self.preprocess = self.root / "preprocess"
        self.plan = self.preprocess / "plan.json"
        self.splits = self.root / "splits.json"
        self.calibration = self.root / "calibration.json"
        self.finalists = self.root / "finalists.json"
        self.derived = self.root / "derived.json"
        self.pruned = self.root / "pruned.json"
        self.store = self.root / "store"
        self.leaderboard = self.root / "leaderboard.tsv"
        self.comparisons = self.root / "comparisons.tsv"
        self.cross_validation = self.root / "cross_validation.tsv"
        self.figures = self.root / "figures"

    def spec(self, stage: str) -> Path:
        """Spec of a stage."""
        return self.root / "spec" / f"{stage}.json"

    def shard(self, number: int) -> Path:
        """Preprocessed arrays of one shard (safetensors); the records are in the .json file beside it."""
        return self.preprocess / "shards" / f"{number}.safetensors"

    def runs(self, number: int) -> Path:
        """Folder of one shard of a study of time series: one file per run, the small views, and the records."""
        return self.preprocess / "shards" / str(number)

    def step(self, search: str, step: int) -> Path:
        """Folder of one step of a search, with proposal.json, result.json and run.json."""
        return self.root / "search" / search / "steps" / str(step)

    def arrivals(self, search: str) -> Path:
        """Log of a search in order of arrival; not declared to Snakemake, so that it survives a killed job."""
        return self.root / "search" / search / "arrivals"

    def mask(self, digest: str) -> Path:
        """Mask of the weights of a network, by digest."""
        return self.root / "masks" / f"{digest}.safetensors"

    def device(self, kind: str) -> Path:
        """Measurements of one kind of node, for placement only; no decision of a study depends on them."""
        return self.root / "devices" / f"{kind}.json"

    def ledger(self, digest: str) -> Path:
        """Reads of a test split by all studies, beside the folders of the studies; no study may have its name."""
        return self.root.resolve().parent / LEDGERS / f"{digest}.jsonl"

    def trials(self, search: str) -> Path:
        """Table of all trials of a search."""
        return self.root / "search" / search / "trials.tsv"

    def network(self, key: str) -> Path:
        """Folder of a finalist or baseline, with network.json and profile.json."""
        return self.root / "networks" / key

    def seed(self, key: str, seed: int) -> Path:
        """Folder of one training of a network: result.json, weights.safetensors, curve.tsv, run.json."""
        return self.network(key) / f"seed-{seed}"

    def cases(self, key: str) -> Path:
        """Per-case scores of a network on the locked test split."""
        return self.root / "evaluation" / key / "cases.tsv"

    def fold_cases(self, key: str) -> Path:
        """Per-case scores of a network outside the test split."""
        return self.root / "evaluation" / key / "folds.tsv"
