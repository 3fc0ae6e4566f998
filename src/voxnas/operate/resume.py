"""Recovery from a SIGKILL of Snakemake, which leaves a lock and running jobs behind.

Snakemake's lock does not name its holder, so the holder is sought among the processes. While any Snakemake runs in the
working folder, the lock is valid and nothing is changed. Jobs that outlived their Snakemake are terminated; a training
saves its state and is continued from it.
"""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.project import project_folder
from voxnas.io import slurm
from voxnas.io.records import read_json
from voxnas.training.lease import lease_holders


def program(argv: list[str]) -> tuple[str, list[str]]:
    """Return the name of the program or Python module in a command line, and its arguments.

    Examples
    --------
    >>> program(["/usr/bin/python3", "-u", "-m", "voxnas", "train", "--step", "3"])
    ('voxnas', ['train', '--step', '3'])
    >>> program(["/venv/bin/python", "/venv/bin/snakemake", "--cores", "2"])
    ('snakemake', ['--cores', '2'])
    """
    rest = list(argv)
    if rest and os.path.basename(rest[0]).startswith("python"):
        rest.pop(0)
        while rest and rest[0].startswith("-") and rest[0] != "-m":
            del rest[: 2 if rest[0] in ("-X", "-W") else 1]
        if rest[:1] == ["-m"]:
            rest.pop(0)
    return (os.path.basename(rest[0]), rest[1:]) if rest else ("", [])


def _others() -> Iterator[tuple[psutil.Process, str, list[str], Path]]:
    """Yield all living processes except this one and its ancestors: process, program, arguments, working folder."""
    this = psutil.Process()
    own = {this.pid, *(p.pid for p in this.parents())}
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended, or belongs to another user
            if process.pid not in own and process.status() != psutil.STATUS_ZOMBIE:
                name, arguments = program(process.cmdline())
                yield process, name, arguments, Path(process.cwd())


def _is_job(arguments: list[str]) -> bool:
    """Whether a Snakemake process was started by Snakemake itself to run one job."""
    return "--mode" in arguments or any(a.startswith("--mode=") for a in arguments)


def _verb(arguments: list[str]) -> str:
    """The verb of a ``voxnas`` command line, which ``--log FILE`` may precede."""
    rest = arguments[2:] if arguments[:1] == ["--log"] else arguments
    return rest[0] if rest else ""


def check_no_snakemake(folder: Path) -> None:
    """Check that no Snakemake runs in a working folder.

    Raises
    ------
    UserError
        If one runs; its jobs and its lock must not be touched.
    """
    for process, name, arguments, where in _others():
        if name == "snakemake" and not _is_job(arguments) and where == folder.resolve():
            raise UserError(
                f"Snakemake is running in {folder} (process {process.pid}: snakemake {' '.join(arguments)})",
                "wait for it, or stop it with Ctrl-C, then resume",
            )


def find_orphans(folder: Path, study: Path, verbs: Collection[str]) -> list[psutil.Process]:
    """Find jobs that outlived their Snakemake.

    Parameters
    ----------
    folder : Path
        Snakemake's working folder. Call :func:`check_no_snakemake` first.
    study : Path
        Folder of the study.
    verbs : collection of str
        Verbs of the workflow. Another verb, such as ``voxnas predict``, was started by a user and is left alone.

    Returns
    -------
    orphans : list of Process
        Holders of a lease in the study's store, ``voxnas`` processes with an argument in the study's folder, and
        job processes of Snakemake.

    Raises
    ------
    UserError
        If another host trains for this study, since its processes cannot be ended from here. A Slurm job that is over
        does not count. Jobs that the workflow submitted are ended before
        (:func:`voxnas.operate.resume_slurm.end_jobs`).
    """
    study = study.resolve()
    holders = lease_holders(StudyPaths(study).store)
    for host, job in holders.hosts.items():
        if not job:
            raise UserError(
                f"{host} is training for this study", "end the job there; the lease of a dead job expires in minutes"
            )
        if not slurm.has_ended(job):
            raise UserError(f"job {job} on {host} is training for this study", f"scancel {job}")
    found = {}
    for process, name, arguments, where in _others():
        values = [a.partition("=")[2] if a.startswith("--") else a for a in arguments]
        in_study = any((where / v).resolve().is_relative_to(study) for v in values if v)
        is_rule = name == "voxnas" and _verb(arguments) in verbs and in_study
        is_job = name == "snakemake" and _is_job(arguments) and where == folder.resolve()
        if is_rule or is_job or process.pid in holders.processes:
            found[process.pid] = process
    return [found[pid] for pid in sorted(found)]


def end(processes: list[psutil.Process], grace: float = 90.0) -> None:
    """Terminate processes, then kill the survivors among them and their children.

    Parameters
    ----------
    processes : list of Process
        Receive SIGTERM, on which a training saves its state.
    grace : float
        Seconds before SIGKILL; longer than a training waits for its own workers.
    """
    family = list(processes)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            family += process.children(recursive=True)
            process.terminate()
    _, alive = psutil.wait_procs(family, timeout=grace)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=grace)


def is_locked(folder: Path) -> bool:
    """Whether Snakemake's working folder is locked."""
    return any((folder / ".snakemake" / "locks").glob("*.lock"))


def data_root_of(study: Path) -> str:
    """Return the data folder of the last run of a study; empty for generated scans."""
    index = StudyPaths(study).spec("index")
    return read_json(index).get("data_root", "") if index.exists() else ""


def snakemake_command(
    python: str, config: Path | None, data_root: str, extra: list[str], profiles: Sequence[str] = ()
) -> list[str]:
    """Build the command that starts or continues a study in the current folder.

    A folder without a Snakefile uses that of the installed package.

    Parameters
    ----------
    python : str
        Interpreter that runs Snakemake.
    config : Path or None
        Study file.
    data_root : str
        Data folder, which is passed on unless it is empty or `extra` names one.
    extra : list of str
        The user's arguments for Snakemake.
    profiles : sequence of str
        Profiles of the killed run, used if the user's arguments name neither a profile nor a number of cores or jobs;
        without a profile, ``--cores all``.
    """
    arguments = list(extra)
    if not any(re.match(r"(-c|-j|--cores|--jobs)(=|\d|$)|--(workflow-)?profile", a) for a in arguments):
        again = [word for profile in profiles for word in ("--profile", profile)]
        arguments += again or ["--cores", "all"]
    if data_root and not any(a.startswith("data_root=") for a in arguments):
        # A second --config would replace the user's own, so the folder is added to it.
        at = next((i for i, a in enumerate(arguments) if a in ("--config", "-C")), None)
        if at is None:
            arguments += ["--config", f"data_root={data_root}"]
        else:
            arguments.insert(at + 1, f"data_root={data_root}")
    study_file = ["--configfile", str(config)] if config else []
    if not (Path("Snakefile").exists() or any(re.match(r"-s|--snakefile", a) for a in arguments)):
        study_file += ["--snakefile", str(project_folder() / "Snakefile")]
    # A flag must follow --configfile, which would otherwise take the user's target for a second file.
    return [python, "-m", "snakemake", *study_file, "--rerun-incomplete", *arguments]
