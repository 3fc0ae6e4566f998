import pytest

from voxnas.complexity.energy import measure_energy, rapl_counter


def package(folder, number, energy, largest=999_999):
    path = folder / f"intel-rapl:{number}"
    path.mkdir(exist_ok=True)
    (path / "energy_uj").write_text(str(energy))
    (path / "max_energy_range_uj").write_text(str(largest))


def test_joules_of_all_packages_over_the_end_of_the_counter(tmp_path):
    package(tmp_path, 0, 400_000)
    package(tmp_path, 1, 900_000)
    (tmp_path / "intel-rapl:0:0").mkdir()  # a part of the first package
    counter = rapl_counter(tmp_path)
    package(tmp_path, 0, 500_000)
    package(tmp_path, 1, 100_000)
    assert counter() == pytest.approx(0.1 + 0.2)
    package(tmp_path, 0, 700_000)
    assert counter() == pytest.approx(0.5)


def test_no_counter_no_number(tmp_path):
    assert rapl_counter(tmp_path) is None
    package(tmp_path, 0, 1)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert rapl_counter(tmp_path) is None
    calls = []
    assert measure_energy(lambda: calls.append(1), None) is None and not calls


def test_energy_of_one_call():
    runs = []
    assert measure_energy(lambda: runs.append(1), lambda: 2.0 * len(runs), seconds=0.01) == pytest.approx(2.0)
