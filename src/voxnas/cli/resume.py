"""``voxnas resume``: continue a study after its Snakemake process was killed.

Refuses while Snakemake runs in this folder. Otherwise ends the remaining jobs of the killed process, on this machine
and in the queue of Slurm (trainings save their state), removes the lock, and runs Snakemake again with the same
profile. Must run in the working folder of Snakemake.
"""

import argparse
from pathlib import Path

EXAMPLE = "example: voxnas resume config/studies/hippocampus.yaml -- --cores 2"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from voxnas.cli.main import add_study

    parser.epilog = EXAMPLE
    add_study(parser)
    parser.add_argument(
        "snakemake", nargs="*", metavar="-- ARGS", help="arguments for Snakemake; default: those of the killed run"
    )
    parser.add_argument("--ended", action="store_true", help="state that Snakemake on the other machine has ended")


def run(arguments: argparse.Namespace) -> None:
    """Clean up after the killed run, then replace this process by Snakemake."""
    import os
    import subprocess
    import sys

    from voxnas.cli.main import RULES
    from voxnas.core.study_files import find_study
    from voxnas.operate import resume, resume_slurm
    from voxnas.operate.owner import read_owner

    folder = Path.cwd()
    config, name = find_study(folder, arguments.study)
    study = folder / "results" / name
    owner = read_owner(folder)
    resume.check_no_snakemake(folder)
    if resume.is_locked(folder):
        resume_slurm.check_owner_ended(owner, arguments.ended)
    jobs = resume_slurm.find_jobs(folder, owner)
    if jobs:
        print(f"cancelling {len(jobs)} Slurm jobs of the killed run: {', '.join(job.id for job in jobs)}", flush=True)
        resume_slurm.end_jobs(folder, owner)
    orphans = resume.find_orphans(folder, study, RULES)
    if orphans:
        print(f"ending {len(orphans)} remaining jobs of the killed run: {', '.join(str(p.pid) for p in orphans)}")
        resume.end(orphans)
    profiles = owner.profile if owner is not None and owner.study == name else ()
    command = resume.snakemake_command(
        sys.executable, config, resume.data_root_of(study), arguments.snakemake, profiles
    )
    if resume.is_locked(folder):
        print("removing the lock of the killed run")
        subprocess.run([*command, "--unlock"], check=True)
    sys.stdout.flush()
    os.execv(command[0], command)  # so that a signal to this process reaches Snakemake
