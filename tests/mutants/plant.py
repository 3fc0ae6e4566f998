"""Plant each fault of mutants.toml in a copy of the library, and see whether its test fails.

Usage: python tests/mutants/plant.py [WORD_IN_NAME ..]

The exit status is 1 if a fault is not caught.
"""

import os
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
MUTANTS = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text(encoding="utf-8"))["mutant"]
TESTS_FAILED = 1  # exit status of pytest; all others but 0 are errors of collection or of usage


def planted(mutant: dict[str, str]) -> str:
    """Text of the file with the fault."""
    text = (PROJECT / "src" / "voxnas" / mutant["file"]).read_text(encoding="utf-8")
    count = text.count(mutant["old"])
    if count != 1:
        raise ValueError(f"{mutant['file']} holds {count} times: {mutant['old']}")
    return text.replace(mutant["old"], mutant["new"])


def run_test(mutant: dict[str, str], folder: Path) -> int:
    """Exit status of pytest on the library with the fault, in a fork that has torch already."""
    source = folder / "src"
    shutil.copytree(PROJECT / "src", source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (source / "voxnas" / mutant["file"]).write_text(planted(mutant), encoding="utf-8")
    child = os.fork()
    if not child:
        import pytest

        os.environ["PYTHONPATH"] = str(source)
        sys.path.insert(0, str(source))
        sys.dont_write_bytecode = True
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(PROJECT)
        status = pytest.main(["-x", "-p", "no:cacheprovider", f"--basetemp={folder / 'tmp'}", mutant["test"]])
        import voxnas

        os._exit(int(status) if Path(voxnas.__file__).is_relative_to(source) else 99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(words: list[str]) -> int:
    """Plant the faults whose names contain one of the words, or all; print one line for each."""
    import skopt.learning
    import torch  # before the forks, of which each saves seconds

    assert skopt and "voxnas" not in sys.modules
    torch.set_num_threads(1)
    chosen = [m for m in MUTANTS if not words or any(word in m["name"] for word in words)]
    missed = 0
    for mutant in chosen:
        with tempfile.TemporaryDirectory() as folder:
            status = run_test(mutant, Path(folder))
            caught = status == TESTS_FAILED
            print("caught  " if caught else f"MISSED {status}", mutant["name"], flush=True)
            if not caught:
                missed += 1
                print((Path(folder) / "log").read_text(errors="replace")[-2000:], flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} faults caught")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
