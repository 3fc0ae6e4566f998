"""The methods of a study as a paragraph for a paper, with its citations, written from the specs and records."""

from dataclasses import dataclass
from importlib.resources import files

from voxnas import __version__
from voxnas.benchmark import results
from voxnas.core.measures import Measure, validation_measure
from voxnas.core.paths import StudyPaths
from voxnas.core.plan import Plan
from voxnas.core.settings import Budget
from voxnas.core.spec import SearchSpec, SplitsSpec, TrainSpec
from voxnas.core.splits import Splits
from voxnas.core.strategies import method_of
from voxnas.io.records import read_json, read_plan, read_record
from voxnas.report.sentence import is_hand_made, join

METHODS = {"voxnas": "skopt", "bayesian": "skopt", "random": "random", "asha": "asha", "freeze_thaw": "freeze_thaw"}
LAYOUTS = {"bids": "bids", "msd": "msd"}


@dataclass(frozen=True)
class Methods:
    """The paragraph, with keys of citations in brackets, and the BibTeX entries that it cites."""

    text: str
    bibtex: str


def methods(paths: StudyPaths, measure: Measure) -> Methods:
    """Describe how a study was done.

    Parameters
    ----------
    paths : StudyPaths
        A finished study.
    measure : Measure
        Ranking measure.
    """
    sentences = [_data(paths), _preprocessing(read_plan(paths.plan)), *_search(paths), _training(paths)]
    sentences += [_test(paths, measure), _software(paths)]
    text = " ".join(filter(None, sentences))
    entries = files(__package__).joinpath("references.bib").read_text(encoding="utf-8").strip().split("\n\n")
    cited = [entry for entry in entries if f"[@{entry[entry.index('{') + 1 : entry.index(',')]}]" in text]
    return Methods(text, "\n\n".join(cited))


def _data(paths: StudyPaths) -> str:
    dataset, splits = read_json(paths.dataset), read_record(paths.splits, Splits)
    spec = read_record(paths.spec("splits"), SplitsSpec)
    key = LAYOUTS.get(dataset["layout"])
    layout = f" (layout {dataset['layout'].upper()}{f' [@{key}]' if key else ''})"
    return (
        f"The study used {dataset['scans']} scans of the data set {dataset['name']}{layout}; excluded: "
        f"{dataset['excluded']}. The scans were divided by {splits.unit} into a locked test split of "
        f"{len(splits.test)} and {len(splits.folds)} folds of the others (root seed {spec.seed})."
    )


def _preprocessing(plan: Plan) -> str:
    spacing = " x ".join(map(str, plan.spacing))
    if plan.timed:
        confounds = ", ".join(plan.bold.confounds) or "none"
        return (
            f"Runs were resampled to {spacing} mm, cleaned (confounds: {confounds}; filter from "
            f"{plan.bold.high_pass or 0:g} to {plan.bold.low_pass or 'the highest'} Hz) and standardised "
            f"({plan.bold.standardize}); networks received clips of {plan.clip.frames} volumes."
        )
    crop = ", cropped to the non-zero voxels" if plan.crop else ""
    patch = " x ".join(map(str, plan.patch))
    return (
        f"Images were reoriented, resampled to {spacing} mm{crop} and normalised ({plan.normalize}); the patch had "
        f"{patch} voxels."
    )


def _budget(budget: Budget) -> str:
    return f"{budget.amount:g} {'CPU seconds' if budget.unit == 'cpu_seconds' else 'samples'}"


def _citation(strategy: str) -> str:
    """Return the citation of a strategy, if any, with the space before it."""
    return f" [@{METHODS[strategy]}]" if strategy in METHODS else ""


def _search(paths: StudyPaths) -> list[str]:
    """Sentences about the searches, and about the recipes of the hand-made networks."""
    steps = read_json(paths.finalists)["searches"]
    searched = [name for name in results.searches(paths) if not is_hand_made(name)]
    hand_made = [name.removeprefix("baseline-") for name in results.searches(paths) if is_hand_made(name)]
    sentences = []
    if searched:
        spec = read_record(paths.spec(f"search-{searched[0]}"), SearchSpec)
        cited = list(dict.fromkeys(method_of(name) for name in searched))
        names = [f"{name} search{_citation(name)}" for name in cited]
        limit = spec.search.limits.parameters
        limited = f" and at most {limit:,} parameters" if limit else ""
        promoted = spec.search.promotion
        promotion = f", with promotion by {promoted}{_citation(promoted)}" if promoted else ""
        sentences.append(
            f"Architectures and training recipes of the family {spec.space['family']} "
            f"({len(spec.space.get('parameters', {}))} parameters) were searched by {join(names)}: "
            f"{steps[searched[0]]} steps each, {_budget(spec.search.budget)} per trial{limited}{promotion}. "
            f"Trials were scored by the {validation_measure(spec.task).title} on one fold."
        )
    if hand_made:
        sentences.append(
            f"The recipes of the hand-made networks {join(hand_made)} were searched in "
            f"{steps[f'baseline-{hand_made[0]}']} steps each under the same budget."
        )
    if any("nnunet" in network.name for network in results.networks(paths)):
        sentences.append("The networks named nnunet follow the plan of nnU-Net [@nnunet].")
    return sentences


def _training(paths: StudyPaths) -> str:
    training = read_record(paths.spec("train"), TrainSpec).training
    samples = [network.samples for network in results.networks(paths) if network.samples]
    span = " to ".join(f"{number:,}" for number in sorted({min(samples), max(samples)})) if samples else "all"
    return (
        f"The selected networks and the hand-made networks were trained with {results.benchmark_spec(paths).seeds} "
        f"seeds on {span} samples, with a batch size of {training.batch_size} and the precision "
        f"{training.precision}; the winner has the best mean validation score."
    )


def _test(paths: StudyPaths, measure: Measure) -> str:
    spec = results.benchmark_spec(paths)
    cited = " [@metrics]" if spec.task == "segmentation" else ""
    return (
        f"All networks were scored on the locked test split by {measure.title}{cited}, with {spec.confidence:.0%} "
        "intervals over units and seeds by jackknife pseudo-values. Networks were compared by paired differences on "
        "the same scans, with p-values adjusted for the number of pairs [@holm]."
    )


def _software(paths: StudyPaths) -> str:
    path = next(iter(sorted(paths.root.glob("networks/*/seed-0/run.json"))), None)
    versions = read_json(path).get("versions", {}) if path else {}
    listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return (
        f"The study was run with Voxnas {__version__} [@voxnas] on Snakemake [@snakemake], PyTorch [@pytorch] and "
        "MONAI [@monai]" + (f" (versions: {listed})." if listed else ".")
    )
