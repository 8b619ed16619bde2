# Everything a person types in this project; the plain commands stand in README.md.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: audit quickstart test thorough lint bench figures proof programs house reference pictures playground clean

quickstart: .venv/.installed
	$(BIN)/chainrule quickstart

test: .venv/.installed
	$(BIN)/python -m pytest

# How fast this machine trains, decodes and starts (docs/bench.md), beside nanoGPT where NANOGPT=PATH says where it is;
# TEXT=FILE is what is learnt. On a quiet machine.
bench: .venv/.installed
	$(BIN)/chainrule bench $(or $(NAMES),training decoding starting growth $(if $(TEXT),until-loss)) \
	  $(if $(NANOGPT),--against nanogpt=$(NANOGPT)) $(if $(TEXT),--text $(TEXT)) --page benchmarks/results/page.html

# The other figures that README quotes.
figures: .venv/.installed
	$(BIN)/python benchmarks/parity.py
	$(BIN)/python benchmarks/resume.py
	$(BIN)/python benchmarks/attention.py
	$(BIN)/python benchmarks/tokenizer.py
	$(BIN)/python benchmarks/prepare.py
	$(BIN)/python benchmarks/first_minutes.py
	$(BIN)/python benchmarks/lens_health.py
	$(BIN)/python benchmarks/lens_accuracy.py
	$(BIN)/python benchmarks/lens_sensitivity.py
	$(BIN)/python benchmarks/lens_speed.py

# The tests that `make test` leaves out because they are long.
thorough: .venv/.installed
	$(BIN)/python -m pytest -m slow --timeout 3600 -n 1

# That nothing is lost: kills, refused system calls, flipped bits, full disks, signals, bad input (docs/trust.md). With
# MINUTES=2 no case takes longer than that.
proof: .venv/.installed
	$(BIN)/python -m proof $(if $(MINUTES),--minutes $(MINUTES))
	$(BIN)/python -m proof --mutants --results proof/results/mutants
	$(BIN)/python -m proof.fuzz --minutes $(or $(MINUTES),10)

# Other people's programs against the server, thoroughly: lm-eval, litellm, schemathesis.
programs: .venv/.installed
	$(BIN)/python -m pip install -q -e '.[proof]' -c constraints.txt
	$(BIN)/python -m pytest -m 'slow or not slow' --timeout 1800 -n 1 tests/serve/test_programs.py

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Known holes in what is installed; asks PyPI, so it needs the network, and its tool stands in a place of its own.
audit: .venv/.installed
	$(PYTHON) -m venv .venv/audit && .venv/audit/bin/python -m pip install -q pip-audit
	$(BIN)/python -m pip freeze --exclude-editable > .venv/audit/installed.txt
	.venv/audit/bin/pip-audit --no-deps --disable-pip -r .venv/audit/installed.txt

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -e '.[dev]' -c constraints.txt
	touch $@

house: .venv/.installed
	$(BIN)/python docs/measure_house.py --times

reference: .venv/.installed
	$(BIN)/python docs/make_reference.py
	$(BIN)/chainrule lens rules --format md > docs/lens/rules.md

pictures: .venv/.installed
	$(BIN)/python docs/make_pictures.py $(RUN)

# The pages of `chainrule serve` and `chainrule watch`; needs node. What it makes is committed: users need none. `npm ci` refuses the lock file,
# because vite has an optional dependency for Windows that the registry does not hold; `npm install` keeps the lock as it is.
playground:
	cd playground && npm install --no-audit --no-fund && npm run build

clean:
	rm -rf .venv build dist
