# make            build into .venv, so that .venv/bin/ociruntime exists (again after a change of C code only:
#                 the package there is a link to this checkout)
# make demo       run a container of this machine's own programs; RUNTIME=runc runs it with another runtime
# make test       everything: unit, end-to-end (as root), under engines, lint and types, and in a guest what this
#                 machine cannot show. A skip says why something cannot be had.
# make lint | test-unit | test-e2e | test-vm | test-clients | clean
#
# Missing system packages are installed where this is root on Debian, and named elsewhere.
# PYTHON=/path/to/python3 chooses the interpreter (3.11 or newer), else the system's own.

# The system's before a version manager's shim: a shim costs more than a container.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3 /usr/local/bin/python3) $(shell command -v python3) /usr/bin/python3)
VENV := .venv
BIN := $(VENV)/bin
BUILD := build/native
RUNTIME ?= $(BIN)/ociruntime
# pip without build isolation finds meson and ninja here.
export PATH := $(CURDIR)/$(BIN):$(PATH)

NATIVE := $(wildcard ociruntime/native/*) meson.build
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --no-warn-script-location
PYTEST := $(BIN)/pytest -rs
LINTED := $(wildcard ociruntime bundles conformance tests)

.NOTPARALLEL:
.PHONY: all demo test lint test-unit test-e2e test-vm test-clients clean

all: $(BUILD)/built

# Libraries, tools and the package as any user would install it.
$(VENV)/installed: pyproject.toml
	PYTHON=$(PYTHON) .ci/prerequisites build
	$(PYTHON) -m venv $(VENV)
	@test ! -L $(VENV)/lib/python3*/site-packages/ociruntime || rm $(VENV)/lib/python3*/site-packages/ociruntime
	$(PIP) meson meson-python ninja setuptools wheel
	$(PIP) --no-build-isolation '.[test]'
	@touch $@

# For developers: the package becomes a link to the checkout, with the built parts beside their sources.
$(BUILD)/built: $(VENV)/installed $(NATIVE)
	@test -d $(BUILD)/meson-info || meson setup $(BUILD) -Dwerror=true >/dev/null
	@ninja -C $(BUILD) --quiet
	@rm -f ociruntime/core/kernel/_door*.so ociruntime/core/_jsonio*.so ociruntime/core/launch/player ociruntime/interpreter
	@cp $(BUILD)/_door*.so ociruntime/core/kernel/
	@cp $(BUILD)/_jsonio*.so ociruntime/core/
	@test ! -e $(BUILD)/interpreter || cp $(BUILD)/interpreter ociruntime/
	@cp $(BUILD)/player ociruntime/core/launch/
	@install $(BUILD)/ociruntime $(BIN)/ociruntime
	@site=$$(echo $(VENV)/lib/python3*/site-packages) && rm -rf $$site/ociruntime && ln -s $(CURDIR)/ociruntime $$site/
	@$(BIN)/python -m compileall -q ociruntime
	@touch $@
	@echo "built $(BIN)/ociruntime"

demo: all
	@.ci/prerequisites demo
	$(BIN)/python -m bundles tour --run --runtime $(RUNTIME)

test: all
	@.ci/prerequisites test
	-@.ci/prerequisites vm
	@.ci/prerequisites clients || echo "== tests/clients skips what is not there"
	tests/clients/rootless.sh
	$(PYTEST) tests

lint: all
	$(BIN)/ruff check $(LINTED)
	$(BIN)/mypy $(LINTED)

test-unit: all
	$(PYTEST) $(wildcard tests/unit tests/law)

test-e2e: all
	@.ci/prerequisites test
	$(PYTEST) tests/e2e

# All end-to-end tests in the guest; says why where there can be none.
test-vm: all
	-@.ci/prerequisites vm
	tests/vm/test.sh

# Under podman, buildah, containerd and Docker, those that are installed; podman and buildah as an ordinary user too.
test-clients: all
	@.ci/prerequisites clients || echo "== tests/clients skips what is not there"
	$(PYTEST) tests/clients
	tests/clients/rootless.sh

clean:
	rm -rf build $(VENV)
	rm -f ociruntime/core/kernel/_door*.so ociruntime/core/_jsonio*.so ociruntime/core/launch/player ociruntime/interpreter
