# make book | lab | test | lint | notebooks | data | offline | bench | clean
# make test-oldest | test-newest: the same chapters on other versions of the packages
# Each target sets up what it needs in .venv by itself, once. No make? See README.md.

PYTHON ?= python3
bin := .venv/bin
install := $(bin)/python -m pip install --quiet --constraint constraints.txt

.PHONY: help book lab test test-oldest test-newest lint notebooks data offline bench clean

help:
	@echo "make book       build the book: strict, static, readable without internet"
	@echo "make lab        open the first chapter in JupyterLab"
	@echo "make test       run all tests: pytest --nbval (more options: ARGS='...')"
	@echo "make test-oldest, make test-newest"
	@echo "                test helpers and chapters with the oldest versions that are"
	@echo "                promised, and with the newest that there are"
	@echo "make lint       check style, types, spelling and the form of all files"
	@echo "make notebooks  run all chapters and store their outputs"
	@echo "make data       fetch all data sets, for work without an internet connection"
	@echo "make offline    one zip to carry: book, notebooks and what data there is"
	@echo "make bench      measure again what the book says about speed and results"
	@echo "make clean      remove what was built; .venv and data stay"

# --all: a changed style sheet alone would not reach pages that are built already.
book: .venv/has-book
	$(bin)/jupyter-book build . --all -W -n --keep-going
	@echo
	@echo "The book is in _build/html: open _build/html/index.html in a browser,"
	@echo "or serve it with: $(bin)/python -m http.server --directory _build/html"

lab: .venv/has-lab
	$(bin)/jupyter lab notebooks/01_tensors_and_autograd.ipynb

test: .venv/has-everything
	$(bin)/pytest --nbval $(ARGS)

# Helpers and chapters depend on versions. Stand-ins are enough.
on_versions := --nbval tests/test_helpers notebooks

test-oldest: .venv-oldest/is-ready
	COURSE_OFFLINE=1 .venv-oldest/bin/pytest $(on_versions) $(ARGS)

test-newest: .venv-newest/is-ready
	COURSE_OFFLINE=1 .venv-newest/bin/pytest $(on_versions) $(ARGS)

# The list of checks is in .pre-commit-config.yaml; "manual" adds the slow ones.
lint: .venv/has-everything
	PATH="$(CURDIR)/$(bin):$$PATH" $(bin)/pre-commit run --all-files --hook-stage manual

notebooks: .venv/has-everything
	$(bin)/ruff format --quiet notebooks
	$(bin)/python tools/run_notebooks.py

data: .venv/has-lab
	$(bin)/python -m course_utils.sources fetch

offline: .venv/has-lab book
	$(bin)/python tools/offline_copy.py

bench: .venv/has-everything
	@$(install) -e '.[bench]'
	for script in benchmarks/*.py; do $(bin)/python $$script || exit 1; done

clean:
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

# Building the book needs no PyTorch, and so no download of some gigabytes.
.venv/has-book: .venv/pyvenv.cfg pyproject.toml constraints.txt
	@echo "Setting up .venv to build the book ..."
	@$(install) $$($(bin)/python -c 'import tomllib; \
	    project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	    print(*project["optional-dependencies"]["book"])')
	@touch $@

.venv/has-lab: .venv/pyvenv.cfg pyproject.toml constraints.txt
	@echo "Setting up .venv to run the chapters; PyTorch takes a few minutes ..."
	@$(install) -e '.[lab]'
	@touch $@

.venv/has-everything: .venv/pyvenv.cfg pyproject.toml constraints.txt
	@echo "Setting up .venv to test everything; PyTorch takes a few minutes ..."
	@$(install) -e '.[book,lab,test,lint]'
	@touch .venv/has-book .venv/has-lab $@

# The oldest PyTorch that is promised has no wheels for the newest Pythons.
OLDEST_PYTHON ?= python3.11

# The oldest versions of what the course itself needs; tools such as pytest stay new.
.venv-oldest/is-ready: pyproject.toml
	@command -v $(OLDEST_PYTHON) >/dev/null || { echo "make test-oldest needs Python" \
	    "3.11 to 3.13: make test-oldest OLDEST_PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up .venv-oldest; PyTorch takes a few minutes ..."
	@$(OLDEST_PYTHON) -m venv --clear .venv-oldest
	@.venv-oldest/bin/python -m pip install --quiet uv
	@.venv-oldest/bin/uv pip compile --quiet --python .venv-oldest/bin/python \
	    --resolution lowest-direct pyproject.toml --output-file .venv-oldest/oldest.txt
	@.venv-oldest/bin/uv pip install --quiet --python .venv-oldest/bin/python \
	    --constraint .venv-oldest/oldest.txt --editable '.[lab,test]'
	@touch $@

# Set up again each time: yesterday's newest is not today's.
.PHONY: .venv-newest/is-ready
.venv-newest/is-ready:
	@echo "Setting up .venv-newest; PyTorch takes a few minutes ..."
	@$(PYTHON) -m venv --upgrade-deps .venv-newest
	@.venv-newest/bin/python -m pip install --quiet --upgrade \
	    --upgrade-strategy eager -e '.[lab,test]'

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "The course needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=python3.12"; \
	    exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
	    echo "This Python cannot make environments. On Debian and Ubuntu:" \
	    "sudo apt install python3-venv"; exit 1; }
