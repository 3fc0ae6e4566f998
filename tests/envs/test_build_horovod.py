"""How Horovod is built: for which operations, by which compiler, and what is said when it fails."""

import importlib.util
import os
import tarfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "envs" / "build_horovod.py"


@pytest.fixture
def script(monkeypatch, tmp_path):
    """The script as a module, which keeps its wheels in a temporary folder."""
    spec = importlib.util.spec_from_file_location("build_horovod", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "WHEELS", tmp_path / "wheels")
    monkeypatch.setattr(module, "LOG", tmp_path / "wheels" / "build.log")
    monkeypatch.setattr(module.torch.version, "cuda", "13.0")
    monkeypatch.delenv("HOROVOD_GPU_OPERATIONS", raising=False)
    monkeypatch.setenv("PATH", os.environ["PATH"])  # main() adds to it
    return module


CAUSES = {  # message: log
    "Could NOT find CUDAToolkit (13)": "error: subprocess-exited-with-error\n  CMake Error at /x/F.cmake:230 (m):\n"
    "    Could NOT find CUDAToolkit\n    (13)\n  Call Stack (most recent first):\n  ERROR: Failed building wheel",
    "The CMAKE_CXX_COMPILER: g+ is not found": "CMake Error at CMakeLists.txt:16 (project):\n"
    "  The CMAKE_CXX_COMPILER:\n\n    g+\n\n  is not found.\n\n\n-- Configuring incomplete",
    "CMake Error: no build program": "-- ok\nCMake Error: no build program\nRuntimeError: CMake failed",
    "a.cc:3: fatal error: Python.h: No such file": "from a.h\na.cc:3: fatal error: Python.h: No such file\nError 1",
    "/usr/bin/ld: cannot find -lnccl": "/usr/bin/ld: cannot find -lnccl\ncollect2: error: ld returned 1",
    "Retrying after connection broken by 'E'": "Retrying after connection broken by 'E'\nERROR: None found",
    "ImportError: libcudart.so.13: cannot open": "Traceback:\nImportError: libcudart.so.13: cannot open\n",
    "python: No module named pip": "python: No module named pip\n",
    "no output": "",
}


@pytest.mark.parametrize(("message", "log"), CAUSES.items())
def test_cause_is_the_first_error_of_the_log(script, message, log):
    assert script.cause(log) == message


def built(script, monkeypatch, tmp_path, operations):
    """Variables of the build, and the edited sources, of a build by a pip that only pretends."""
    found = {}

    def pretend(*command, **variables):
        if "download" in command:
            source = tmp_path / script.REQUIREMENT.replace("==", "-")
            for name, old, _ in script.EDITS:
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                (source / name).write_text(f"before {old} behind")
            with tarfile.open(command[command.index("-d") + 1] / "horovod-0.tar.gz", "w:gz") as archive:
                archive.add(source, source.name)
        if "wheel" in command:
            found.update(variables, text="".join((command[-1] / name).read_text() for name, _, _ in script.EDITS))
            (command[-1].parent / "horovod-0-cp.whl").touch()
        if "--target" in command:
            home = command[command.index("--target") + 1] / "nvidia" / "cu13"
            for part in ("bin/nvcc", "include/cuda_runtime.h", "lib/libcudart.so.13"):
                (home / part).parent.mkdir(parents=True)
                (home / part).touch()
        return "Cuda compilation tools, release 13.0, V13.0.88"

    monkeypatch.setattr(script, "run", pretend)
    script.WHEELS.mkdir()
    script.build(operations, script.WHEELS)
    assert [path.name for path in script.WHEELS.iterdir()] == ["horovod-0-cp.whl"]
    return found


@pytest.mark.parametrize("operations", ["", "NCCL"])
def test_gpus_are_compiled_for_where_they_are_asked_for(script, monkeypatch, tmp_path, operations):
    found = built(script, monkeypatch, tmp_path, operations)
    assert all(new in found["text"] for _, _, new in script.EDITS)
    assert found["HOROVOD_WITH_GLOO"] == "1" and found.get("HOROVOD_GPU_OPERATIONS", "") == operations
    assert ("HOROVOD_CUDA_HOME" in found) == bool(operations)
    if operations:
        assert found["PATH"].startswith(found["HOROVOD_CUDA_HOME"] + "/bin:")


def test_machines_toolkit_compiles_where_pypi_has_none_and_its_version_fits(script, monkeypatch, tmp_path):
    nvcc = tmp_path / "cuda" / "bin" / "nvcc"
    (tmp_path / "cuda" / "include").mkdir(parents=True)
    (tmp_path / "cuda" / "include" / "cuda_runtime.h").touch()
    nvcc.parent.mkdir()
    nvcc.write_text("#!/bin/sh\necho 'release 13.0, V13.0.88'\n")
    nvcc.chmod(0o755)
    script.WHEELS.mkdir()
    monkeypatch.setenv("PATH", str(nvcc.parent), prepend=":")
    monkeypatch.setattr(script, "PIP", ("false",))
    assert script.toolkit(tmp_path / "wheels") == tmp_path / "cuda"
    monkeypatch.setattr(script.torch.version, "cuda", "99.9")
    with pytest.raises(script.BuildError, match=r"no compiler of CUDA 99\.9: no output"):
        script.toolkit(tmp_path / "wheels")


@pytest.mark.parametrize(
    ("asked", "failing", "said"),
    [
        (None, [], "on CPUs: Gloo; on GPUs: NCCL; MPI: no (HOROVOD_WITH_MPI=1 adds it)"),
        (None, ["NCCL"], "on GPUs: none (cannot find -lnccl); MPI"),
        ("", [], "on GPUs: none (HOROVOD_GPU_OPERATIONS=); MPI"),
        ("NCCL", ["NCCL"], "Horovod could not be built: cannot find -lnccl"),
        (None, ["NCCL", ""], "Horovod could not be built: cannot find -lnccl"),
    ],
)
def test_says_what_was_built_and_why_not(script, monkeypatch, capsys, asked, failing, said):
    def install(operations):
        if operations in failing:
            raise script.BuildError("cannot find -lnccl")
        return ["gloo", *filter(None, [operations.lower()])]

    monkeypatch.setattr(script, "install", install)
    if asked is not None:
        monkeypatch.setenv("HOROVOD_GPU_OPERATIONS", asked)
    if "could not" in said:
        with pytest.raises(SystemExit):
            script.main()
    else:
        script.main()
    assert said in capsys.readouterr().out
