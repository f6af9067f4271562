# `make run` and `make test` work in a fresh clone on a machine with Python 3.11 and nothing else; see `make help`.

PYTHON ?= python3
PREFIX ?= /usr/local
DESTDIR ?=

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet

# Every file that ends up in the built program.
SOURCES := $(shell find overseer playground onefile docs packaging -type f ! -name '*.py[co]') \
	setup.cfg pyproject.toml README.md LICENSE requirements.lock CHANGELOG.md config.yaml

# A virtual environment whose Python has gone (an upgrade of the system) is rebuilt.
$(shell test -x $(PY) || rm -f $(VENV)/.made $(VENV)/.wheels $(VENV)/.run $(VENV)/.dev)

.DEFAULT_GOAL := help
.PHONY: help run test test-all migrating soak kills seam cluster upgrades pictures lint bench build install clean distclean

help:
	@echo 'make run      start the server on config.yaml (the first time: make .venv and install what is needed)'
	@echo 'make test     run the tests           make test ARGS="tests/supervisor/pool -x" for some'
	@echo 'make test-all run those as well that repeat at length what shorter ones prove'
	@echo 'make migrating  run the tests of what docs/MIGRATING.md says'
	@echo 'make soak     hammer a real server for a minute, checking all it says'
	@echo 'make kills    kill a server a hundred times, and see that its history and logs have all'
	@echo 'make seam     fifty rounds of clients that stop reading while logs are written, compressed and removed'
	@echo 'make upgrades replace a running server a hundred times under load, and kill it at every step'
	@echo 'make cluster  kill, freeze and cut off the parts of a Dask cluster that runs tasks, and load it'
	@echo 'make pictures take the pictures of the page in docs/screenshots anew'
	@echo 'make lint     check the sources'
	@echo 'make bench    measure everything next to a bare baseline and write docs/BENCHMARKS.md (a quarter of an hour or more)'
	@echo 'make build    make dist/sticky-overseer, the whole program in one executable file'
	@echo 'make install  build, and copy it to PREFIX/bin   (PREFIX=$(PREFIX), DESTDIR for packagers)'
	@echo 'make clean    remove what build made; make distclean removes .venv and caches too'

# exec: the server gets the signals itself, and its exit status is what make sees.
run: $(VENV)/.run
	@exec $(PY) sticky_overseer.py --config config.yaml

# Four at a time, since most tests wait for processes more than they compute; a file's tests share its servers.
test: $(VENV)/.dev
	@$(PY) -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m 'not long' $(ARGS)

# Those that take long for what they add, too (`pytest.mark.long`).
test-all: $(VENV)/.dev
	@$(PY) -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

# What is promised to those who come from the program in Go.
migrating: $(VENV)/.dev
	@$(PY) -m pytest -n 4 --dist loadfile $(ARGS) $$($(PY) -m tests.docs.migrating)

# One minute of everything at once; the seed is printed. make soak ARGS="--seconds 600 --seed 7"
soak: $(VENV)/.dev
	@$(PY) -m tests.soak $(ARGS)

# A server that is killed at random moments, a hundred times; make test does so a few times, make test-all ten.
kills: $(VENV)/.dev
	@OVERSEER_TEST_KILLS=100 $(PY) -m pytest -n 3 tests/faults/test_history.py tests/faults/test_logs.py -k killed_at_any_moment $(ARGS)

# What clients that lag are sent from the log, with chance: make test does a small round.
seam: $(VENV)/.dev
	@OVERSEER_TEST_SEAM=50 $(PY) -m pytest -n 2 tests/faults/test_seam.py $(ARGS)

# A server that becomes another program a hundred times under load, and one that is killed at every step; make
# test does a little of both.
upgrades: $(VENV)/.dev
	@OVERSEER_TEST_UPGRADES=100 $(PY) -m pytest -n 2 --dist loadfile --timeout 7200 tests/upgrade $(ARGS)

# A Dask cluster that is killed, frozen, cut off and restarted part by part, with TLS, and under load; make test
# does some of it.
cluster: $(VENV)/.dev
	@OVERSEER_TEST_CLUSTER=1 $(PY) -m pytest tests/drivers/dask $(ARGS)

# What the documents show of the page, of a server at work: make pictures ARGS="home history" for some.
pictures: $(VENV)/.dev
	@OVERSEER_CHECK_LOCKS= $(PY) -m tests.pictures $(ARGS)

lint: $(VENV)/.dev
	@$(PY) -m ruff check .
	@$(PY) -m mypy

bench: $(VENV)/.run
	@$(PY) -m bench --write docs $(ARGS)

build: dist/sticky-overseer

install: build
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install -m 755 dist/sticky-overseer '$(DESTDIR)$(PREFIX)/bin/sticky-overseer'
	install -m 755 onefile/overseerctl '$(DESTDIR)$(PREFIX)/bin/overseerctl'

clean:
	rm -rf build dist

distclean: clean
	rm -rf $(VENV) *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the virtual environment; an existing one that works is taken over ---

$(VENV)/.made:
	@if ! $(PY) -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
			echo "This needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>&1 || true)." >&2; \
			echo "Name another one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }; \
		$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
			echo "$(PYTHON) has no venv and ensurepip modules, which some systems ship apart." >&2; \
			echo "On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
		echo "making $(VENV)"; \
		$(PYTHON) -m venv --clear $(VENV); \
	fi
	@touch $@

# Wheels are fetched first and kept: `make build` needs them too, and neither needs a network again.
$(VENV)/.wheels: requirements.lock | $(VENV)/.made
	@echo 'fetching what the server needs into $(VENV) (once)'
	@rm -rf $(VENV)/wheels
	@$(PIP) wheel --wheel-dir $(VENV)/wheels -r requirements.lock --constraint requirements-dev.lock setuptools shiv
	@touch $@

# The project itself is installed as a link to this checkout, for its commands (.venv/bin/overseerctl). It is a
# line in a .pth file, which costs each start of Python nothing; setuptools' usual finder doubles what it takes.
$(VENV)/.run: $(VENV)/.wheels setup.cfg pyproject.toml
	@$(PIP) install --no-index --find-links $(VENV)/wheels \
		-r requirements.lock --constraint requirements-dev.lock setuptools
	@$(PIP) install --no-index --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock tests/protocol/fetch_schemas.sh $(VENV)/.run
	@echo 'fetching what the tests need into $(VENV) (once)'
	@$(PIP) install -r requirements.lock -r requirements-dev.lock
	@tests/protocol/fetch_schemas.sh $(VENV)
	@touch $@

# --- the program in one file ---

dist/sticky-overseer: $(SOURCES) $(VENV)/.wheels | $(VENV)/.run
	@$(PIP) install --no-index --find-links $(VENV)/wheels --constraint requirements-dev.lock shiv
	@onefile/build.sh $(PY) $(VENV)/wheels $@
