# make          build into .venv; Python edits are live from then on, C edits need `make` again
# make lint     ruff and mypy
# make test-unit

PYTHON ?= $(firstword $(wildcard /usr/bin/python3 /usr/local/bin/python3) python3)
VENV := .venv
BIN := $(VENV)/bin
BUILD := build/native

NATIVE := $(wildcard ociruntime/native/*.c) meson.build $(wildcard meson.options)
# pip without build isolation finds meson and ninja here.
export PATH := $(CURDIR)/$(BIN):$(PATH)
LINTED := $(wildcard ociruntime bundles conformance tests)

.PHONY: all lint test-unit clean
all: $(BUILD)/built

# Libraries and tools; the package itself only so that pip knows it.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	test ! -L $(VENV)/lib/python3*/site-packages/ociruntime || rm $(VENV)/lib/python3*/site-packages/ociruntime
	$(BIN)/pip install --quiet --disable-pip-version-check 'meson>=1.4' 'meson-python>=0.18' ninja
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation '.[test]'
	touch $@

# The package in .venv becomes a link to the checkout, with the built parts beside their sources.
$(BUILD)/built: $(VENV)/installed $(NATIVE)
	test -d $(BUILD)/meson-info || $(BIN)/meson setup $(BUILD) -Dwerror=true >/dev/null
	$(BIN)/meson compile -C $(BUILD) --ninja-args=--quiet
	rm -f ociruntime/core/kernel/_door*.so ociruntime/core/launch/player
	cp $(BUILD)/_door*.so ociruntime/core/kernel/
	cp $(BUILD)/player ociruntime/core/launch/
	install $(BUILD)/ociruntime $(BIN)/ociruntime
	site=$$(echo $(VENV)/lib/python3*/site-packages) && rm -rf $$site/ociruntime && ln -s $(CURDIR)/ociruntime $$site/
	touch $@

lint: all
	$(BIN)/ruff check $(LINTED)
	$(BIN)/mypy $(LINTED)

test-unit: all
	$(BIN)/pytest -q -rs tests/unit

clean:
	rm -rf build $(VENV)
	rm -f ociruntime/core/kernel/_door*.so ociruntime/core/launch/player
