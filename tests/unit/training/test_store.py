from plans import changed

from voxnas.core.settings import StudySettings
from voxnas.core.spec import stage_spec
from voxnas.training.store import Entry, store_digest

SPEC = stage_spec(StudySettings(), "train")


def test_digest_counts_what_is_science(new_job):
    job = new_job()
    base = store_digest(job, SPEC, "data")
    assert base == store_digest(new_job(), changed(SPEC, seed=5), "data")
    changes = [
        (new_job(samples=9), SPEC, "data"),
        (new_job(seed=4), SPEC, "data"),
        (new_job(fold=1), SPEC, "data"),
        (new_job(restarts=(4,)), SPEC, "data"),
        (job, changed(SPEC, version=99), "data"),
        (job, changed(SPEC, training=changed(SPEC.training, batch_size=4)), "data"),
        (job, SPEC, "other"),
    ]
    assert len({base, *(store_digest(*change) for change in changes)}) == 8


def test_damaged_weights_make_a_training_unfinished(tmp_path):
    entry = Entry(tmp_path / "e")
    entry.folder.mkdir()
    assert entry.finished() is None
    entry.weights.write_bytes(b"weights")
    entry.finish({"state": "DONE"})
    assert entry.finished()["state"] == "DONE"
    entry.weights.write_bytes(b"Weights")
    assert entry.finished() is None
    entry.weights.unlink()
    assert entry.finished() is None
