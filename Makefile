# Every target sets up what it needs by itself; run them from any folder, e.g. `make -C path/to/facematch demo`.
# HERE is where this file lies; called from elsewhere with -f, make starts again there.
HERE := $(shell cd "$(dir $(lastword $(MAKEFILE_LIST)))" && pwd)
.DEFAULT_GOAL := help

ifneq ($(HERE),$(CURDIR))

.PHONY: help
help:
	@$(MAKE) --no-print-directory -C "$(HERE)" help
%:
	@$(MAKE) --no-print-directory -C "$(HERE)" $@

else

BIN := .venv/bin
READY := .venv/.ready
OLDEST_KUBERNETES := 1.31

.PHONY: help setup demo test lint soak bench docs image-check licences sbom audit lock clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-12s %s\n' "$$name" "$$text"; done

setup: $(READY) ## Make .venv with the locked dependencies, and fetch the photographs of demo and tests

$(READY): requirements.lock pyproject.toml infra/setup.sh
	@sh infra/setup.sh

demo: setup ## Run the main job on real servers and real photographs
	@$(BIN)/facematch demo

test: lint ## Run every check and every test
	@$(BIN)/pytest -n 5 --dist loadfile --no-loadscope-reorder

lint: setup ## Run every static check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint infra/container/Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec infra/container/compose.yaml
	$(BIN)/kubectl kustomize infra/kubernetes/base --output .venv/base.yaml
	$(BIN)/kubectl kustomize infra/kubernetes/example --output .venv/example.yaml
	$(BIN)/kubernetes-validate --strict --quiet -k $(OLDEST_KUBERNETES) .venv/base.yaml .venv/example.yaml
	$(BIN)/kubernetes-validate --strict --quiet .venv/base.yaml .venv/example.yaml
	$(BIN)/check-jsonschema --schemafile infra/kubernetes/components/keda/scaled-object.schema.json \
		infra/kubernetes/components/keda/scaled-object.yaml
	$(BIN)/yamllint --strict .
	$(BIN)/python -m infra.supply_chain licences >/dev/null
	$(BIN)/shellcheck infra/container/make-secrets.sh infra/setup.sh .ci/run

soak: setup ## Break everything at random under load; SOAK="--jobs 3000 --seed 7" says how much, and how
	@$(BIN)/python -m tests.faults.soak $(SOAK)

bench: setup ## Measure speed, side by side, as ratios; BENCH="search --users 1000000" says which part, and how much
	@$(BIN)/python -m tests.benchmarks $(BENCH)

docs: setup ## Build the documentation as a site that needs nothing else, in site/
	@$(BIN)/python -m infra.site

image-check: setup ## Build the container image and run the main job in it, where the tools can be had
	@$(BIN)/python -m infra.container.check_image $(if $(CI),--install) || [ $$? -eq 77 ]

licences: setup ## List the licence of every package and of all weights that run; fail on one that is not allowed
	@$(BIN)/python -m infra.supply_chain licences

sbom: setup ## Write the bill of materials of what runs, CycloneDX, to facematch.cdx.json
	@$(BIN)/python -m infra.supply_chain sbom >facematch.cdx.json

audit: setup ## Ask for known vulnerabilities of the locked packages; fail on one, and where nobody can be asked
	@$(BIN)/python -m infra.supply_chain audit

lock: $(READY) ## Pin the newest versions that pyproject.toml allows, with hashes
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --output-file requirements.lock

clean: ## Remove what setup, tests and demo made here
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo-output bench-output site facematch.cdx.json

endif
