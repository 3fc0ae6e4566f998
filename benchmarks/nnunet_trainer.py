"""The trainer of nnU-Net with a given number of epochs, and a log of its processor time.

``nnunet.py`` copies it into the environment of nnU-Net.
"""

import ctypes
import json
import os
import resource
import signal
from pathlib import Path

import psutil
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

PARENT_DEATH_SIGNAL = 1  # of prctl
CPU = torch.device("cpu")


def cpu_seconds() -> float:
    """Processor time of this process and its descendants in s."""
    this = psutil.Process()
    running = [this.cpu_times()]
    for child in this.children(recursive=True):
        try:
            running.append(child.cpu_times())
        except psutil.Error:  # it has ended, and counts among the ended children
            continue
    return float(sum(t.user + t.system + t.children_user + t.children_system for t in running))


class CoreMinutesTrainer(nnUNetTrainer):
    """nnU-Net's trainer, with epochs, iterations per epoch and threads from the environment.

    Network, loss, optimizer, augmentation, sampling and the polynomial schedule are those of nnU-Net. An epoch has one
    iteration of the online validation instead of 50, because it scores training scans here (fold ``all``), and the
    validation after the training is left out for the same reason. Each epoch ends with a checkpoint.
    """

    def __init__(
        self, plans: dict, configuration: str, fold: int, dataset_json: dict, device: torch.device = CPU
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        torch.set_num_threads(int(os.environ["BENCHMARK_THREADS"]))
        self.num_epochs = int(os.environ["BENCHMARK_EPOCHS"])
        self.num_iterations_per_epoch = int(os.environ["BENCHMARK_ITERATIONS"])
        self.num_val_iterations_per_epoch = self.save_every = 1
        self.progress = Path(self.output_folder) / "progress.jsonl"
        lines = self.progress.read_text().splitlines() if self.progress.exists() else []
        self.spent = json.loads(lines[-1])["cpu_seconds"] if lines else 0.0
        # The processes that augment would outlive a killed training.
        os.register_at_fork(after_in_child=lambda: ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL))

    def record(self, event: str) -> None:
        """Append the processor time (s) of all starts up to an event, and the peak memory of this process (MiB)."""
        line = {
            "event": event,
            "cpu_seconds": self.spent + cpu_seconds(),
            "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "batch_size": self.batch_size,
        }
        with open(self.progress, "a") as file:
            file.write(json.dumps(line) + "\n")

    def on_epoch_start(self) -> None:
        """Record the start of an epoch."""
        super().on_epoch_start()
        self.record("start")

    def on_train_epoch_end(self, train_outputs: list[dict]) -> None:
        """Record the end of the iterations of an epoch."""
        super().on_train_epoch_end(train_outputs)
        self.record("trained")

    def on_epoch_end(self) -> None:
        """Record the end of an epoch, after its checkpoint."""
        super().on_epoch_end()
        self.record("end")

    def save_checkpoint(self, filename: str) -> None:
        """Write a checkpoint under another name and rename it, so that a kill leaves the previous one."""
        super().save_checkpoint(f"{filename}.new")
        os.replace(f"{filename}.new", filename)

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Omit the prediction of the training scans."""
