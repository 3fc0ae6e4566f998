"""A real Slurm for tests, on one machine: two nodes with GPUs, one without, and accounting.

``python tests/slurm/cluster.py start FOLDER`` starts it and prints what to put into the environment,
``stop FOLDER`` takes it down. Everything lies in the folder, listens on the loopback only, and is ended by
its own process ids. It needs root, for each node has a host name of its own (a namespace) and GPUs that are
character devices; of Slurm it needs Debian's packages (tests/slurm/install.sh).
"""

from __future__ import annotations

import getpass
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

HERE = Path(__file__).parent
NODES = ("gpu1", "gpu2", "cpu1")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "unshare")
ACCOUNTING = ("slurmdbd", "mariadbd")
GPUS = 2
SMALL_MIB = 64
HOST = socket.gethostname().split(".")[0]
SYSTEM = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def missing() -> str:
    """Why there can be no cluster here; empty if there can."""
    lacking = [name for name in PROGRAMS if not shutil.which(name, path=SYSTEM)]
    if lacking:
        return f"Slurm is not installed ({', '.join(lacking)}); as root: tests/slurm/install.sh"
    return "" if os.geteuid() == 0 else "the nodes of the test cluster need root (namespaces, device files)"


class Cluster:
    """A cluster in a folder.

    Parameters
    ----------
    base : path
        Folder for configuration, state, sockets and logs; short, for the sockets' sake.
    port : int
        First of six ports.
    cpus, memory : int
        Of each node; the memory in MB.
    accounting : bool
        Whether a database keeps the jobs, so that sacct works.
    """

    def __init__(
        self, base: Path, port: int = 26817, cpus: int = 4, memory: int = 12000, accounting: bool = True
    ) -> None:
        self.base, self.port, self.cpus, self.memory, self.accounting = base, port, cpus, memory, accounting
        self.conf = base / "etc" / "slurm.conf"
        self.small = base / "small"  # a file system that is soon full, for all nodes
        own = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_", "SRUN_", "SQUEUE_"))}
        self.environment = {**own, "SLURM_CONF": str(self.conf), "PATH": SYSTEM}

    def run(self, *command: str, check: bool = True, timeout: float = 60) -> str:
        """Output of a command, in the cluster's environment."""
        try:
            done = subprocess.run(
                command, env=self.environment, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            if check:
                raise
            return ""
        if check and done.returncode:
            raise RuntimeError(f"{shlex.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def start(self) -> Cluster:
        """Start all daemons and wait until every node is idle."""
        if self._pids():
            raise RuntimeError(f"{self.base} is in use: {self._pids()}")
        of_nodes = [f"{kind}/{node}" for kind in ("spool", "tmp") for node in NODES]
        for name in ("small", "etc", "run", "state", "log", "dev", "munge", *of_nodes):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        self.base.chmod(0o755)  # for munge's socket
        (self.base / "munge").chmod(0o700)
        # Before the nodes, which do not see what is mounted later.
        self.run("mount", "-t", "tmpfs", "-o", f"size={SMALL_MIB}m", "tmpfs", str(self.small))
        self._configure()
        self._munge()
        if self.accounting:
            self._database()
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self._wait(
            60, "nodes", lambda: set(self.run("sinfo", "-N", "-h", "-t", "idle", "-o", "%N").split()) == set(NODES)
        )
        return self

    def stop(self) -> None:
        """End jobs, then daemons; those of them that do not want to are killed."""
        if self._pids().get("slurmctld"):
            self.run("scancel", "--full", "--me", check=False)
            deadline = time.monotonic() + 20
            while self.jobs() and time.monotonic() < deadline:
                time.sleep(0.2)
        names = [*(f"slurmd.{node}" for node in NODES), "slurmctld", "slurmdbd", "mariadbd", "munged"]
        for name in names:
            self._end(name)
        self.run("umount", "--lazy", str(self.small), check=False)

    def jobs(self) -> list[str]:
        """Ids of the jobs that are not over."""
        return self.run("squeue", "-h", "-o", "%i", check=False).split()

    def states(self) -> dict[str, str]:
        """State of every job, also of those that are over."""
        lines = self.run("squeue", "-h", "--states=all", "-o", "%i %T").splitlines()
        return {number: state for number, state in map(str.split, lines)}

    def idle_nodes(self) -> set[str]:
        """Nodes that are up and have no job."""
        return set(self.run("sinfo", "-N", "-h", "-t", "idle", "-o", "%N").split())

    def start_controller(self) -> None:
        """Start slurmctld."""
        self._daemon("slurmctld")
        self._wait(30, "slurmctld", lambda: "UP" in self.run("scontrol", "ping"))

    def stop_controller(self) -> None:
        """Stop slurmctld; it writes down what it knows.

        Killed, it would forget what it has not written yet, launch a job again that runs, and drain its node
        ("Duplicate jobid") until an administrator resumes it, whatever the workflow does.
        """
        self._end("slurmctld")

    def start_node(self, node: str) -> None:
        """Start a node: slurmd with a host name of its own, for which this configuration is the system's."""
        inside = (
            f"hostname {node} && mount --bind {self.base}/etc/hosts /etc/hosts && mkdir -p /etc/slurm"
            f" && mount --bind {self.base}/etc /etc/slurm && exec slurmd -N {node}"
        )
        self._daemon("unshare", "--uts", "--mount", "--propagation", "slave", "sh", "-c", inside)

    def crash_node(self, node: str) -> None:
        """Kill everything that runs on a node at once, as a power cut would."""
        pid = self._pids()[f"slurmd.{node}"]
        names = os.readlink(f"/proc/{pid}/ns/uts")
        if names == os.readlink("/proc/self/ns/uts"):
            raise RuntimeError(f"{node} has no name of its own")
        self._kill(f"slurmd.{node}")
        for _ in range(3):  # for those that are being born meanwhile
            for process in psutil.process_iter():
                try:
                    if os.readlink(f"/proc/{process.pid}/ns/uts") == names:
                        process.kill()
                except (OSError, psutil.Error):
                    continue
            time.sleep(0.1)

    def _configure(self) -> None:
        accounting = "AccountingStorageType=accounting_storage/none"
        if self.accounting:
            accounting = (
                "AccountingStorageType=accounting_storage/slurmdbd\nAccountingStorageHost=127.0.0.1\n"
                f"AccountingStoragePort={self.port + 1}\nAccountingStoragePass={self.base}/run/munge.sock\n"
                "AccountingStorageTRES=gres/gpu"
            )
        ports = {f"{node}_port": self.port + 3 + i for i, node in enumerate(NODES)}
        self.conf.write_text(
            (HERE / "slurm.conf.in").read_text().format(
                host=HOST, user=getpass.getuser(), base=self.base, port=self.port,
                cpus=self.cpus, memory=self.memory, gpus=GPUS, accounting=accounting, **ports,
            )
        )  # fmt: skip
        # Slurm wants a character device for each GPU, or CUDA_VISIBLE_DEVICES stays unset.
        for i in range(GPUS):
            device = self.base / "dev" / f"gpu{i}"
            if not device.exists():
                os.mknod(device, 0o20666, os.stat("/dev/null").st_rdev)
        files = f"{self.base}/dev/gpu[0-{GPUS - 1}]"
        (self.base / "etc" / "gres.conf").write_text(f"AutoDetect=off\nNodeName=gpu[1-2] Name=gpu File={files}\n")
        known = Path("/etc/hosts").read_text()
        (self.base / "etc" / "hosts").write_text(known + "".join(f"127.0.0.1 {node}\n" for node in NODES))

    def _munge(self) -> None:
        key = self.base / "munge" / "key"
        if not key.exists():
            key.touch(0o600)
            key.write_bytes(secrets.token_bytes(1024))
        socket_, run = self.base / "run" / "munge.sock", self.base / "run"
        self._daemon(
            "munged", f"--key-file={key}", f"--seed-file={self.base}/munge/seed", f"--socket={socket_}",
            f"--pid-file={run}/munged.pid", f"--log-file={self.base}/log/munged.log",
        )  # fmt: skip
        self._wait(10, "munge", lambda: self.run("munge", "-n", "-S", str(socket_)))

    def _database(self) -> None:
        run, etc, user = self.base / "run", self.base / "etc", getpass.getuser()
        data, door, port = self.base / "mysql", self.base / "run" / "mysql.sock", self.port + 2
        if not data.exists():
            options = ["--no-defaults", f"--datadir={data}", f"--user={user}", "--skip-test-db"]
            self.run("mariadb-install-db", *options, "--auth-root-authentication-method=socket")
        with open(self.base / "log" / "mariadbd.log", "w") as log:
            subprocess.Popen(
                ["mariadbd", "--no-defaults", f"--datadir={data}", f"--user={user}", "--bind-address=127.0.0.1",
                 f"--port={port}", f"--socket={door}", f"--pid-file={run}/mariadbd.pid", "--skip-name-resolve",
                 "--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900"],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        client = ("mariadb", "--no-defaults", f"--socket={door}")
        self._wait(60, "mariadb", lambda: self.run(*client, "-e", "select 1"))
        self.run(
            *client, "-e", "CREATE DATABASE IF NOT EXISTS slurm_acct_db; CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1'"
            " IDENTIFIED BY 'test'; GRANT ALL ON slurm_acct_db.* TO 'slurm'@'127.0.0.1'",
        )  # fmt: skip
        conf = etc / "slurmdbd.conf"
        conf.touch(0o600)
        conf.write_text(
            f"AuthType=auth/munge\nAuthInfo=socket={run}/munge.sock\nDbdHost={HOST}\nDbdAddr=127.0.0.1\n"
            f"DbdPort={self.port + 1}\nSlurmUser={user}\nPidFile={run}/slurmdbd.pid\n"
            f"LogFile={self.base}/log/slurmdbd.log\n"
            f"StorageType=accounting_storage/mysql\nStorageHost=127.0.0.1\nStoragePort={port}\nStorageUser=slurm\n"
            "StoragePass=test\nStorageLoc=slurm_acct_db\n"
        )
        self._daemon("slurmdbd")
        self._wait(60, "slurmdbd", lambda: self.run("sacctmgr", "-n", "show", "cluster") or True)
        for words in ("cluster voxnas", "account lab cluster=voxnas", f"user {user} account=lab cluster=voxnas"):
            self.run("sacctmgr", "-i", "add", *words.split(), check=False)

    def _daemon(self, *command: str) -> None:
        with open(self.base / "log" / "start.log", "a") as log:
            subprocess.run(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60, check=True
            )

    def _wait(self, seconds: float, what: str, ready: Callable[[], object]) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                if ready():
                    return
            except (RuntimeError, subprocess.TimeoutExpired):
                pass
            if time.monotonic() > deadline:
                logs = "".join(p.read_text(errors="replace")[-1500:] for p in (self.base / "log").glob("*.log"))
                raise RuntimeError(f"{what} did not start within {seconds:.0f} s\n{logs}")
            time.sleep(0.1)

    def _pids(self) -> dict[str, int]:
        found = {}
        for file in (self.base / "run").glob("*.pid"):
            text = file.read_text().strip()
            if text and _runs(int(text)):
                found[file.stem] = int(text)
        return found

    def _kill(self, name: str) -> None:
        pid = self._pids()[name]
        os.kill(pid, signal.SIGKILL)
        _gone(pid, 10)
        (self.base / "run" / f"{name}.pid").unlink(missing_ok=True)

    def _end(self, name: str) -> None:
        pid = self._pids().get(name)
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        if not _gone(pid, 20):
            os.kill(pid, signal.SIGKILL)
        (self.base / "run" / f"{name}.pid").unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    """Whether a process lives; one that only waits for its parent does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _gone(pid: int, seconds: float) -> bool:
    """Whether a process has ended within some seconds."""
    deadline = time.monotonic() + seconds
    while _runs(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def main(argv: list[str]) -> int:
    """Start or stop a cluster by hand."""
    if len(argv) != 2 or argv[0] not in ("start", "stop"):
        print("usage: cluster.py start|stop FOLDER", file=sys.stderr)
        return 2
    if missing():
        print(f"cluster.py: {missing()}", file=sys.stderr)
        return 1
    cluster = Cluster(Path(argv[1]).resolve())
    if argv[0] == "stop":
        cluster.stop()
    else:
        cluster.start()
        print(f"export SLURM_CONF={cluster.conf}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
