# Where trainings run, by their predicted time on each kind of node that `placement` names. It is a resource and no
# input: no job depends on the measurements, so nothing is run again because a node was measured, added or taken away.
# The functions are asked when a job is ready, after its proposal is there.
from functools import partial


def slots_of(settings):
    return {name: kind.slots for name, kind in settings.placement.items()}


@cache
def placement_of(study):
    """The kinds of nodes on which a study is placed; none where one is not measured, or asks for other resources."""
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
    """What a job is told: KIND, or KIND:SECONDS where its trial may take so long."""
    placement = placement_of(wildcards.study)
    if not placement:
        return "any"
    kind = kind_of(wildcards)
    seconds = placement[kind].seconds
    return kind if seconds is None else f"{kind}:{seconds:g}"


def resource_there(wildcards, input, name):
    """A resource of the kind of node; None where the study is not placed."""
    placement = placement_of(wildcards.study)
    return placement[kind_of(wildcards)].resources[name] if placement else None


# Resources of the rules that train: the kind of node, and the resources of its jobs (all kinds name the same).
PLACED, ASKED = {"kind": "any"}, []
if STUDY.placement:
    ASKED = sorted(next(iter(STUDY.placement.values())).resources)
    if placement_of(STUDY.study):
        PLACED = {"kind": named_kind, **{name: partial(resource_there, name=name) for name in ASKED}}


def on_node(name):
    """A resource of the kind of node that is measured."""
    return lambda wildcards: settings_of(wildcards).placement[wildcards.kind].resources[name]
