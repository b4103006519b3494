# The two commands of a new user are `make demo` and `make test`.
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# The first Python on this machine that the pinned packages support.
PYTHON ?= $(firstword $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p; done))

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench-fields bench-scf docs clean

help: ## Show the commands.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s '	'

setup: $(VENV)/.installed ## Create the environment .venv with pinned packages.

$(VENV)/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "decar needs Python 3.11, 3.12 or 3.13: apt-get install python3 python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: setup ## Compute the example study (config.yaml) and say what was made: eight minutes on two cores.
	snakemake --profile local --quiet rules host
	@decar summary --study config.yaml

test: setup ## Run the tests: fifteen minutes on two cores with Psi4, SLURM, Chromium and LaTeX; less without.
	pytest -n 2 --dist loadscope --no-loadscope-reorder

check: setup ## Lint, types and workflow style.
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check workflow
	snakemake --lint

format: setup ## Format the code.
	ruff check --fix .
	ruff format .
	snakefmt workflow

bench-fields: setup ## Time every field beside PySCF and Psi4: ten minutes.
	OMP_NUM_THREADS=1 python benchmarks/fields.py benchmarks/fields.json

bench-scf: setup ## Wavefunctions a core-hour beside PySCF and Psi4: half an hour.
	python benchmarks/scf.py benchmarks/scf.json

docs: setup ## Write config/README.md, config/schema.json and the tree of the README; build the site into site/.
	decar config --write config
	python docs/tree.py
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

clean: ## Remove the environment and the caches; results stay.
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .snakemake
