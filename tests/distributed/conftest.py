"""The tiny studies and jobs of the training tests."""

from tiny_training import new_job, new_study, study  # noqa: F401 - fixtures
