# Placement of trainings by their predicted time on each kind of node in `placement`. It is a resource and not an
# input: no job depends on the measurements, so that measuring, adding or removing a node reruns no job.
# Snakemake evaluates the functions when a job is ready, i.e. when its proposal exists.
from functools import partial


def slots_of(settings):
    return {name: kind.slots for name, kind in settings.placement.items()}


@cache
def placement_of(study):
    """Kinds of nodes of a study; empty if a kind is not measured. Kinds with other resources are omitted."""
    kinds = study_settings(study).placement
    missing = [file for file in device_files(study) if not Path(file).exists()]
    if missing:
        print(f"voxnas: no placement, {missing[0]} is missing (snakemake ... --until device)", file=sys.stderr)
        return {}
    return {name: kind for name, kind in kinds.items() if sorted(kind.resources) == ASKED}


@cache
def kind_of_step(study, search, k):
    from voxnas.core.paths import StudyPaths
    from voxnas.operate.placement import arrival_kind, step_kind

    settings = study_settings(study)
    find = arrival_kind if settings.search.order == "arrival" else step_kind
    return find(StudyPaths(f"results/{study}"), search, k, slots_of(settings), settings.search.window)


@cache
def kinds_of_finalists(study):
    from voxnas.core.paths import StudyPaths
    from voxnas.operate.placement import finalist_kinds

    settings = study_settings(study)
    return finalist_kinds(StudyPaths(f"results/{study}"), slots_of(settings), settings.training.seeds)


def kind_of(wildcards):
    """Kind of node of a step or a final training."""
    if "search" in wildcards.keys():
        return kind_of_step(wildcards.study, wildcards.search, int(wildcards.k))
    return kinds_of_finalists(wildcards.study)[wildcards.key, int(wildcards.seed)]


def named_kind(wildcards, input):
    """Argument of a job: KIND, or KIND:SECONDS with the maximum predicted time of its trial."""
    placement = placement_of(wildcards.study)
    if not placement:
        return "any"
    kind = kind_of(wildcards)
    seconds = placement[kind].seconds
    return kind if seconds is None else f"{kind}:{seconds:g}"


def resource_there(wildcards, input, name):
    """A resource of the kind of node; None without placement."""
    placement = placement_of(wildcards.study)
    return placement[kind_of(wildcards)].resources[name] if placement else None


# Resources of the rules that train: the kind of node, and the resources of its jobs (the same names for all kinds).
PLACED, ASKED = {"kind": "any"}, []
if STUDY.placement:
    ASKED = sorted(next(iter(STUDY.placement.values())).resources)
    if placement_of(STUDY.study):
        PLACED = {"kind": named_kind, **{name: partial(resource_there, name=name) for name in ASKED}}


def on_node(name):
    """A resource of the measured kind of node."""
    return lambda wildcards: settings_of(wildcards).placement[wildcards.kind].resources[name]
