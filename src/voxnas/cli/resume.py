"""``voxnas resume``: go on with a study whose Snakemake was killed.

Refuses while a Snakemake runs in this folder, ends the jobs that outlived the killed one, here and in
Slurm's queue (a training saves its state), removes its lock, and runs Snakemake again with the same
profile. Run it in the folder in which Snakemake was started.
"""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "example: voxnas resume config/studies/hippocampus.yaml -- --cores 2"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from voxnas.cli.main import add_study

    parser.epilog = EXAMPLE
    add_study(parser)
    parser.add_argument("snakemake", nargs="*", metavar="-- ARGS", help="arguments for Snakemake; default: as before")
    parser.add_argument("--ended", action="store_true", help="the Snakemake of another machine is known to be over")


def run(arguments: argparse.Namespace) -> None:
    """Clear what is left of the killed run, then become Snakemake."""
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
        print(f"ending {len(orphans)} jobs that outlived Snakemake: {', '.join(str(p.pid) for p in orphans)}")
        resume.end(orphans)
    profiles = owner.profile if owner is not None and owner.study == name else ()
    command = resume.snakemake_command(sys.executable, config, study, arguments.snakemake, profiles)
    if resume.is_locked(folder):
        print("removing the lock that Snakemake left")
        subprocess.run([*command, "--unlock"], check=True)
    sys.stdout.flush()
    os.execv(command[0], command)  # so that whoever ends this ends Snakemake
