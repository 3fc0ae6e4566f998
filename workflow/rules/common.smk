# Shared by all rules: the typed settings of each study, and the specs of its jobs.
import shlex
import sys
from functools import cache

SOURCE = Path(str(workflow.current_basedir.get_path_or_uri(secret_free=True))).parents[1]
sys.path.insert(0, str(SOURCE / "src"))
# Braces are escaped for Snakemake's formatting.
shell.prefix(
    "export PYTHONPATH=" + shlex.quote(f"{SOURCE}/src").translate({123: "{{", 125: "}}"}) + ":${{PYTHONPATH:-}}; "
)

from snakemake.exceptions import WorkflowError

from voxnas.core.canonical import canonical_json
from voxnas.core.errors import UserError
from voxnas.arch.study_outline import check_baselines, direct_baselines, has_spatial_steps, read_space, searches_of
from voxnas.core.settings import StudySettings, needs_calibration, parse_settings
from voxnas.core.strategies import method_of, uses_prior
from voxnas.core.spec import STEP_VERSIONS, stage_spec
from voxnas.core.study_files import check_data_root, read_study_file


def end_run(message):
    """End the run with a message of one line."""
    print(f"voxnas: {message}", file=sys.stderr)
    sys.exit(2)


def checked(settings, stated, source):
    """Check the settings of a study beside the content of its file; an invalid setting ends the run."""
    try:
        settings = parse_settings(settings, source)
        check_baselines(settings, source)
        check_data_root(settings, stated, source)
        return settings
    except UserError as error:
        end_run(error)


STUDY = checked(config, STATED, "the configuration")


@cache
def study_settings(name):
    """Settings of the configured study, or of another study of the paper, which is read on demand."""
    if name == STUDY.study:
        return STUDY
    path = SOURCE / "config" / "studies" / f"{name}.yaml"
    if not path.exists():
        end_run(f"paper names {name!r}, but {path} does not exist")
    try:
        stated = read_study_file(path, STUDY.data_root)
    except UserError as error:
        end_run(error)
    return checked(stated, stated, str(path))


wildcard_constraints:
    study="|".join({*STUDY.paper, STUDY.study}),
    stage="[a-z]+(-[a-z0-9_-]+)?",
    search="[a-z][a-z0-9_-]*",
    k=r"\d+",
    shard=r"\d+",
    seed=r"\d+",
    key="[0-9a-f]{12}",
    kind="[a-z][a-z0-9]*",


def write_settings():
    """Write the settings of the latest run, with the command line applied, for `voxnas watch`; no job reads them."""
    from voxnas.io.records import write_json

    write_json(f"results/{STUDY.study}/study.json", STUDY)


def settings_of(wildcards):
    return study_settings(wildcards.study)


def search_space(settings):
    """Content of the search space of a study; it is part of the spec, so that editing the file reruns the search."""
    try:
        return read_space(settings, SOURCE / "config" / "search_spaces", settings.study)
    except UserError as error:
        end_run(error)


def prior(settings):
    """Trials of earlier studies, which are part of the spec like the space."""
    if not settings.search.prior:
        return ()
    from voxnas.arch.search_space import SearchSpace
    from voxnas.io.prior import read_prior

    try:
        space = SearchSpace.from_dict(search_space(settings), f"search.space = {settings.search.space!r}")
        return read_prior(settings.search.prior, space)
    except UserError as error:
        end_run(error)


def spec_text(wildcards):
    """The settings on which the jobs of a stage depend, as one string."""
    settings = settings_of(wildcards)
    stage, _, search = wildcards.stage.partition("-")
    extra = {}
    if stage == "search":
        baseline = search.removeprefix("baseline-") if search.startswith("baseline-") else None
        method = "random" if baseline else method_of(search)
        extra = {"name": search, "method": method, "baseline": baseline, "space": search_space(settings)}
        if not baseline and uses_prior(method):
            extra["prior"] = prior(settings)
    return canonical_json(stage_spec(settings, stage, **extra).plain())


def spec(stage):
    return f"results/{{study}}/spec/{stage}.json"


# Retries of the rules that request more memory and time with each attempt: one, or the number on the command line.
RETRIES = max(1, getattr(workflow.execution_settings, "retries", 1))


def all_cores(wildcards):
    """Threads of a job that measures times: all cores of this machine, so that no other job runs; one on a cluster."""
    return workflow.resource_settings.cores or 1


def image():
    """The container image of all jobs; a missing image ends the run before any job starts."""
    name = STUDY.container or str(SOURCE / "envs" / "voxnas.sif")
    methods = {method.name for method in workflow.deployment_settings.deployment_method}
    if "APPTAINER" in methods and "://" not in name and not Path(name).exists():
        end_run(
            f"container = {name!r} does not exist. Build it in the project's folder: apptainer build "
            "envs/voxnas.sif envs/apptainer.def, or name another by --config container=IMAGE"
        )
    return name


# Container users: snakemake --software-deployment-method apptainer.
container: image()


# Conda users: snakemake --software-deployment-method conda.
ENVIRONMENT = str(SOURCE / "envs" / "voxnas.yaml")
