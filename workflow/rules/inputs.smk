# Inputs of the rules that depend on the settings or on the results of the search.
import json
import os

STEP = "results/{study}/search/{search}/steps"
NETWORK = "results/{study}/networks/{key}"


def data_folder(wildcards):
    return settings_of(wildcards).data_root or f"results/{wildcards.study}/data"


def data_set(settings):
    """Folder of the data set, as the index resolves it."""
    inside = Path(settings.data_root) / settings.data.folder
    return inside if inside.exists() else Path(settings.data_root)


def fmriprep_pages(folder):
    """Report page of each participant of a data set, which fMRIPrep writes last."""
    participants = sorted(path.name for path in folder.glob("sub-*") if path.is_dir())
    if not participants:
        raise WorkflowError(f"{folder} contains no folders sub-*; fMRIPrep requires a BIDS data set")
    if not os.environ.get("FS_LICENSE"):
        raise WorkflowError(
            "FS_LICENSE is not set; set it to the path of FreeSurfer's licence file, which fMRIPrep requires"
        )
    return [f"{folder}/derivatives/fmriprep/{name}.html" for name in participants]


def data_files(wildcards):
    """Files whose change reruns the index: the phantom, or the tables (or archives) at the root of the data set."""
    settings = settings_of(wildcards)
    if not settings.data_root:
        return [f"results/{wildcards.study}/data"]
    root = data_set(settings)
    if root.is_file():
        return [str(root)]
    tables = [root / name for name in ("arrays.json", "dataset.json", "participants.tsv") if (root / name).exists()]
    if tables[:1] == [root / "arrays.json"]:
        tables += [root / name for name in ("targets.tsv", "targets.csv") if (root / name).exists()]
    return list(map(str, tables or sorted(root.glob("*.npz"))))


def index_shards(wildcards):
    """Shards of the index."""
    return [f"results/{wildcards.study}/index/shards/{i}" for i in range(settings_of(wildcards).preprocess.shards)]


def preprocessed(wildcards):
    """The arrays of all shards."""
    settings = settings_of(wildcards)
    end = "" if settings.timed else ".safetensors"
    return [f"results/{{study}}/preprocess/shards/{i}{end}" for i in range(settings.preprocess.shards)]


def arrays(wildcards):
    """Inputs of a training: plan, splits, the arrays of all shards, and the check that enough of them are usable."""
    return [
        "results/{study}/preprocess/plan.json",
        "results/{study}/splits.json",
        "results/{study}/excluded.tsv",
        *preprocessed(wildcards),
    ]


def spatial_folders(wildcards):
    settings = settings_of(wildcards)
    shards = range(settings.preprocess.shards) if has_spatial_steps(settings) else []
    return [f"results/{wildcards.study}/preprocess/spatial/{i}" for i in shards]


def spatial_option(wildcards):
    folder = f"results/{wildcards.study}/preprocess/spatial"
    return ["--spatial", folder] if has_spatial_steps(settings_of(wildcards)) else []


def calibration(wildcards):
    """The calibration, if a decision of the study requires it."""
    return ["results/{study}/calibration.json"] if needs_calibration(settings_of(wildcards)) else []


def calibration_space(wildcards):
    # Without a search, the space only determines the additional networks that are timed.
    method = next(iter(settings_of(wildcards).search.methods), "random")
    return f"results/{wildcards.study}/spec/search-{method}.json"


def older(wildcards):
    k, window = int(wildcards.k), settings_of(wildcards).search.window
    files = [f"{STEP}/{k - 1}/proposal.json"] if k else []
    return files + ([f"{STEP}/{k - window}/result.json"] if k >= window else [])


def by_arrival(wildcards):
    return settings_of(wildcards).search.order == "arrival"


def before_step(wildcards):
    """Inputs of a step: its proposal, or in order of arrival the inputs of the proposal."""
    k, window = int(wildcards.k), settings_of(wildcards).search.window
    if not by_arrival(wildcards):
        return [f"{STEP}/{k}/proposal.json"]
    return [spec("search-{search}")] + ([f"{STEP}/{k - window}/result.json"] if k >= window else [])


def results_of_search(wildcards):
    steps = searches_of(settings_of(wildcards))[wildcards.search]
    if steps is None:
        return STEP
    return [f"{STEP}/{k}/result.json" for k in range(steps)]


def steps_option(wildcards):
    steps = searches_of(settings_of(wildcards))[wildcards.search]
    return [] if steps is None else ["--steps", steps]


def searched_tables(wildcards):
    return [f"results/{wildcards.study}/search/{name}/trials.tsv" for name in searches_of(settings_of(wildcards))]


def finalists(study):
    """Keys of all finalists and baselines (known after `select`)."""
    with checkpoints.select.get(study=study).output[0].open() as file:
        return sorted({n["key"] for n in json.load(file)["networks"]})


def derived(study):
    """Records of the networks derived from the winner (known after `derive`)."""
    if not study_settings(study).final.derives:
        return []
    with checkpoints.derive.get(study=study).output[0].open() as file:
        return json.load(file)["networks"]


def pruned(study):
    """Records of the pruned networks and their controls (known after `prune`)."""
    if "prune" not in study_settings(study).compression.steps:
        return []
    with checkpoints.prune.get(study=study).output[0].open() as file:
        return json.load(file)["networks"]


def all_networks(study):
    """Keys of all networks to train and evaluate."""
    return [*finalists(study), *(network["key"] for network in [*derived(study), *pruned(study)])]


