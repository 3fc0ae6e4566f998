"""Each planted fault has its place in the library and its test; ``make mutants`` plants them (plant.py)."""

import pytest
from mutants.plant import MUTANTS, PROJECT, planted


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant["name"])
def test_the_fault_and_its_test_exist(mutant):
    compile(planted(mutant), mutant["file"], "exec")
    file, _, name = mutant["test"].partition("::")
    assert f"def {name}(" in (PROJECT / file).read_text(encoding="utf-8")


def test_all_faults_differ():
    assert len({planted(mutant) for mutant in MUTANTS}) == len({m["name"] for m in MUTANTS}) == len(MUTANTS)
