"""Records of trainings, whose digests identify stored trainings."""

import pytest
from pydantic import ValidationError

from voxnas.arch.families.cnn import CNN
from voxnas.core.architecture import Recipe, network_key
from voxnas.core.canonical import digest
from voxnas.core.training import TRAINING, Channels, Derivation, FineTune, Fit, Supernet, Teacher, Weights

STAGES = {"widths": [4, 8], "blocks": [1, 1], "strides": [[1, 1, 1], [2, 2, 2]], "kernels": [[3, 3, 3]] * 2}
ARCHITECTURE = CNN(in_channels=1, out_channels=2, **STAGES)
FIELDS = {"architecture": ARCHITECTURE, "recipe": Recipe(loss="ce"), "fold": 0, "seed": 3, "samples": 8}
START = Weights(source="a" * 16)
TEACHER = Teacher(sources=("b" * 16,))


def test_a_plain_fit_has_the_data_that_it_had_before_there_were_kinds():
    fit = Fit(**FIELDS)
    assert set(fit.plain()) == {*FIELDS, "restarts", "schema_version"}
    assert digest(fit.plain()) == "d753c9982294"
    assert network_key(fit.architecture, fit.recipe) == "1c1f26b17392"


def test_every_kind_is_read_back_and_every_field_counts():
    trainings = [
        Fit(**FIELDS),
        Fit(**FIELDS, teacher=TEACHER),
        Fit(**FIELDS, teacher=Teacher(sources=TEACHER.sources, temperature=3.0)),
        Fit(**FIELDS, teacher=Teacher(sources=TEACHER.sources, weight=0.9)),
        Fit(**FIELDS, mask="0" * 64),
        FineTune(**FIELDS, start=START),
        FineTune(**FIELDS, start=START, teacher=TEACHER),
        FineTune(**FIELDS, start=Weights(source=START.source, channels={"ops.1": Channels(outputs=(0, 2))})),
        Supernet(**FIELDS, alpha_folds=(1,)),
        Supernet(**FIELDS, alpha_folds=(1,), alpha_learning_rate=0.1),
    ]
    for training in trainings:
        assert TRAINING.validate_python(training.plain()) == training
    assert len({digest(training.plain()) for training in trainings}) == len(trainings)


def test_a_derived_network_has_a_key_of_its_own():
    derivations = [None, Derivation(start=START), Derivation(teacher=TEACHER), Derivation(start=START, mask="0" * 64)]
    keys = {network_key(ARCHITECTURE, FIELDS["recipe"], derivation) for derivation in derivations}
    assert len(keys) == len(derivations)


def test_alphas_do_not_learn_on_the_fold_that_validates():
    with pytest.raises(ValidationError, match="fold 0, the validation fold"):
        Supernet(**FIELDS, alpha_folds=(0, 1))
