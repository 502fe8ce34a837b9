# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PYTEST = -m pytest --numprocesses 2 --quiet
SHIPPED = distilbert-sst2 distilbert-uner distilbert-squad
DATA = ../shared/data

.PHONY: help demo test test-full test-run test-parity lint format embedded $(SHIPPED) figures bench bench-quick runs ablation clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/ready ## base install; check the embedded models' hashes, classify a few sentences, tag one, answer a question
	@.venv/bin/distilbert verify distilbert-sst2
	@.venv/bin/distilbert verify distilbert-uner
	@.venv/bin/distilbert verify distilbert-squad
	@echo
	@.venv/bin/python examples/hello.py
	@echo
	@.venv/bin/distilbert classify \
	  "The plot is thin, but the acting carries it." \
	  "I expected a comedy and got two hours of silence." \
	  "Not bad at all." \
	  "The battery died after a week and support never answered." \
	  "A small, warm, quietly funny film."
	@echo
	@.venv/bin/distilbert tag "Anna Schmidt of Siemens moved from Munich to Lyon."
	@echo
	@.venv/bin/distilbert answer "Where does Anna work?" \
	  --context "Anna Schmidt moved to Lyon in spring. She works at a hospital by the river."

test: lint test-run test-parity ## the quick suite: linters, the run wing without torch, parity with transformers

test-full: .venv-run/ready .venv-dev/ready ## what takes minutes: real models on real data
	.venv-run/bin/python $(PYTEST) -m "full and not parity"
	.venv-dev/bin/python $(PYTEST) -m "full and parity"

test-run: .venv-run/ready ## the run wing's tests and all docstrings' examples, where torch is not installed
	.venv-run/bin/python $(PYTEST) -m "not full and not parity"

test-parity: .venv-dev/ready ## tests that compare with transformers
	.venv-dev/bin/python $(PYTEST) -m "not full and parity"

lint: .venv-dev/ready ## ruff, mypy --strict, and the house's arrows
	.venv-dev/bin/ruff check --quiet
	.venv-dev/bin/ruff format --quiet --check
	.venv-dev/bin/mypy
	.venv-dev/bin/lint-imports

format: .venv-dev/ready ## let ruff mend what it can
	.venv-dev/bin/ruff check --quiet --fix
	.venv-dev/bin/ruff format

embedded: $(SHIPPED) ## make the embedded bundles again from the students of `make runs` (needs ../shared)

distilbert-sst2 figures: STUDENT = runs/out/sst2-student-2
distilbert-sst2: CALIBRATE = $(DATA)/sst2/train_sentences.tsv --column sentence --label-column label
distilbert-uner: STUDENT = runs/out/ner-student
distilbert-uner: CALIBRATE = $(DATA)/ner/uner_ewt/train.iob2.gz
distilbert-squad: STUDENT = runs/out/qa-student
distilbert-squad: CALIBRATE = $(DATA)/squad/train.json.gz
$(SHIPPED): .venv-run/ready
	@test -d $(STUDENT) || { echo "$(STUDENT) is not there: make runs makes it"; exit 1; }
	rm -rf src/distilbert/embedded/$@
	.venv-run/bin/distilbert compile $(STUDENT) --out src/distilbert/embedded/$@ --about docs/cards/$@.md \
	  --calibrate $(CALIBRATE)

figures: .venv-run/ready ## the README's figures about the embedded model (needs ../shared)
	.venv-run/bin/python benchmarks/embedded.py $(STUDENT)

bench: .venv-bench/ready ## ours beside every peer, and the project's bars: some 50 idle minutes, an estimate (needs ../shared)
	.venv-bench/bin/python benchmarks/bench.py

bench-quick: .venv-bench/ready ## the same with fewer texts and rounds, in 8 minutes: nothing to quote
	.venv-bench/bin/python benchmarks/bench.py --quick

runs: .venv-dev/ready ## the project's own training runs that are missing, in order: hours (needs ../shared)
	.venv-dev/bin/python runs/ledger.py
	.venv-dev/bin/python runs/students.py
	.venv-dev/bin/python runs/agreement.py
	.venv-dev/bin/python runs/curves.py

ablation: .venv-dev/ready ## the ablation's runs that are missing, after `make runs`: hours (needs ../shared)
	.venv-dev/bin/python runs/ledger.py --ledger runs-ablation.toml
	.venv-dev/bin/python runs/ablation.py

clean: ## remove the environments
	rm -rf .venv .venv-run .venv-dev .venv-bench

# Editable, so that an environment stays good while the sources change; pyproject.toml decides what is in it.
.venv/ready: EXTRAS =
.venv-run/ready: EXTRAS = [test]
.venv-dev/ready: EXTRAS = [dev]
.venv-bench/ready: EXTRAS = [bench,report]
.venv/ready .venv-run/ready .venv-dev/ready .venv-bench/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "distilbert needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@echo "$(@D): installing distilbert$(EXTRAS) (once)"
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) --editable '.$(EXTRAS)'
	@touch $@
