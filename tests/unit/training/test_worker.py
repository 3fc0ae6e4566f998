from voxnas.arch.families import expand
from voxnas.io.records import read_plan, write_json
from voxnas.training import worker
from voxnas.training.distributed.single import SingleBackend
from voxnas.training.loop import Outcome
from voxnas.training.run_options import RunOptions
from voxnas.training.store import Entry


def test_samples_and_validation_have_the_patch_of_the_network(study, new_job, tmp_path, monkeypatch):
    job, entry = new_job(), Entry(tmp_path)
    assert expand(job.architecture).divisor == (4, 4, 4)
    write_json(entry.job, job)
    write_json(study.plan, read_plan(study.plan).model_copy(update={"extent": (5, 6, 3)}))
    patches = []

    def fit(network, job, training, step, sampler, validate, *_):
        patches.extend([sampler.batch([0])[0].shape[2:], validate.patch])
        return Outcome("FAILED")

    monkeypatch.setattr(worker, "fit", fit)
    worker.train_entry(study, entry, RunOptions(), SingleBackend())
    assert patches == [(8, 8, 4)] * 2
