# Everything is run from here; `make help` lists the targets.
# Needs Python 3.11 or newer, git and make. No Docker, no root, no question asked.

SHELL := /bin/sh
PY := .venv/bin/python
LOCAL := $(PY) -m deploy.local
INSTALL := deploy/local/bootstrap.sh

# What the demo speaks and with whose voice; both files are optional.
RECORDING ?=
RECORDINGS ?=
STORY ?=
LANGUAGE ?= en

# Where the local stack listens, on 127.0.0.1 only. Empty: the default, or MYNAH_*_PORT.
PORT ?=
PG_PORT ?=
REDIS_PORT ?=
FLOWER_PORT ?=
ports = $(if $(PORT),--gateway-port=$(PORT)) $(if $(PG_PORT),--postgres-port=$(PG_PORT)) \
	$(if $(REDIS_PORT),--redis-port=$(REDIS_PORT)) $(if $(FLOWER_PORT),--flower-port=$(FLOWER_PORT))

# Which engines the stack serves beside eSpeak, by commas: chatterbox, chatterbox-multilingual, …
ENGINE ?= $(MYNAH_ENGINES)

# Which part's log to show, and what else to hand to pytest or the benchmarks.
PART ?=
ARGS ?=
DATA ?=

.DEFAULT_GOAL := help
.PHONY: bench-similarity bench-chatterbox bench-gpu engine-chatterbox help setup demo up down restart status logs check test bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install the services and the local stack into .venv
	@$(INSTALL) local

engine-chatterbox: setup ## install the Chatterbox engine and torch into .venv (1.4 GB)
	@$(INSTALL) chatterbox

demo: setup ## clone a voice and speak a story (RECORDING=… STORY=… LANGUAGE=en)
	@$(LOCAL) demo --recording "$(RECORDING)" --story "$(STORY)" --language "$(LANGUAGE)" $(ports)

up: setup $(if $(findstring chatterbox,$(ENGINE)),engine-chatterbox) ## start the local stack (PORT=8000 PG_PORT=… REDIS_PORT=… FLOWER_PORT=… ENGINE=chatterbox)
	@MYNAH_ENGINES="$(ENGINE)" $(LOCAL) up $(ports)

down: setup ## stop the local stack
	@$(LOCAL) down

restart: setup ## restart the services, or one part (PART=gateway)
	@$(LOCAL) restart $(PART)

status: setup ## show what runs
	@$(LOCAL) status || true

logs: setup ## follow the logs (PART=gateway for one)
	@$(LOCAL) logs --follow $(PART)

check: ## format, lint, types, import rules
	@$(INSTALL) dev
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

test: ## run the tests against real parts (ARGS="tests/unit -k name")
	@$(INSTALL) dev
	@$(INSTALL) swift
	$(PY) -m pytest $(ARGS)

bench: ## run the benchmarks against the running stack (make up)
	@$(INSTALL) dev
	@. deploy/local/uv.sh && "$$(find_uv)" pip install --quiet --python $(PY) imageio-ffmpeg
	$(PY) -m bench

bench-similarity: setup ## how near a cloned voice comes to its speaker (RECORDINGS=folder)
	@. deploy/local/uv.sh && uv=$$(find_uv) && to=--python=.venv-similarity/bin/python && \
		"$$uv" venv --quiet --allow-existing --python $(PY) .venv-similarity && \
		"$$uv" pip install --quiet $$to -r requirements/bench-similarity.txt \
			-e '.[espeak]' -c requirements/local.txt && \
		"$$uv" pip install --quiet $$to --no-deps resemblyzer==0.1.4
	.venv-similarity/bin/python -W ignore -m bench.similarity "$(RECORDINGS)"

bench-chatterbox: setup ## Chatterbox against its own library (ARGS="--quick", "--only C1,C3")
	@$(INSTALL) chatterbox
	$(PY) -W ignore -m bench.chatterbox $(ARGS)

bench-gpu: setup ## Chatterbox on one GPU (ARGS="--model turbo", "--only G1,G4"); needs a torch with CUDA
	@$(INSTALL) chatterbox
	$(PY) -W ignore -m bench.gpu_chatterbox $(ARGS)

lock: setup ## write requirements/*.txt anew (ARGS=--upgrade for newer versions)
	@deploy/local/lock.sh $(ARGS)

clean: ## stop the stack, remove environments and caches (DATA=yes: all stored voices too)
	@if [ -x $(PY) ]; then $(LOCAL) down $(if $(filter yes,$(DATA)),--remove-data); fi
	rm -rf .venv .venv-swift .venv-similarity .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
