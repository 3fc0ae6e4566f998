"""Build Horovod for the torch of the Python that runs this, and install it: ``PYTHON envs/build_horovod.py``.

A wheel fits one Python, one build of torch and one set of operations. It is built once and kept in ``.wheels`` of the
checkout (``$VOXNAS_WHEELS`` names another folder); later installations take seconds. The build needs a C++ compiler,
make and Python's headers, and takes cmake from pip where there is none.

Gloo reduces tensors on CPUs and needs no toolkit. For a CUDA build of torch, NCCL reduces tensors on GPUs: its headers
and library come with torch; the compiler comes from PyPI for the duration of the build, or else from a CUDA toolkit of
torch's version on this machine (``HOROVOD_CUDA_HOME`` names one). Where NCCL cannot be built, Horovod is built without
it. Horovod's variables overrule this: ``HOROVOD_GPU_OPERATIONS=NCCL`` requires NCCL, ``HOROVOD_GPU_OPERATIONS=`` leaves
it out, ``HOROVOD_WITH_MPI=1`` adds MPI.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import torch

ENVS = Path(__file__).resolve().parent
REQUIREMENT = (ENVS / "horovod.txt").read_text().split()[-1]
WHEELS = Path(os.environ.get("VOXNAS_WHEELS", ENVS.parent / ".wheels"))
LOG = WHEELS / "build.log"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
MPI = os.environ.get("HOROVOD_WITH_MPI") == "1"
VARIABLES = {
    "HOROVOD_WITH_PYTORCH": "1",
    "HOROVOD_WITHOUT_TENSORFLOW": "1",
    "HOROVOD_WITHOUT_MXNET": "1",
    "HOROVOD_WITH_GLOO": "1",
    "HOROVOD_WITH_MPI" if MPI else "HOROVOD_WITHOUT_MPI": "1",
    "MAKEFLAGS": f"-j{os.cpu_count()}",
    "LDFLAGS": "-s",
    # Horovod's copy of gloo asks for a version that cmake 4 refuses, and includes <cstdint> only by way of other
    # headers, which ended with GCC 13.
    "CMAKE_POLICY_VERSION_MINIMUM": "3.5",
    "CXXFLAGS": os.environ.get("CXXFLAGS", "") + " -include cstdint",
}
EDITS = [  # file of Horovod, its text, the replacement
    # The headers of torch and of CUDA 13 need C++17. Run paths would name folders that exist during the build alone;
    # torch has loaded these libraries before Horovod.
    ("CMakeLists.txt", "set(CMAKE_CXX_STANDARD 14)", "set(CMAKE_CXX_STANDARD 17)\nset(CMAKE_SKIP_RPATH ON)"),
    ("horovod/torch/CMakeLists.txt", "set(CMAKE_CXX_STANDARD 14)", "set(CMAKE_CXX_STANDARD 17)"),
    ("horovod/common/ops/cuda/CMakeLists.txt", "set(CMAKE_CUDA_STANDARD 11)", "set(CMAKE_CUDA_STANDARD 17)"),
    # Compile for GPUs where that is asked for, rather than wherever torch finds traces of a toolkit.
    (
        "cmake/Modules/FindPytorch.cmake",
        "CUDA_HOME is not None",
        "'HOROVOD_GPU_OPERATIONS' in __import__('os').environ",
    ),
    ("setup.py", "'RelWithDebInfo'", "'Release'"),  # without the debug information that LDFLAGS strips
]
ERROR = re.compile(
    r"^\s*CMake Error.*:\n(?P<block>(?s:.*?))\n\s*(?:\n\s*\n|Call Stack)"
    r"|^.*(?:\b(?:error|ERROR|\w+Error): (?!subprocess-)|CMake Error|nvcc fatal|cannot find -l|connection broken by).*",
    re.MULTILINE,
)


class BuildError(Exception):
    """A step of the build failed; the message is the cause."""


def cause(log: str) -> str:
    """Return the first error in the output of a build, of which later errors are consequences."""
    found = ERROR.search(log)
    text = (found["block"] or found[0]) if found else (log.strip() or "no output").splitlines()[-1]
    return " ".join(text.split())[:300].rstrip(".")


def run(*command: str | Path, **variables: str) -> str:
    """Run a command with its output at the end of the log, and return the output."""
    with LOG.open("a+") as file:
        start = file.tell()
        status = subprocess.call(command, env=os.environ | variables, stdout=file, stderr=subprocess.STDOUT)
        file.seek(start)
        output = file.read()
    if status:
        raise BuildError(cause(output))
    return output


def toolkit(folder: Path) -> Path:
    """Return the root of a CUDA toolkit of torch's version: PyPI's wheels in this folder, or else the machine's."""
    if "HOROVOD_CUDA_HOME" in os.environ:
        return Path(os.environ["HOROVOD_CUDA_HOME"])
    version, failure = torch.version.cuda, "not among the packages of PyPI"
    try:
        run(*PIP, "install", "-q", "--target", folder, f"cuda-toolkit[nvcc,cccl]=={version}.*")
    except BuildError as error:
        failure = str(error)
    for library in folder.glob("nvidia/*/lib/libcudart.so.*"):
        library.with_name("libcudart.so").symlink_to(library.name)
        library.parents[1].joinpath("lib64").symlink_to("lib")
    installed = [Path(os.path.realpath(found)) for found in filter(None, [shutil.which("nvcc")])]
    for nvcc in [*folder.glob("nvidia/*/bin/nvcc"), *installed, *Path("/usr/local").glob("cuda/bin/nvcc")]:
        home = nvcc.parents[1]
        if (home / "include/cuda_runtime.h").exists() and f"release {version}," in run(nvcc, "--version"):
            return home
    raise BuildError(f"no compiler of CUDA {version}: {failure}")


