"""The cluster that the tests share, and a study on it that nothing disturbed."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster import Cluster, missing
from studies import Place, copy_study, final_tables
from tiny_training import new_job, new_study  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A real Slurm; only where VOXNAS_TEST_SLURM=1 asks for it (`make test-slurm`)."""
    if os.environ.get("VOXNAS_TEST_SLURM") != "1":
        pytest.skip("starts daemons as root; `make test-slurm` does")
    if reason := missing():
        pytest.skip(reason)
    # Paths of sockets are short.
    base = Path(tempfile.mkdtemp(prefix="voxnas-slurm-"))
    started = Cluster(base)
    # A time limit ends us by SIGTERM; the daemons are to end too.
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated"))
    try:
        yield started.start()
    finally:
        started.stop()
        shutil.rmtree(base, ignore_errors=True)
        signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def undisturbed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The tiny study, run through the profile `slurm-gpu` in two parts; the first is what faults begin with."""
    place = Place(cluster, tmp_path_factory.mktemp("undisturbed"), "slurm-gpu")
    place.run("--until", "preprocess")
    begun = place.folder.with_name("begun")
    begun.mkdir()
    copy_study(place.folder, begun)
    place.run()
    return place


@pytest.fixture(scope="session")
def tables(undisturbed: Place) -> dict[str, str]:
    """The final tables of an undisturbed run."""
    return final_tables(undisturbed.study)


@pytest.fixture
def begin(cluster: Cluster, undisturbed: Place, tmp_path: Path) -> Callable[[str], Place]:
    """Function: a clone in which the study has its data, to be run through a profile."""

    def go(profile: str) -> Place:
        place = Place(cluster, tmp_path / "clone", profile)
        copy_study(undisturbed.folder.with_name("begun"), place.folder)
        return place

    return go
