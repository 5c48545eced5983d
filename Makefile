# From a fresh clone to a submission: `make demo`. Everything runs in .venv, made from envs/requirements.lock.

SHELL := /bin/bash
BIN := .venv/bin
CORES ?= all
PYTHON ?=
KIT ?= # of gpu-kit: --golden DIR, --labels DIR, --python 3.12
MINUTES ?= 10
SEED ?= 0
PYTEST ?= -n 2 --dist loadfile --no-loadscope-reorder

export PYTHON
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help setup compile demo test drill fuzz recipes test-slurm test-cuda gpu-check gpu-kit lint format graph lock \
	clean distclean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## make .venv, or bring it up to date
	@envs/setup.sh

compile: setup ## compile Jittor and its kernels, once per machine
	@$(BIN)/python -m shanshui doctor --compile

demo: compile ## the whole pipeline on the embedded dataset: results/demo/
	@$(BIN)/snakemake --cores $(CORES) --configfile config/demo.yaml

test: compile lint ## everything that must hold: style, types, workflow, tests
	@envs/cuda_wheels.sh nvcc
	@$(BIN)/python -m pytest $(PYTEST)

test-cuda: compile ## compile all that a GPU would need with NVIDIA's compiler; no GPU, 1.4 GB to download (20 minutes)
	@envs/cuda_wheels.sh cuda
	@$(BIN)/python -m pytest -n 0 -v -s -m cuda

drill: compile ## kills the tiny run in every stage and compares what comes out, and trains by MPI (minutes)
	@$(BIN)/python -m pytest -n 0 -v -m drill

fuzz: compile ## random inputs for MINUTES (10): each ends with a right result or a sentence, and stays as it was
	@PYTHONPATH=tests $(BIN)/python -m fuzz --minutes $(MINUTES) --seed $(SEED)

recipes: compile ## every recipe of config/models from landscapes to a submission, at the smallest size (minutes)
	@$(BIN)/python -m pytest -n 0 -v -m recipes

test-slurm: compile ## the tiny run through a real Slurm; needs root and: apt-get install slurm-wlm munge
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r envs/slurm.txt
	@$(BIN)/python -m pytest -n 0 -v tests/test_slurm.py

gpu-check: setup ## prove and measure everything on this machine's GPU, 9 minutes: results/gpu-check/, to be sent with a report
	$(BIN)/python benchmarks/gpu/check.py --out results/gpu-check

gpu-kit: setup ## collect in .gpu what a bare GPU machine without network needs for gpu-check (docs/gpu.md)
	$(BIN)/python benchmarks/gpu/kit.py --into .gpu $(KIT)

lint: setup ## style and types only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/snakemake --lint --configfile config/demo.yaml

format: setup ## put style right where a program can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

graph: setup ## draw the README's rule graph anew, after a demo
	$(BIN)/snakemake --configfile config/demo.yaml --rulegraph | \
		$(BIN)/python -m shanshui.report.graph > workflow/rulegraph.svg

lock: setup ## resolve the dependencies of pyproject.toml anew, keeping what still fits
	$(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 --extra dev \
		--custom-compile-command "make lock" --output-file envs/requirements.lock pyproject.toml

clean: ## remove caches; results and .venv stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache build dist
	find src tests workflow -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove .venv too
	rm -rf .venv
