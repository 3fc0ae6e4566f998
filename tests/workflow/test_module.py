"""The workflow as a module of another Snakefile, and its own report."""

from pathlib import Path

import pytest
from running import PROJECT, snakemake, write_study

OUTER = """
module voxnas:
    snakefile: "{project}/Snakefile"
    config: config["voxnas"]

use rule * from voxnas as voxnas_*

rule mine:
    default_target: True
    input:
        "results/tiny/leaderboard.tsv",
    output:
        "mine.txt",
    shell:
        "head -n 1 {{input}} > {{output}}"
"""


def test_module_plans_the_whole_study(tmp_path: Path) -> None:
    import yaml

    settings = yaml.safe_load(write_study(tmp_path).read_text())
    (tmp_path / "outer.yaml").write_text(yaml.safe_dump({"voxnas": settings}))
    (tmp_path / "Snakefile").write_text(OUTER.format(project=PROJECT))
    arguments = ["--snakefile", str(tmp_path / "Snakefile"), "--configfile", str(tmp_path / "outer.yaml")]
    done = snakemake(tmp_path, *arguments, "--dry-run")
    assert "voxnas_step" in done.stdout + done.stderr
    snakemake(tmp_path, *arguments, "--cores", "1", "results/tiny/splits.json")
    assert (tmp_path / "results/tiny/splits.json").exists()


def test_snakemake_report_holds_the_figures(study_copy: Path) -> None:
    import zipfile

    study = write_study(study_copy)
    snakemake(study_copy, "--configfile", str(study), "--report", "report.zip")
    names = zipfile.ZipFile(study_copy / "report.zip").namelist()
    assert any(name.endswith(".svg") for name in names)
    assert any("leaderboard" in name for name in names)


def test_paper_publishes_the_tables(study_copy: Path) -> None:
    study = write_study(study_copy, paper=["tiny"])
    snakemake(study_copy, "--configfile", str(study), "--cores", "2", "paper")
    published = study_copy / "results" / "published"
    leaderboard = (study_copy / "results/tiny/leaderboard.tsv").read_text()
    assert (published / "tiny" / "leaderboard.tsv").read_text() == leaderboard
    assert (published / "tiny" / "provenance.json").exists()
    assert (published / "studies.tsv").read_text().splitlines()[1].startswith("tiny\t")


@pytest.mark.parametrize("arguments", [(), ("--config", "data_root=missing")])
@pytest.mark.parametrize("text", [None, "study: mine", "data: {target: sex}"])
def test_a_plan_needs_data(tmp_path: Path, text: str | None, arguments: tuple[str, ...]) -> None:
    study = PROJECT / "config" / "studies" / "hippocampus.yaml"
    if text is not None:
        study = tmp_path / "study.yaml"
        study.write_text(text)
    done = snakemake(tmp_path, "--configfile", str(study), "--dry-run", *arguments, check=False)
    assert done.returncode == 2
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("voxnas:")]
    assert len(lines) == 1 and "data_root" in lines[0]
