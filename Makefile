# From a fresh clone to a submission: `make demo`. Everything runs in .venv, created from envs/requirements.lock.

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
BIN := .venv/bin
CORES ?= all
PYTHON ?=
KIT ?= # of gpu-kit: --golden DIR, --labels DIR, --python 3.12
CHOSEN = $(shell awk -F '"' '/"chosen": / { getline; print $$2 }' results/demo/select/model.json 2> /dev/null)
WEIGHTS ?= $(firstword $(wildcard results/demo/*/$(CHOSEN).safetensors))
MINUTES ?= 10
SEED ?= 0
# one worker more than cores: some tests wait for other processes
PYTEST ?= -n $(shell echo $$(( $$(nproc) + 1 ))) --dist loadfile --no-loadscope-reorder --durations 25

export PYTHON
# without the last, every process would parse the packages' sources again
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup compile demo paint docs docs-tools test drill fuzz recipes test-slurm test-cuda gpu-check gpu-kit lint format lock \
	clean distclean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## create or update .venv
	@envs/setup.sh

compile: setup ## compile Jittor and its kernels, once per machine
	@$(BIN)/python -m shanshui doctor --compile

# without doctor's table of disk space
demo: setup ## run the whole pipeline on the embedded dataset: results/demo/
	@$(BIN)/python -m shanshui doctor --compile --config config/demo.yaml | sed '/^$$/,$$d'
	@$(BIN)/snakemake --cores $(CORES) --configfile config/demo.yaml

paint: compile ## draw label maps in the browser and see images by WEIGHTS (default: the demo's, else the starter model)
	@$(BIN)/python -m shanshui paint --open $(if $(strip $(WEIGHTS)),--weights $(WEIGHTS))

docs: docs-tools ## build the documents as a site: build/docs/index.html
	@$(BIN)/python -m sphinx --quiet --fresh-env --fail-on-warning --keep-going docs build/docs
	@echo "docs: build/docs/index.html"

docs-tools: setup
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r envs/docs.txt

# style and types are checked during the compilation, which often leaves a core idle; what they say is printed after it
test: setup ## run all checks: style, types, workflow, tests
	@said=$$(mktemp) && trap 'rm -f "$$said"' EXIT; \
	{ nice $(MAKE) --no-print-directory lint docs-tools && envs/cuda_wheels.sh nvcc; } > "$$said" 2>&1 & lint=$$!; \
	$(MAKE) --no-print-directory compile; compiled=$$?; \
	wait $$lint; checked=$$?; cat "$$said"; \
	[ $$compiled = 0 ] && [ $$checked = 0 ]
	@$(BIN)/python -m pytest $(PYTEST)

test-cuda: compile ## compile all CUDA kernels with NVIDIA's compiler; needs no GPU, downloads 1.4 GB (40 minutes)
	@envs/cuda_wheels.sh cuda
	@$(BIN)/python -m pytest -n 0 -v -s -m cuda

drill: compile ## kill a tiny run in every stage and compare its results; train with MPI (minutes)
	@$(BIN)/python -m pytest -n 0 -v -m drill

fuzz: compile ## test random inputs for MINUTES (10): right result or clear message, input files unchanged
	@PYTHONPATH=tests $(BIN)/python -m fuzz --minutes $(MINUTES) --seed $(SEED)

recipes: compile ## run every recipe of config/models up to a submission, at the smallest size (minutes)
	@$(BIN)/python -m pytest -n 0 -v -m recipes

test-slurm: compile ## run the tiny run on a real Slurm; needs root and: apt-get install slurm-wlm munge
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r envs/slurm.txt
	@$(BIN)/python -m pytest -n 0 -v tests/test_slurm.py

gpu-check: setup ## verify and measure the GPU code on this machine (9 minutes): results/gpu-check/
	$(BIN)/python benchmarks/gpu/check.py --out results/gpu-check

gpu-kit: setup ## collect in .gpu the files gpu-check needs on a machine without network (docs/gpu.md)
	$(BIN)/python benchmarks/gpu/kit.py --into .gpu $(KIT)

lint: setup ## check style and types only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules workflow/Snakefile
	$(BIN)/mypy
	$(BIN)/snakemake --lint

format: setup ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules workflow/Snakefile

lock: setup ## resolve the dependencies of pyproject.toml again, keeping versions that still fit
	$(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 --extra dev --extra export \
		--custom-compile-command "make lock" --output-file envs/requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 --group docs --no-annotate \
		--constraint envs/requirements.lock --custom-compile-command "make lock" --output-file envs/docs.txt

clean: ## remove caches; keep results and .venv
	rm -rf .mypy_cache .pytest_cache .ruff_cache build dist
	find src tests workflow -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove caches and .venv
	rm -rf .venv
