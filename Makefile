# Needs Python >= 3.11 and a package index, nothing else. Another interpreter: make setup PYTHON=python3.13
PYTHON ?= python3
BIN := .venv/bin
FOLDERS := schemas augmenters pipelines training commands

# Else every process of the tests would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

# uv does not read pip's settings: a package index that pip was given holds for uv too.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif

.PHONY: help setup lint format test rooms cloud-test wheel-test bench bench-train demo lock clean

help: ## Show what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: .venv/ready ## Make .venv with the package (editable) and everything the other targets need

.venv/ready: pyproject.toml setup.py constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "pairsmith needs Python >= 3.11, $(PYTHON) is not; try: make setup PYTHON=python3.12" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[all,bench,dev]'
	@# An editable install maps the folders by an import hook, which type checkers cannot follow.
	mkdir -p build/types/pairsmith
	for folder in $(FOLDERS); do ln -sfn ../../../$$folder build/types/pairsmith/$$folder; done
	touch $@

lint: setup ## Check style, types and the arrows between the folders
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PYTHONPATH=build/types $(BIN)/lint-imports

format: setup ## Put the code into the style that lint asks for
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

test: setup ## The whole suite: lint, the clouds' tests and some against the wheel; then all others, with coverage
	$(MAKE) --no-print-directory --jobs 3 --output-sync lint rooms wheel-test
	$(BIN)/pytest -n logical --maxprocesses 4 --dist worksteal -m "not wheel" --cov --cov-append

rooms: setup # other environments, the clouds' tests in theirs; kernels are compiled once for all that follows
	.ci/prism
	.ci/other-python
	$(BIN)/pairsmith augmenters >/dev/null
	.ci/cloud-test --cov --cov-report= --cov-fail-under=0

cloud-test: setup ## Only the tests of object stores and Dataflow, in an environment of their own
	.ci/cloud-test

wheel-test: setup ## Only one part of test: build the wheel, install it elsewhere, test that
	.ci/wheel-test

bench-train: setup ## Measure the trainer against others; needs the data in ../shared
	for script in loader resume tokens padding losses telemetry trainer; do $(BIN)/python benchmarks/$$script.py || exit 1; done

bench: setup ## Measure speed against others and print tables; needs the data in ../shared
	for script in augmenters edits nlpaug_adapter translation masks build plan; do $(BIN)/python benchmarks/$$script.py || exit 1; done

demo: setup ## Build pairs, train a static encoder, print a table before/after: demo/
	examples/demo/run.sh

lock: setup ## Refresh the pinned versions in constraints.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras \
	  --no-header --no-annotate --output-file constraints.txt pyproject.toml

clean: ## Remove .venv and everything that was made
	rm -rf .venv build dist demo *.egg-info .coverage* .*_cache .hypothesis
