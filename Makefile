# Each target sets up what it needs: the virtual environment, the install, then its job.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow test-cellpose4 check clean

demo: $(VENV)/installed
	$(BIN)/lexy-train experiment=demo

test: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# Whole sweeps that are killed, fail in six ways or wait for a Slurm (which is started where it is installed).
test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m slow -rs

# Cellpose 3 and 4 exclude each other: the tests that hold for both are run once more beside 4.
test-cellpose4: $(VENV)-cellpose4/installed
	$(VENV)-cellpose4/bin/python -m pytest tests/acquire/labellers/test_cellpose.py

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/installed: EXTRA = dev
$(VENV)-cellpose4/installed: EXTRA = test-cellpose4
$(VENV)/installed $(VENV)-cellpose4/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || \
		{ echo "LEXY needs Python 3.11 or 3.12; choose one: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install -e ".[$(EXTRA)]"
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-cellpose4 dist .pytest_cache .mypy_cache .ruff_cache
