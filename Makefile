# `make` sets up .venv and runs the four scripts in order; a stage whose inputs did not change is
# not run again. `make test` sets up and passes the tests.
#
#   make DATA_DIR=/path/to/csv PLOTS_DIR=/path/to/figures FLAGS="--seed 1"

PYTHON ?= python3
DATA_DIR ?= data
PLOTS_DIR ?= plots
FLAGS ?=

VENV := .venv
RUN := $(VENV)/bin/python
DIRS := --data-dir $(DATA_DIR) --plots-dir $(PLOTS_DIR) $(FLAGS)
# The options of this run: when they change, so do the inputs of every stage.
OPTIONS := $(DATA_DIR)/.options
TABLES := $(wildcard $(foreach t,exoTrain exoTest,$(DATA_DIR)/$(t).csv $(DATA_DIR)/$(t).csv.gz \
	$(DATA_DIR)/$(t).csv.zip $(DATA_DIR)/$(t).zip) $(DATA_DIR)/archive.zip)
LIBRARY := $(wildcard exoplanets/*.py exoplanets/*/*.py) exoplanets/figures/house.mplstyle
FIGURES := $(PLOTS_DIR)/starfluxspectra.png
ANALYSIS := $(PLOTS_DIR)/kde1plot.png
SPLIT := $(DATA_DIR)/preprocessed_data.pkl
METRICS := $(DATA_DIR)/metrics.json

.PHONY: all setup test lint benchmark clean FORCE
.DELETE_ON_ERROR:

all: $(FIGURES) $(ANALYSIS) $(SPLIT) $(METRICS)

$(FIGURES): data_visualization.py $(LIBRARY) $(TABLES) $(OPTIONS) | setup
	$(RUN) $< $(DIRS)

$(ANALYSIS): data_analysis.py $(FIGURES)
	$(RUN) $< $(DIRS)

$(SPLIT): data_preprocessing.py $(ANALYSIS)
	$(RUN) $< $(DIRS)

$(METRICS): cnn_classifier.py $(SPLIT)
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
	$(RUN) -m pytest

benchmark: $(VENV)/.ready-for-tests
	$(RUN) tests/benchmarks/run.py

clean:
	rm -rf $(VENV)
