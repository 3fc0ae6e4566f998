# Most users need make run and make test only; both first install the environment.
PYTHON ?= python3
VENV ?= .venv
STUDY ?= config/studies/phantom.yaml
BENCHMARKS ?= training_loop responsiveness search_quality
CORES ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)

BIN := $(abspath $(VENV))/bin
# The build of torch: cpu, cu126, ... of PyTorch's index (envs/install.sh). The stamp names it, so that it stays chosen.
TORCH ?= $(patsubst $(VENV)/.installed-torch-%,%,$(wildcard $(VENV)/.installed-torch-*))
ENV := $(VENV)/.installed$(TORCH:%=-torch-%)
DEV := $(VENV)/.installed-dev
LOCK := pyproject.toml envs/requirements.txt envs/horovod.txt envs/install.sh envs/build_horovod.py
export PATH := $(BIN):$(PATH)
export TORCH PARTITION GPU_PARTITION ACCOUNT

.PHONY: help env docs deploy run run-fmri profiles test mutants test-slurm test-container test-pypi check bench wheel clean
.DEFAULT_GOAL := help

help:  ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "variables: STUDY=$(STUDY) BENCHMARKS=\"$(BENCHMARKS)\" CORES=$(CORES) PYTHON=$(PYTHON) VENV=$(VENV) TORCH=$(TORCH)"

env: $(DEV)  ## install the environment and the developers' tools into .venv

$(ENV): $(LOCK)
	envs/install.sh $(VENV) $(PYTHON)
	@touch $@

$(DEV): $(ENV) envs/requirements-dev.txt
	envs/install.sh --dev $(VENV)
	@touch $@

docs: $(VENV)/.installed-docs  ## build the documentation as a site in build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

$(VENV)/.installed-docs: $(ENV) envs/requirements-docs.txt
	envs/install.sh --docs $(VENV)
	@touch $@

deploy: $(ENV)  ## install ONNX Runtime and OpenVINO (97 MB), for exported models
	envs/install.sh --deploy $(VENV)

run: $(ENV)  ## run a study: STUDY=FILE, or the default study on generated data
	@voxnas run $(STUDY) --cores $(CORES)

run-fmri: $(ENV)  ## run the study of generated fMRI data, from raw BOLD to the report
	$(MAKE) run STUDY=config/studies/phantom-fmri.yaml

profiles:  ## install the Slurm profiles in Snakemake's folder; options: PARTITION, GPU_PARTITION, ACCOUNT
	@workflow/profiles/install.sh

test: $(DEV)  ## run the tests; VOXNAS_TEST_DATA=FOLDER adds the tests on real data
	OMP_NUM_THREADS=1 python -m pytest -n $(CORES) --maxprocesses 4 --dist worksteal

mutants: $(DEV)  ## plant 30 plausible faults one at a time; a test must fail for each (minutes)
	OMP_NUM_THREADS=1 python tests/mutants/plant.py

test-slurm: $(DEV)  ## run studies and inject faults on a local Slurm cluster; as root, after tests/slurm/install.sh
	VOXNAS_TEST_SLURM=1 OMP_NUM_THREADS=1 python -m pytest tests/slurm -m "not slow"

test-container: $(DEV)  ## build and test the file tree of the container image; as root, with debootstrap, ten minutes
	tests/containers/build.sh

test-pypi:  ## install from PyPI without any setting of pip, and test the Horovod built there; 7 GB, ten minutes
	tests/envs/pypi.sh

check: $(DEV)  ## check style, types, layers and the workflow
	@failed=; \
	for check in "ruff check" "ruff format --check" "snakefmt --check Snakefile workflow" "snakemake --lint" mypy lint-imports; do \
		echo "== $$check"; $$check || failed="$$failed [$$check]"; \
	done; \
	[ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

bench: $(DEV)  ## run the benchmarks that need no data; option: BENCHMARKS="NAME .."
	@for name in $(BENCHMARKS); do echo "== $$name"; python "benchmarks/$$name.py" || exit 1; done

wheel: $(DEV)  ## build the source distribution and the wheel in dist/
	@rm -rf build dist
	@python -c "from setuptools import build_meta; build_meta.build_sdist('dist')"
	@mkdir dist/source && tar -xzf dist/*.tar.gz -C dist/source --strip-components 1
	@cd dist/source && python -c "from setuptools import build_meta; build_meta.build_wheel('..')"
	@rm -rf dist/source && ls dist/*

clean:  ## remove temporary files of the tools; results and environment are kept
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache src/*.egg-info
	find src tests envs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
