# What a run on a cluster needs: the records of its settings and of who runs it, a sacct that answers, and jobs that outlive a warning.
import os
import signal

from voxnas.operate.owner import write_owner

if not workflow.is_main_process:
    # Slurm warns all processes of a job; the training saves its state, and Snakemake, which would die, waits for it.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


onstart:
    # In jobs Snakemake runs once more; these start nothing.
    if workflow.is_main_process:
        write_settings()
        executor = workflow.executor_plugin.name
        write_owner(Path.cwd(), STUDY.study, executor)
        if executor == "slurm":
            path = os.environ.get("PATH", os.defpath)
            os.environ.update(PATH=f"{SOURCE / 'workflow' / 'slurm'}:{path}")