def gpu_variables(operations: str, scratch: Path) -> dict[str, str]:
    """Return the variables by which Horovod compiles these operations for GPUs."""
    home, libraries = str(toolkit(scratch / "cuda")), scratch / "nccl"
    variables = {"HOROVOD_GPU_OPERATIONS": operations, "HOROVOD_CUDA_HOME": home, "CUDA_HOME": home}
    nccl = Path(torch.__file__).parents[1] / "nvidia" / "nccl"
    if nccl.exists():  # part of torch's wheels; where torch comes otherwise, HOROVOD_NCCL_HOME names the folder
        libraries.mkdir()
        (libraries / "libnccl.so").symlink_to(nccl / "lib" / "libnccl.so.2")
        variables |= {"HOROVOD_NCCL_INCLUDE": str(nccl / "include"), "HOROVOD_NCCL_LIB": str(libraries)}
    return variables | {"HOROVOD_NCCL_LINK": "SHARED", "PATH": f"{home}/bin:{os.environ['PATH']}"}


def build(operations: str, wheels: Path) -> None:
    """Build the wheel with these operations on GPUs, and leave it in the folder."""
    if not shutil.which("cmake"):
        run(*PIP, "install", "-q", "cmake==4.4.4")
    only = ("--no-deps", "--no-build-isolation", "--no-binary=horovod")
    with tempfile.TemporaryDirectory() as name:  # not among the wheels: Horovod's build takes its path for a pattern
        scratch = Path(name)
        run(*PIP, "download", *only, "-d", scratch, REQUIREMENT)
        shutil.unpack_archive(next(scratch.glob("horovod-*.tar.gz")), scratch)
        source = next(scratch.glob("horovod-*/"))
        for file, old, new in EDITS:
            text = (source / file).read_text()
            if old not in text:
                raise BuildError(f"{file} of {REQUIREMENT} does not hold {old!r}")
            (source / file).write_text(text.replace(old, new))
        variables = VARIABLES | (gpu_variables(operations, scratch) if operations else {})
        # --no-cache-dir: pip's cache of wheels knows neither the version of torch nor these variables.
        run(*PIP, "wheel", *only, "--no-cache-dir", "-w", scratch, source, **variables)
        shutil.move(next(scratch.glob("horovod-*.whl")), wheels)


def install(operations: str) -> list[str]:
    """Install Horovod with these operations on GPUs, and return what it can use of gloo, nccl and mpi."""
    tags = [
        f"cp{sys.version_info.major}{sys.version_info.minor}",
        f"torch{torch.__version__}",
        sysconfig.get_platform(),
    ]
    wheels = WHEELS / "-".join(filter(None, [*tags, operations.lower(), "mpi" * MPI]))
    wheels.mkdir(parents=True, exist_ok=True)
    if not list(wheels.glob(REQUIREMENT.replace("==", "-") + "-*.whl")):
        print(f"Building {REQUIREMENT} for {wheels.name}: two to five minutes, once (log: {LOG})", flush=True)
        build(operations, wheels)
    # --force-reinstall: an installed Horovod may have been built for another torch.
    run(*PIP, "install", "--no-index", "--no-deps", "--force-reinstall", "--find-links", wheels, REQUIREMENT)
    test = "print(*(name for name in ('gloo', 'nccl', 'mpi') if getattr(hvd, name + '_built')()))"
    return run(sys.executable, "-c", f"import horovod.torch as hvd; {test}").splitlines()[-1].split()


def main() -> None:
    """Install Horovod, and say what was built or what failed."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    LOG.write_text("")
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    asked = os.environ.pop("HOROVOD_GPU_OPERATIONS", None)
    operations = asked if asked is not None else "NCCL" if torch.version.cuda else ""
    without = f"HOROVOD_GPU_OPERATIONS={asked}" if asked is not None else f"torch {torch.__version__} has no CUDA"
    try:
        try:
            built = install(operations)
        except BuildError as error:
            if asked or not operations:
                raise
            without = str(error)
            print(f"NCCL could not be built: {without}", flush=True)
            built = install("")
    except BuildError as error:
        print(LOG.read_text()[-4000:] if os.environ.get("CI") == "true" else "", end="")
        print(f"Horovod could not be built: {error} (log: {LOG}). The launcher 'horovod' is off, all else works.")
        sys.exit(1)
    nccl = "NCCL" if "nccl" in built else f"none ({without})"
    mpi = "yes" if "mpi" in built else "no (HOROVOD_WITH_MPI=1 adds it)"
    print(f"{REQUIREMENT}: operations on CPUs: {'Gloo' if 'gloo' in built else 'none'}; on GPUs: {nccl}; MPI: {mpi}")


if __name__ == "__main__":
    main()
