# make demo: two corpora from Python's own documentation, two models, 120 samples.
# make test: all but slow tests, nine minutes on two cores. make test-all: these too (processes killed, waits), and more fuzzing.
# make soak: files made to do harm, then an hour of ending every command and running it again. make bench: speed beside a plain reference, on datasets/github_commits.txt; half an hour.

PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN = .venv/Scripts
else
BIN = .venv/bin
endif
PY = $(BIN)/python
# tests of files and commands made to do harm
FUZZERS = tests/test_fuzz.py tests/test_strangers.py tests/config/test_yaml_reader.py \
	tests/generation/test_hostile_models.py tests/generation/test_archive.py tests/nft/test_edits.py \
	tests/sources/test_any_bytes.py

.PHONY: demo test test-all lint bench soak kernel clean

demo: .venv/installed
	@echo "Reading the documentation that ships with Python"
	@$(PY) demo/make_corpora.py
	@echo "Training on sentences: two minutes, a sample at each measurement"
	@$(PY) train.py --dataset python_docstrings --config demo/config.yaml
	@$(PY) generate.py --model models/python_docstrings.pt --samples 100
	@$(PY) demo/show.py python_docstrings
	@echo "Training on paragraphs: two minutes"
	@$(PY) train.py --dataset python_topics --config demo/config.yaml
	@$(PY) generate.py --model models/python_topics.pt --samples 20
	@$(PY) demo/show.py python_topics

test: .venv/installed-dev
	$(PY) -m pytest -n 2 --dist worksteal -m "not slow"

test-all: .venv/installed-dev
	$(PY) -m pytest -n 2 --dist worksteal --hypothesis-profile=thorough --durations=40

lint: .venv/installed-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m pyright

bench: .venv/installed
	$(PY) benchmarks/bench.py

soak: .venv/installed-dev
	$(PY) -m pytest -n 2 --dist worksteal --hypothesis-profile=soak $(FUZZERS)
	$(PY) benchmarks/soak.py --minutes 60 --output benchmarks/results/soak.md

# the page's matrix product, from its source; npx comes with Node.js
kernel:
	cd exporting/browser && npx --yes --package assemblyscript@0.28.20 asc kernel.ts -O3 --noAssert --runtime stub \
		--enable simd --importMemory --outFile kernel.wasm

.venv/installed: requirements.txt
	$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15) and 'Python 3.11 to 3.14 is needed: make PYTHON=python3.14')"
	@echo "Installing the pinned requirements into .venv: once, a minute or more"
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(PY) -c "open('$@', 'w').close()"

.venv/installed-dev: .venv/installed $(wildcard requirements-*.txt)
	@echo "Installing what the tests need: once"
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(PY) -c "open('$@', 'w').close()"

clean:
	$(PYTHON) -c "import shutil; [shutil.rmtree(d, ignore_errors=True) for d in ('.venv', '.pytest_cache', '.ruff_cache', '.hypothesis')]"
