# Two commands: `make run` plays the shipped recording to a secret key, `make test` runs every test.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
BUILT  := $(VENV)/.built
SOURCES := pyproject.toml $(wildcard _ext/*)

.PHONY: run lab test slow sanitize docs build lint clean

run: $(BUILT)
	$(BIN)/qkdlab

lab: $(BUILT)
	$(BIN)/qkdlab lab

test: $(BUILT)
	$(BIN)/python -m pytest

# Minutes to hours: long statistics and large files. Their figures are in the docs.
slow: $(BUILT)
	$(BIN)/python -m pytest -m slow

# The kernels with AddressSanitizer and UndefinedBehaviorSanitizer, on every instruction path: half an hour on two cores.
KERNEL_TESTS := $(addprefix tests/test_,any_input.py amplify.py cascade.py channel.py decoy.py encode.py hashing.py \
                kernel_arguments.py match.py monte_carlo.py reconcile.py records.py sift.py streams.py)
sanitize: $(BUILT)
	.ci/sanitize $(BIN)/python $(KERNEL_TESTS)

docs: $(BUILT)
	$(BIN)/python -m pip install -q -e ".[docs]"
	$(BIN)/python -m sphinx -q -b html docs build/docs && echo "open build/docs/index.html"

lint: $(BUILT)
	$(BIN)/python -m pip install -q ruff && $(BIN)/ruff check .

build: $(BUILT)

$(BUILT): $(SOURCES)
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q -e ".[test]"
	touch $@

clean:
	rm -rf build dist $(VENV)
