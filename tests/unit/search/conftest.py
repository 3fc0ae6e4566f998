from formula_study import arriving, study  # noqa: F401 - fixtures
