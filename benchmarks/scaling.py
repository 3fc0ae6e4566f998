"""Weak and strong scaling of a training step, the cost of communication, and a projection to 1,024 GPUs.

The step is a step of the training loop for the plain U-Net of the hippocampus study (0.34 M parameters, patches of 40 x
56 x 40 voxels, bfloat16 if the processor supports it), with one thread per process. A single process, independent
processes, Horovod and DDP take turns: all are started first, then stopped, and resumed for a few steps each, so that
other work on the machine affects all of them equally. A slow process is stopped for half of the time within its turn.

    python benchmarks/scaling.py --output results/published/scaling

Targets: two Horovod processes reach at least 0.90 of the throughput of two independent processes, and are within 5 % of
DDP; with one process at half speed, shares by measured speed give at least 1.3 times the throughput of equal shares.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import matplotlib
import pandas as pd
import torch
from communication import Link, efficiency, fit_link, hierarchical, ring, torus
from torch.amp import GradScaler

from voxnas.arch.families.unet import UNet
from voxnas.core.architecture import Recipe
from voxnas.core.host import processor_name
from voxnas.io.records import write_text
from voxnas.io.tables import write_table
from voxnas.nn.build import build_network
from voxnas.nn.precision import precision_name
from voxnas.report.style import STYLE, identity, new_figure, save_figure
from voxnas.training.distributed.balance import MEASURED, SKIPPED, Balance
from voxnas.training.distributed.launch import join_backend, launch_command
from voxnas.training.gradients import Gradients
from voxnas.training.optimizers import CLIP_NORM, build_optimizer
from voxnas.training.steps.supervised import Supervised

PATCH = [40, 56, 40]
ARCHITECTURE = UNet(
    in_channels=1,
    out_channels=3,
    widths=(16, 32, 64),
    blocks=(2, 2, 2),
    strides=((1, 1, 1), (2, 2, 2), (2, 2, 2)),
    kernels=((3, 3, 3),) * 3,
    decoder_blocks=(2, 2),
)
BATCH = 2  # samples per process (weak scaling) and in total (strong scaling)
SLOWED_BATCH = 6  # batch of two processes, one of them slow
SIZES = [2**k for k in range(10, 25, 2)]  # bytes of the all-reduces
REPEATS = 20
PERIOD = 0.04  # period in s; a slow process runs for half of it
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "HOROVOD_GLOO_TIMEOUT_SECONDS": "3600",  # a stopped group waits for a long time
}

# Assumptions of the projection: sizes of the networks, nominal speeds of the links, and typical latencies and step
# times of such hardware. Only efficiencies and kinds of hardware are from the papers.
SERGEEV = "Sergeev and Del Balso 2018: ResNet-101, P100, 25 Gbit/s"
MIKAMI = "Mikami et al. 2018: ResNet-50 in 16 bits, V100, 2 x 100 Gbit/s"
LI = "Li et al. 2020: ResNet-50, V100, 100 Gbit/s"
NVLINK = Link(5e-6, 40e9)
CLUSTERS = {
    # name: bytes of the gradients, seconds of computing, processes per node, link within a node, link between nodes
    SERGEEV: (4 * 44.5e6, 0.500, 4, Link(10e-6, 10e9), Link(30e-6, 3.1e9)),
    MIKAMI: (2 * 25.6e6, 0.040, 4, NVLINK, Link(5e-6, 25e9)),
    LI: (4 * 25.6e6, 0.085, 8, NVLINK, Link(5e-6, 12.5e9)),
    "Hippocampus U-Net, 10 ms a step, 2 x 100 Gbit/s": (4 * 339_603, 0.010, 4, NVLINK, Link(5e-6, 25e9)),
}
PUBLISHED = {
    SERGEEV: (512, 0.90),
    MIKAMI: (1088, 0.9162),  # the run of 224 seconds
    LI: (256, math.nan),  # DDP: "near-linear", without a number
}
BACKWARD = 2 / 3  # of a step


def work(launcher: str, folder: Path, batch: int, measured: bool) -> None:
    """Take training steps until the file ``stop`` appears, as one process of a launcher; record the end of each."""
    torch.set_num_threads(1)
    backend = join_backend(launcher)
    torch.manual_seed(0)
    network = build_network(ARCHITECTURE).to(backend.device)
    model, optimizer = backend.prepare(network, build_optimizer(network, Recipe()))
    scaler = GradScaler(backend.device.type, enabled=False)
    compute = Gradients(model, backend, scaler, Supervised("dice_ce").loss, "auto")
    balance = Balance(backend, network) if measured else None
    images, labels = torch.randn(batch, 1, *PATCH), torch.randint(0, 3, (batch, *PATCH))
    with open(folder / f"steps-{backend.rank}", "w", buffering=1) as steps:
        write_text(folder / f"pid-{backend.rank}", str(os.getpid()))
        over = False
        while not over:
            if balance is not None:
                balance.begin()
            mine = len(backend.share(range(batch)))
            loss = compute(images[: mine or 1], labels[: mine or 1], mine / batch)
            stop = torch.tensor((folder / "stop").exists())
            news = backend.begin_sum(torch.stack([loss.double(), stop.double()]))
            backend.step(optimizer, CLIP_NORM, scaler)
            over = bool(news()[1] > 0)
            if balance is not None and balance.end(max(mine, 1)):
                (folder / "speeds").write_text(" ".join(map(str, backend.speeds)))
            steps.write(f"{time.monotonic()}\n")
    backend.close()


def reduce(launcher: str, output: Path) -> None:
    """Time all-reduces of tensors of several sizes."""
    torch.set_num_threads(1)
    backend = join_backend(launcher)
    rows = []
    for size in SIZES:
        values, times = torch.ones(size // 4, device=backend.device), []
        for _ in range(REPEATS + 3):
            begun = time.perf_counter()
            backend.sum(values)
            times.append(time.perf_counter() - begun)
        rows.append((launcher, backend.size, size, statistics.median(times[3:])))
    if backend.rank == 0:
        write_table(output, pd.DataFrame(rows, columns=["backend", "processes", "bytes", "seconds"]))
    backend.close()


class Group:
    """Processes that take turns as one group.

    Parameters
    ----------
    folder : path
        Folder of the group for its records.
    launcher : str
        ``independent`` starts processes without communication.
    processes, batch : int
        The batch is the global batch, or the batch of each independent process.
    slow, measured : bool
        Whether the last process runs half of the time, and whether shares are proportional to the speeds.
    """

    def __init__(
        self, folder: Path, launcher: str, processes: int, batch: int, slow: bool = False, measured: bool = False
    ) -> None:
        self.launcher, self.processes, self.batch, self.slow = launcher, processes, batch, slow
        alone = launcher == "independent"
        self.folders = [folder / str(i) for i in range(processes if alone else 1)]
        self.started = []
        for place in self.folders:
            place.mkdir(parents=True)
            kind, count = ("single", 1) if alone else (launcher, processes)
            program = [__file__, "--work", kind, str(place), str(batch), str(int(measured))]
            command = launch_command(kind, count, program)
            with open(place / "log", "w") as log:
                self.started.append(subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log))
        self.pids: list[int] = []
        self.turns: list[tuple[float, float]] = []
        wanted = processes // len(self.folders)
        while not all(len(list(f.glob("pid-*"))) == wanted for f in self.folders):
            self._pause(0.1)
        self.pids = [int((f / f"pid-{i}").read_text()) for f in self.folders for i in range(wanted)]
        self.wake(SKIPPED + MEASURED + 1)
        self.turns.clear()

    def wake(self, steps: int) -> None:
        """Let the processes run for a number of steps each; they are stopped before and after."""
        self._signal(signal.SIGCONT)
        begun, before = time.monotonic(), [len(times) for times in self._times()]
        while any(len(times) < n + steps for times, n in zip(self._times(), before, strict=True)):
            if self.slow:
                os.kill(self.pids[-1], signal.SIGSTOP)
                self._pause(PERIOD / 2)
                os.kill(self.pids[-1], signal.SIGCONT)
                self._pause(PERIOD / 2)
            else:
                self._pause(0.05)
        self.turns.append((begun, time.monotonic()))
        self._signal(signal.SIGSTOP)

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds)
        if any(p.poll() is not None for p in self.started):
            raise RuntimeError("\n".join((folder / "log").read_text() for folder in self.folders))

    def _times(self) -> list[list[float]]:
        """End times of the steps of each independent process, or of the group."""
        notes = [(folder / "steps-0").read_text().split("\n")[:-1] for folder in self.folders]
        return [[float(line) for line in lines] for lines in notes]

    def _signal(self, number: int) -> None:
        for pid in self.pids:
            os.kill(pid, number)

    def rates(self) -> list[float]:
        """Samples per second of all processes together in each turn, without its incomplete first step."""
        found = [0.0] * len(self.turns)
        for times in self._times():
            for i, (first, last) in enumerate(self.turns):
                done = [t for t in times if first < t < last][1:]
                found[i] += self.batch * (len(done) - 1) / (done[-1] - done[0])
        return found

    def end(self) -> None:
        """Ask the processes to end."""
        for folder in self.folders:
            (folder / "stop").touch()
        self._signal(signal.SIGCONT)
        for process in self.started:
            process.wait(timeout=120)


def take_turns(groups: dict[str, Group], rounds: int, steps: int) -> dict[str, list[float]]:
    """Rates of each group in each round."""
    for _ in range(rounds):
        for group in groups.values():
            group.wake(steps)
    rates = {name: group.rates() for name, group in groups.items()}
    for group in groups.values():
        group.end()
    return rates


def ratio(rates: dict[str, list[float]], first: str, second: str) -> float:
    """Median over the rounds of the ratio of the rates of two groups."""
    return statistics.median(a / b for a, b in zip(rates[first], rates[second], strict=True))


def measure_steps(folder: Path, processes: int, rounds: int, steps: int) -> pd.DataFrame:
    """Weak and strong scaling with a number of processes."""
    n = processes
    plans = {
        "one process": ("independent", 1, BATCH),
        "independent": ("independent", n, BATCH),
        "Horovod, weak": ("horovod", n, BATCH * n),
        "DDP, weak": ("ddp", n, BATCH * n),
        "Horovod, strong": ("horovod", n, BATCH),
        "DDP, strong": ("ddp", n, BATCH),
    }
    groups = {name: Group(folder / f"{n}-{i}", *plan) for i, (name, plan) in enumerate(plans.items())}
    rates = take_turns(groups, rounds, steps)
    rows = []
    for name, group in groups.items():
        twin = name.replace("Horovod", "DDP")
        beside = ratio(rates, name, "independent")
        rows.append(
            {
                "group": name,
                "processes": group.processes,
                "global_batch": group.batch * len(group.folders),
                "samples_per_second": round(statistics.median(rates[name]), 2),
                "of_independent": round(beside, 3),
                "of_one_process": round(ratio(rates, name, "one process"), 3),
                "of_ddp": round(ratio(rates, name, twin), 3) if twin != name else math.nan,
                "communication_share": round(max(0.0, 1 - beside), 3) if "weak" in name else math.nan,
                "rounds": rounds,
            }
        )
    return pd.DataFrame(rows)


def measure_slowed(folder: Path, rounds: int, steps: int) -> pd.DataFrame:
    """Two processes, one at half speed, with equal shares and with shares by measured speed."""
    rows = []
    for launcher in ("horovod", "ddp"):
        groups = {
            shares: Group(folder / f"{launcher}-{shares}", launcher, 2, SLOWED_BATCH, True, shares == "measured")
            for shares in ("equal", "measured")
        }
        rates = take_turns(groups, rounds, steps)
        speeds = (groups["measured"].folders[0] / "speeds").read_text().split()
        for shares in groups:
            rows.append(
                {
                    "backend": launcher,
                    "shares": shares,
                    "samples_per_second": round(statistics.median(rates[shares]), 2),
                    "of_equal": round(ratio(rates, shares, "equal"), 3),
                    "speeds": ", ".join(f"{float(s):.2f}" for s in speeds) if shares == "measured" else "",
                    "rounds": rounds,
                }
            )
    return pd.DataFrame(rows)


def measure_sums(folder: Path, processes: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Times of all-reduces, and the link fitted for each backend."""
    tables, links = [], []
    for launcher in ("horovod", "ddp"):
        output = folder / f"{launcher}.tsv"
        command = launch_command(launcher, processes, [__file__, "--reduce", launcher, str(output)])
        subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, timeout=300)
        table = pd.read_csv(output, sep="\t")
        link = fit_link(table["processes"].tolist(), table["bytes"].tolist(), table["seconds"].tolist())
        table["model_seconds"] = [ring(p, n, link) for p, n in zip(table["processes"], table["bytes"], strict=True)]
        tables.append(table)
        links.append({"backend": launcher, "latency_us": link.latency * 1e6, "bandwidth_mb_s": link.bandwidth / 1e6})
    return pd.concat(tables).round(7), pd.DataFrame(links).round(1)


