# `make` sets up .venv and runs the four scripts in order; a stage whose inputs did not change is
# not run again. `make test` sets up and passes the tests, `make test-lowest` those with the oldest
# packages that will do.
#
#   make DATA_DIR=/path/to/csv PLOTS_DIR=/path/to/figures FLAGS="--seed 1"

PYTHON ?= python3
DATA_DIR ?= data
PLOTS_DIR ?= plots
FLAGS ?=

VENV := .venv
RUN := $(VENV)/bin/python
DIRS := --data-dir $(DATA_DIR) --plots-dir $(PLOTS_DIR) $(FLAGS)
# The options of this run: when they change, every stage runs again.
OPTIONS := $(DATA_DIR)/.options
TABLES := $(wildcard $(foreach t,exoTrain exoTest,$(DATA_DIR)/$(t).csv $(DATA_DIR)/$(t).csv.gz \
	$(DATA_DIR)/$(t).csv.zip $(DATA_DIR)/$(t).zip) $(DATA_DIR)/archive.zip)
INPUTS := $(TABLES) $(OPTIONS) requirements.txt
IMPORTED := $(shell $(PYTHON) -m exoplanets.dependencies $(wildcard *.py))
# A script and the modules that it imports, and no others.
code = $(1) $(patsubst $(1):%,%,$(filter $(1):%,$(IMPORTED)))
# What each script writes last: if it was killed, its stage runs again.
FIGURES := $(PLOTS_DIR)/starfluxspectra.png
ANALYSIS := $(DATA_DIR)/leaks.json
SPLIT := $(DATA_DIR)/preprocessed_data.pkl
METRICS := $(DATA_DIR)/metrics.json

.PHONY: all setup test test-lowest benchmark clean FORCE
.DELETE_ON_ERROR:

ifneq ($(filter all,$(or $(MAKECMDGOALS),all)),)
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
$(info All four steps take about $(shell echo $$((2 + 8 / $(CORES)))) minutes on the $(CORES) cores here; what did not change is not run again.)
endif
START := $(shell date +%s)

all: $(METRICS)
	@echo "done after $$(( $$(date +%s) - $(START) )) seconds: the results are in $(DATA_DIR) and $(PLOTS_DIR)"

$(FIGURES): $(call code,data_visualization.py) $(INPUTS) | setup
# The first script fetches the light curves, so the others wait for it; its figure does not matter.
$(ANALYSIS): $(call code,data_analysis.py) $(INPUTS) | $(FIGURES)
$(SPLIT): $(call code,data_preprocessing.py) $(INPUTS) $(ANALYSIS)
$(METRICS): $(call code,cnn_classifier.py) $(OPTIONS) $(SPLIT) | $(ANALYSIS)
$(FIGURES) $(ANALYSIS) $(SPLIT) $(METRICS):
	$(RUN) $< $(DIRS)

$(OPTIONS): FORCE
	@mkdir -p $(@D)
	@echo '$(DIRS)' | cmp -s - $@ || echo '$(DIRS)' > $@

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "CPython 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.ready-for-tests: tests/requirements.txt $(VENV)/.ready
	$(RUN) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

test: $(VENV)/.ready-for-tests
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m pytest -n 2

# With the lowest versions of all packages, on CPython 3.11.
test-lowest: $(VENV)-lowest/.ready
	$(VENV)-lowest/bin/python -m pytest -n 2 --override-ini filterwarnings=default

$(VENV)-lowest/.ready: tests/requirements-lowest.txt
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

benchmark: $(VENV)/.ready-for-tests
	$(RUN) tests/benchmarks/run.py

clean:
	rm -rf $(VENV) $(VENV)-lowest
