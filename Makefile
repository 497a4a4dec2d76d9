# Every target sets up .venv itself when it is missing or older than what it is made from.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.made-from
RECIPE := pyproject.toml constraints.txt

.PHONY: study test ui docs check fix clean setup system help

help:
	@echo "make setup   make .venv, which the other targets do too, and say what to type next"
	@echo "make study   run the default study (studies/digits.yaml), or go on with it"
	@echo "make test    check style and types, and run every test"
	@echo "make ui      browse the runs in the MLflow UI, on this machine only"
	@echo "make docs    build the documentation site into build/docs"
	@echo "make system  what tests use beside Python, on Debian: a browser, LaTeX, Fashion-MNIST; tests skip what is not there"
	@echo "make check   style and types alone;  make fix  mends what can be mended by itself"
	@echo "make clean   remove .venv and caches; runs/ stays"

study: $(STAMP)
	@$(BIN)/ablate run studies/digits.yaml

test: $(STAMP)
	@scripts/check
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --ignore tests/integration
	@$(BIN)/python -m pytest tests/integration

ui: $(STAMP)
	@$(BIN)/ablate ui

docs: $(STAMP)
	@$(BIN)/python scripts/reference
	@scripts/docs
	@echo "build/docs/index.html"

check: $(STAMP)
	@scripts/check

fix: $(STAMP)
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

setup: $(STAMP)
	@echo "next: . $(BIN)/activate, then ablate doctor"

system:
	@scripts/system-packages

$(STAMP): $(RECIPE)
	@scripts/setup $(PYTHON) $(VENV) $(STAMP)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
