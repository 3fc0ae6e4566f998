# Support of cluster runs: records of the settings and of the owner of a run, the wrapper of sacct, and the handling of
# Slurm's signals.
import os
import signal

from voxnas.operate.owner import write_owner

if not workflow.is_main_process:
    # Slurm signals all processes of a job. The training saves its state; Snakemake would die, but must wait for it.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


onstart:
    # Jobs run Snakemake as well; only the main process writes these records.
    if workflow.is_main_process:
        write_settings()
        executor = workflow.executor_plugin.name
        write_owner(Path.cwd(), STUDY.study, executor)
        if executor == "slurm":
            path = os.environ.get("PATH", os.defpath)
            os.environ.update(PATH=f"{SOURCE / 'workflow' / 'slurm'}:{path}")
