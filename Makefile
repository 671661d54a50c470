# The whole interface for a developer. `make help` lists it.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FILES ?=
BENCH ?=
COMPILE := uv pip compile --generate-hashes --universal --python-version 3.11 --no-header

.PHONY: help setup demo test video browser check images e2e bench budget readme lock clean

help:  ## what can be asked for
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

setup: $(VENV)/.ready  ## install everything, hash-checked, into .venv

$(VENV)/.ready: requirements/dev.lock requirements/web.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python scripts/web_assets.py
	@touch $@

demo: setup  ## the whole service on this machine, pictures processed, everything stopped again (FILES="a.jpg b.png" for your own)
	$(BIN)/media-dev demo $(FILES)

test: setup  ## the whole suite, and the coverage of each package against its gate
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 3
	$(BIN)/coverage combine --quiet
	@mkdir -p build
	$(BIN)/coverage json --quiet -o build/coverage.json
	$(BIN)/python scripts/coverage_gates.py build/coverage.json

video: setup  ## the tests that transcode films (ffmpeg)
	$(BIN)/pytest tests/video -n 2

browser: setup  ## the player page in a real browser, its pictures in build/browser (chromium, ffmpeg)
	$(BIN)/python scripts/web_assets.py --tests
	$(BIN)/pytest tests/browser

check: setup  ## style, types, import rule, CRDs, lock file
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy scripts
	$(BIN)/mypy --config-file tests/mypy.ini tests
	$(BIN)/lint-imports
	$(BIN)/python scripts/crd_copies.py
	$(BIN)/python scripts/chart_readme.py --check
	$(BIN)/python scripts/top_folders.py
	$(BIN)/python scripts/lock_in_step.py

images: setup  ## the images, by docker or buildah, and their sizes
	$(BIN)/python -m media_devcluster.images

e2e: setup  ## the tests that need a real cluster: one is built and started, the chart installed (root, Go; E2E="-k fence")
	scripts/e2e $(E2E)

bench: setup  ## this project beside the system it replaces, turn by turn (BENCH="--quick", BENCH=--help)
	$(BIN)/python tests/perf/bench.py $(BENCH)

budget: setup  ## instructions, bytes and likeness of the pixel steps against tests/perf/budget.toml (valgrind)
	$(BIN)/python tests/perf/instructions.py --check

readme: setup  ## write the settings tables of the README anew
	$(BIN)/python scripts/settings_table.py

lock:  ## resolve the dependencies anew, with hashes (needs uv)
	$(COMPILE) --extra dev pyproject.toml -o requirements/dev.lock
	$(COMPILE) -c requirements/dev.lock --extra api --extra operator pyproject.toml -o requirements/api.lock
	$(COMPILE) -c requirements/dev.lock --extra worker pyproject.toml -o requirements/worker.lock
	$(COMPILE) -c requirements/dev.lock tests/perf/peer/requirements.in -o requirements/perf.lock
	echo 'hatchling>=1.27' | $(COMPILE) -c requirements/dev.lock - -o requirements/build.lock

clean:  ## remove what tests and tools left behind; .venv stays
	rm -rf build dist demo .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