def record_of(wildcards):
    """The table of networks that has the network."""
    if wildcards.key in finalists(wildcards.study):
        return "results/{study}/finalists.json"
    if wildcards.key in (network["key"] for network in derived(wildcards.study)):
        return "results/{study}/derived.json"
    return "results/{study}/pruned.json"


def teachers(wildcards):
    """Trainings from which a derived network starts or learns."""
    if wildcards.key in finalists(wildcards.study):
        return []
    networks = [*derived(wildcards.study), *pruned(wildcards.study)]
    derivation = next(n for n in networks if n["key"] == wildcards.key).get("derivation") or {}
    start, teacher = derivation.get("start"), derivation.get("teacher")
    sources = {start["source"]} if start else set()
    return training_results(wildcards, sorted(sources.union(teacher["sources"] if teacher else [])))


def weights(wildcards):
    seeds = settings_of(wildcards).training.seeds
    return [f"{NETWORK}/seed-{s}/weights.safetensors" for s in range(seeds)]


def training_results(wildcards, keys):
    seeds = range(settings_of(wildcards).training.seeds)
    return [f"results/{wildcards.study}/networks/{key}/seed-{s}/result.json" for key in keys for s in seeds]


def trained_finalists(wildcards):
    return training_results(wildcards, finalists(wildcards.study))


def trained_networks(wildcards):
    return training_results(wildcards, all_networks(wildcards.study))


def measured_networks(wildcards):
    keys = all_networks(wildcards.study)
    folder = f"results/{wildcards.study}"
    return [
        *(f"{folder}/networks/{key}/profile.json" for key in keys),
        *(f"{folder}/evaluation/{key}/cases.tsv" for key in keys),
    ]


def published_scores(wildcards):
    return list(settings_of(wildcards).published_files.values())


def predicted_folds(wildcards):
    return [f"results/{wildcards.study}/evaluation/{key}/folds.tsv" for key in finalists(wildcards.study)]


def drawn(wildcards):
    """Inputs of the figures and the report besides the tables of the benchmark."""
    return [
        *searched_tables(wildcards),
        *(f"results/{wildcards.study}/networks/{key}/profile.json" for key in all_networks(wildcards.study)),
        *cross_validated(wildcards.study, settings_of(wildcards)),
    ]


def cross_validated(study, settings):
    return [f"results/{study}/cross_validation.tsv"] if settings.benchmark.cross_validate else []


def device_files(study):
    """The measurements of the kinds of nodes on which a study is placed."""
    return [f"results/{study}/devices/{kind}.json" for kind in study_settings(study).placement]


def search_records(settings):
    """Records and tables of the searches, and the tables of the study.

    Snakemake misses a file only if a job needs it, and all jobs may be complete: a lost record, or a damaged record that
    was deleted, would not be written again if it were not a target.
    """
    root = f"results/{settings.study}"
    files = [f"{root}/finalists.json", f"{root}/networks.tsv", f"{root}/leaderboard.tsv", f"{root}/comparisons.tsv"]
    for search, steps in searches_of(settings).items():
        files.append(f"{root}/search/{search}/trials.tsv")
        records = ("proposal", "result") if steps is not None else ()
        files += [f"{root}/search/{search}/steps/{k}/{name}.json" for k in range(steps or 0) for name in records]
    return files


def study_outputs(settings):
    return [f"results/{settings.study}/report.html", f"results/{settings.study}/model", *search_records(settings)]


PREPROCESSED = [
    f"results/{STUDY.study}/preprocess/shards/{i}{'' if STUDY.timed else '.json'}"
    for i in range(STUDY.preprocess.shards)
] + [f"results/{STUDY.study}/excluded.tsv"]
# Named stages and their outputs.
STAGES = {
    "index": [f"results/{STUDY.study}/index/scans.tsv"],
    "preprocess": PREPROCESSED,
    # A study without a search has no stage between its data and its trainings.
    "search": [f"results/{STUDY.study}/search/{name}/trials.tsv" for name in searches_of(STUDY)] or PREPROCESSED,
    "train": [f"results/{STUDY.study}/networks.tsv"],
    "benchmark": [f"results/{STUDY.study}/leaderboard.tsv", *cross_validated(STUDY.study, STUDY)],
    "report": [f"results/{STUDY.study}/report.html"],
}
if STUDY.placement:
    STAGES["device"] = device_files(STUDY.study)


@cache
def named_stages():
    """Stages named by --until.

    The --until of Snakemake 9 omits jobs that appear after a checkpoint. The outputs of the named stages
    are therefore the targets (tests/workflow/test_stages.py tests the internals that this relies on).
    """
    stages = workflow.dag.untilrules & set(STAGES)
    workflow.dag.untilrules -= stages
    return stages


def goals(wildcards):
    """Targets of the run: the whole study, or the stages named by --until."""
    if not named_stages():
        return study_outputs(STUDY)
    return [file for stage in sorted(named_stages()) for file in STAGES[stage]]


def network_records(wildcards):
    """Records of the full trainings (known after `select`), targets as those of :func:`search_records`."""
    if named_stages():
        return []
    folders = [f"results/{STUDY.study}/networks/{key}" for key in finalists(STUDY.study)]
    seeds = [f"seed-{s}/result.json" for s in range(STUDY.training.seeds)]
    return [f"{folder}/{name}" for folder in folders for name in ("network.json", "profile.json", *seeds)]
