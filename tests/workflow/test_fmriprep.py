"""fMRIPrep is planned where it is asked for, one job a participant, and nowhere else."""

from pathlib import Path

from running import dry_run, snakemake, write_study


def test_one_job_for_each_participant(tmp_path: Path, monkeypatch) -> None:
    data = tmp_path / "data"
    for name in ("sub-01", "sub-02"):
        (data / name).mkdir(parents=True)
    (data / "dataset_description.json").write_text("{}")
    study = write_study(tmp_path, data_root=str(data), data__target="age", data__suffix="bold", task="regression")
    monkeypatch.delenv("FS_LICENSE", raising=False)
    refused = snakemake(tmp_path, "fmriprep", "-n", "--configfile", str(study), check=False)
    assert refused.returncode and "FS_LICENSE is not set" in refused.stdout + refused.stderr
    monkeypatch.setenv("FS_LICENSE", str(tmp_path / "license.txt"))
    assert dry_run(tmp_path, study, "fmriprep")[0] == {"fmriprep": 1, "fmriprep_participant": 2}
