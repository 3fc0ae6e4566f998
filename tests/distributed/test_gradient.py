"""A gradient search by two real processes: the alphas stay in step and are those of one process."""

import shutil
import subprocess

import numpy as np
import pytest
from plans import space_file
from tiny_training import ENVIRONMENT, skip_without, train_command, write_folds

from voxnas.core.settings import parse_settings
from voxnas.core.spec import stage_spec
from voxnas.core.trial import Result
from voxnas.io.records import read_record, write_json
from voxnas.io.tables import read_table

SPACE = space_file("cells-unet")
SPACE["cell"] = {"nodes": 1, "operations": ["plain", "separable", "skip"]}
SPACE["parameters"] |= {"stages": 2, "base_width": 2}
OPTIONS = {"trials": 3, "alpha_learning_rate": 0.05, "warm_up": 0.0}


@pytest.mark.parametrize("launcher", ["horovod", "ddp"])
def test_two_processes_find_the_alphas_of_one(new_study, launcher):
    skip_without(launcher)
    paths = new_study("segmentation", scans=8, batch_size=3)
    write_folds(paths, 2, 4)
    raw = {"methods": ["scnas"], "options": {"scnas": OPTIONS}, "budget": {"amount": 6}, "limits": {}}
    fields = {"name": "scnas", "method": "scnas", "baseline": None, "space": SPACE}
    write_json(paths.spec("search-scnas"), stage_spec(parse_settings({"search": raw}), "search", **fields))

    def search(*options):
        command = train_command(paths, "discover", "--search", "scnas", *options)
        done = subprocess.run(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, timeout=240)
        assert done.returncode == 0, done.stderr[-3000:]
        folder = paths.step("scnas", 0)
        return read_record(folder / "result.json", Result), read_table(folder / "alphas.tsv", {}).astype(float)

    one, alphas = search()
    shutil.rmtree(paths.store)
    two, found = search("--launcher", launcher, "--processes", "2")
    assert two.key == one.key and two.metrics["relaxed"] == pytest.approx(one.metrics["relaxed"], abs=1e-3)
    assert list(found.columns) == list(alphas.columns)
    np.testing.assert_allclose(found, alphas, rtol=1e-3, atol=1e-4)
    weights = [name for name in alphas if name.count("/") == 2]
    assert float(alphas[weights].iloc[-1].sub(1 / 3).abs().max()) > 0.01, "the alphas have not learnt"
