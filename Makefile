# make help lists the targets.
PYTHON     ?= python3
EXPERIMENT ?= digits
CORES      ?= $(shell getconf _NPROCESSORS_ONLN)
SITE       ?= build/site

VENV      := .venv
BIN       := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Progress is for people, not for the log of a server.
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check $(if $(CI),--quiet)
# Python compiles what it imports, and keeps that. Where it may not, as in many containers, each start
# would compile PyTorch again, so all is compiled once.
COMPILED    := $(if $(PYTHONDONTWRITEBYTECODE),--compile-bytecode)
# Several times as fast as pip, which steps in where uv fails.
UV_INSTALL  := $(BIN)/uv pip install --python $(BIN)/python $(if $(CI),--quiet) $(COMPILED)

# Notebooks run in this environment's own kernel, whatever kernels the user has elsewhere.
export JUPYTER_PREFER_ENV_PATH := 1
unexport JUPYTER_PATH

# Snakemake and Jupyter want a writable home and a user's name, which a container may lack.
ifeq ($(shell [ -w "$$HOME" ] || echo none),none)
export HOME := $(CURDIR)/build/home
endif
export LOGNAME := $(or $(LOGNAME),$(USER),nobody)

# Programs in .venv name the folder that it was made in.
MOVED := $(shell cd $(VENV) 2>/dev/null && made=$$(sed -n 's/^command = //p' pyvenv.cfg) \
	&& [ "$${made%" $$(pwd -P)"}" = "$${made:-none}" ] && echo yes)

MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup moved paper findings site bench test faults lint format lock audit lab clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED) ## install the pinned environment into .venv (PYTHON=python3)

# --no-build-isolation: build with the pinned setuptools, which torch brings, and download nothing more.
$(INSTALLED): requirements.lock pyproject.toml $(if $(MOVED),moved)
	@$(PYTHON) -c "$$CHECK_PYTHON"
	$(PYTHON) -m venv $(if $(MOVED),--clear) $(VENV)
	@echo "Installing into $(VENV): about 6 GB, half a minute or more, as the network allows"
	@$(PIP_INSTALL) --quiet $$(grep -o '^uv==[^ ;]*' requirements.lock) && $(UV_INSTALL) -r requirements.lock \
		|| { echo "uv could not install; pip does, in some minutes" >&2; $(PIP_INSTALL) -r requirements.lock; }
	$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

moved:
	@$(if $(filter setup,$(MAKECMDGOALS)),,echo ".venv was made in another folder: \
	make it again for this one: make setup" >&2; exit 1)

define CHECK_PYTHON
import re, sys
needed = re.search(r'requires-python = ">=([0-9.]+)"', open("pyproject.toml").read()).group(1)
if sys.version_info < tuple(map(int, needed.split("."))):
    sys.exit("kanlib needs Python >= %s, but $(PYTHON) is %s; try: make setup PYTHON=python%s"
             % (needed, sys.version.split()[0], needed))
endef
export CHECK_PYTHON

paper: experiments/$(EXPERIMENT).yaml setup ## run an experiment, then make its tables and figures (EXPERIMENT=digits CORES=all)
	$(BIN)/snakemake --profile profiles/local --cores $(CORES) --config experiment=$(EXPERIMENT)

# Runs only where the file does not exist.
experiments/%.yaml:
	@echo "There is no experiment '$*'. There are:" $(basename $(notdir $(wildcard experiments/*.yaml))) >&2; exit 1

findings: setup ## audit the paper and judge its claims, from the committed records
	@mkdir -p build
	$(BIN)/papermill --no-progress-bar -k python3 notebooks/00_paper.ipynb build/00_paper.ipynb
	$(BIN)/papermill --no-progress-bar -k python3 notebooks/05_audit.ipynb build/05_audit.ipynb
	$(BIN)/papermill --no-progress-bar -k python3 notebooks/06_verdicts.ipynb build/06_verdicts.ipynb

# Built aside and moved when whole: a build that fails leaves the site that was there.
# The folder that Sphinx reads is laid out as this one, so that links lead to the same places.
site: setup ## render pages, notebooks, tables and figures as a web site (build/site/index.html)
	@rm -rf $(SITE).new && mkdir -p $(SITE).new/source/results
	@cp -R README.md docs experiments figures notebooks $(SITE).new/source
	@cp -R results/*.* results/benchmarks results/published $(SITE).new/source/results
	@mv $(SITE).new/source/docs/index.md $(SITE).new/source
	$(BIN)/sphinx-build -q -W --keep-going -c docs -d $(SITE).new/doctrees $(SITE).new/source $(SITE).new/site
	@rm -rf $(SITE) && mv $(SITE).new/site $(SITE) && rm -rf $(SITE).new
	@echo "Open $(SITE)/index.html"

# pykan is one of the competitors; without it (no network) the others are measured.
bench: setup ## measure speed and memory (BENCH=--quick to try it out, --force to measure again)
	@$(BIN)/python -m pip show -qq pykan || $(PIP_INSTALL) --no-build-isolation -e '.[bench]' \
		|| echo "pykan is left out" >&2
	$(BIN)/python -m benchmarks $(BENCH)

test: lint ## lint, then run the unit tests and every notebook, three at a time: many wait
	$(BIN)/pytest -n 3

faults: setup ## kill a tiny experiment at 30 random moments and resume it (FAULTS="--kills 30 --seed 0")
	$(BIN)/python tests/faults.py $(FAULTS)

NBSTRIPOUT := $(BIN)/nbstripout --keep-output --keep-count --keep-id --extra-keys \
	"metadata.papermill metadata.language_info cell.metadata.papermill cell.metadata.execution"

lint: setup ## check style, types, import rules and notebook metadata
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo
	$(NBSTRIPOUT) --verify notebooks/*.ipynb

format: setup ## put code and notebooks into the form that lint wants
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(NBSTRIPOUT) notebooks/*.ipynb

lock: setup ## pin what pyproject.toml asks for (LOCK=--upgrade takes the newest versions)
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal -o requirements.lock $(LOCK)

# pip-audit answers with the same exit code and a traceback where it could not ask.
audit: setup ## look for known vulnerabilities of the pinned packages (needs the network)
	@mkdir -p build
	@$(BIN)/pip-audit --requirement requirements.lock --no-deps --disable-pip \
		--vulnerability-service osv --progress-spinner off 2> build/audit.txt; code=$$?; \
	if grep -q '^Traceback' build/audit.txt; then \
		tail -n 1 build/audit.txt >&2; \
		echo "Nothing was audited: the service of vulnerabilities (osv.dev) gave no answer." >&2; \
		exit 2; \
	fi; \
	grep -v '^WARNING' build/audit.txt >&2; exit $$code

lab: setup ## open JupyterLab in notebooks/
	$(BIN)/jupyter lab --notebook-dir=notebooks

clean: ## remove build/ and caches; results/ and figures/ stay
	rm -rf build .snakemake .pytest_cache .ruff_cache .import_linter_cache .hypothesis kanlib.egg-info
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