def project() -> pd.DataFrame:
    """Modelled efficiency from 2 to 1,088 GPUs, for the assumptions above."""
    rows = []
    for name, (size, compute, per_node, inside, between) in CLUSTERS.items():
        gpus, published = PUBLISHED.get(name, (0, math.nan))
        for p in sorted({*(2**k for k in range(1, 11)), *([gpus] if gpus else [])}):
            nodes, local = max(1, p // per_node), min(p, per_node)
            ways = {
                "ring": ring(p, size, between if nodes > 1 else inside),
                "hierarchical": hierarchical(nodes, local, size, inside, between),
                # Rows are nodes; the processes of a node share its external link, as in the hierarchy.
                "torus": _torus(p, per_node, size, inside, between),
            }
            for way, seconds in ways.items():
                rows.append(
                    {
                        "case": name,
                        "gpus": p,
                        "all_reduce": way,
                        "communication_ms": round(seconds * 1e3, 3),
                        "efficiency_hidden": round(efficiency(compute, seconds, BACKWARD), 4),
                        "efficiency_in_the_open": round(efficiency(compute, seconds, 0.0), 4),
                        "published": published if p == gpus else math.nan,
                    }
                )
    return pd.DataFrame(rows)


def _torus(processes: int, per_node: int, size: float, inside: Link, between: Link) -> float:
    """The most square grid of the processes whose rows consist of several nodes."""
    if processes <= per_node:
        return ring(processes, size, inside)
    columns = next(c for c in range(math.isqrt(processes), 0, -1) if processes % c == 0)
    # In the columns, each process has a share of the external link of the node; a row uses it once per node.
    own = Link(between.latency, between.bandwidth / per_node)
    return torus(columns, processes // columns, size, between, own)


def draw(table: pd.DataFrame, folder: Path) -> None:
    """Draw efficiency against the number of GPUs, one panel per case, with the published value."""
    with matplotlib.rc_context(STYLE):
        figure = new_figure(10, 6.4)
        for panel, (name, rows) in zip(figure.subplots(2, 2).flat, table.groupby("case", sort=False), strict=True):
            for i, (way, line) in enumerate(rows.groupby("all_reduce", sort=False)):
                colour, marker = identity(i)
                panel.fill_between(
                    line["gpus"], line["efficiency_in_the_open"], line["efficiency_hidden"], color=colour, alpha=0.15
                )
                panel.plot(line["gpus"], line["efficiency_in_the_open"], color=colour, marker=marker, ms=4, label=way)
            gpus, published = PUBLISHED.get(str(name), (math.nan, math.nan))
            panel.plot([gpus], [published], "*", color="black", ms=12, label="published", zorder=5)
            if math.isnan(published):
                panel.axvline(gpus, color="black", linestyle=":", linewidth=1)
            panel.set(xscale="log", ylim=(0, 1.05), xlabel="GPUs", ylabel="efficiency")
            panel.set_title(name, fontsize=8.5)
            panel.set_xticks([2, 8, 32, 128, 512, 1024], ["2", "8", "32", "128", "512", "1024"])
            panel.minorticks_off()
        panel.legend(fontsize=8)
        save_figure(folder, "projection", figure, table)


def main() -> None:
    """Measure, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    most = 2 ** int(math.log2(max(os.cpu_count() or 2, 2)))
    counts = [2**k for k in range(1, int(math.log2(most)) + 1)]
    parser.add_argument("--processes", type=int, nargs="+", default=counts, help="numbers of processes")
    parser.add_argument("--rounds", type=int, default=20, help="number of turns of each group")
    parser.add_argument("--steps", type=int, default=7, help="steps per turn; the first is excluded")
    parser.add_argument("--only", choices=("steps", "slowed", "sums", "projection"), help="run only this part")
    parser.add_argument("--output", type=Path, help="folder for the tables and the figure")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--reduce", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        launcher, folder, batch, measured = arguments.work
        return work(launcher, Path(folder), int(batch), measured == "1")
    if arguments.reduce:
        return reduce(arguments.reduce[0], Path(arguments.reduce[1]))
    load = os.getloadavg()[0]
    print(f"{processor_name()}, {os.cpu_count()} cores, {precision_name('auto')}, load before: {load:.1f}")
    tables: dict[str, pd.DataFrame] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, only = Path(name), arguments.only
        if only in (None, "steps"):
            parts = [measure_steps(folder, n, arguments.rounds, arguments.steps) for n in arguments.processes]
            tables["steps"] = pd.concat(parts)
        if only in (None, "slowed"):
            tables["slowed"] = measure_slowed(folder, max(arguments.rounds // 2, 1), arguments.steps)
        if only in (None, "sums"):
            tables["all_reduce"], tables["links"] = measure_sums(folder, 2)
        if only in (None, "projection"):
            tables["projection"] = project()
    for name, table in tables.items():
        print(f"\n{name}\n" + table.to_string(index=False, max_rows=60))
        if arguments.output:
            if name == "projection":
                draw(table, arguments.output)
            else:
                write_table(arguments.output / f"{name}.tsv", table)
    return None


if __name__ == "__main__":
    main()
