# Every target works from a clean checkout with Go, make, git and bash.
# A module is any folder with a go.mod that git tracks or does not ignore; all
# folders count where there is no git or no checkout.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

export GOWORK := off

GO ?= go
GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
BENCHSTAT := $(GO) run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
APIDIFF := $(GO) run golang.org/x/exp/cmd/apidiff@v0.0.0-20261113113407-e3970619a1a4

MODULES := $(patsubst ./%,%,$(patsubst %/,%,$(sort $(dir $(wildcard \
	$(shell git -c safe.directory='*' ls-files --cached --others --exclude-standard -- go.mod '*/go.mod' 2>/dev/null || \
		find . -name go.mod))))))
ifeq ($(wildcard go.mod),)
$(error no go.mod found: run make from the root of the checkout)
endif

# What has an API of its own: all but the examples and tests in a browser.
API_MODULES := $(filter-out examples examples/% %/browser,$(MODULES))

# What is released: all but the examples, and the modules that only compare with
# other implementations.
RELEASED_MODULES := $(filter-out %/oracle %/oldserver,$(API_MODULES))

# in-modules runs a command in every module, in all even when one fails.
in-modules = failed=; \
	for module in $(MODULES); do echo "--> $$module"; (cd "$$module" && $(1)) || failed+=" $$module"; done; \
	[[ -z $$failed ]] || { echo "failed in:$$failed" >&2; exit 1; }

BENCH ?= .
BENCHTIME ?= 1s
COUNT ?= 6
# A number of inputs, not a time: when a time is up, go test 1.26 sometimes takes
# its own deadline for a failure (go.dev/issue/75804).
FUZZTIME ?= 20000x
VERSION ?= v0.1.0
BASE ?= origin/main
export BENCH BENCHTIME COUNT FUZZTIME

.PHONY: help run axon demo check test lint fmt race cover bench fuzz tidy-check api api-check api-diff \
	interop-setup interop chain-e2e release release-check metrics-check-setup metrics-check \
	dashboard-check-setup dashboard-check

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' Makefile

run: ## Replay real prompts through the loop: DATA=prompts.jsonl RANKING=ranking.json ARGS='more flags'
	@cd examples && $(GO) run ./replay \
		$(if $(DATA),-data "$(abspath $(DATA))") $(if $(RANKING),-ranking "$(abspath $(RANKING))") $(ARGS)

axon: ## Ask a validator over HTTP on loopback, by btauth/1, Epistula, a dendrite and a bearer key
	@cd examples && $(GO) run ./axon

demo: ## Play a whole subnet on loopback: DATA=prompts.jsonl RANKING=ranking.json REPORT=page.html ARGS='more flags'
	@cd examples && $(GO) run ./sn1 \
		$(if $(DATA),-data "$(abspath $(DATA))") $(if $(RANKING),-ranking "$(abspath $(RANKING))") \
		$(if $(REPORT),-report "$(abspath $(REPORT))") $(ARGS)

check: ## The fast lane: vet, lint and test the root module without the race detector
	@$(GO) vet ./...
	@$(GOLANGCI_LINT) run ./...
	@$(GO) test ./...

test: ## Run all tests of every module under the race detector
	@$(call in-modules,$(GO) test -race ./...)

lint: ## Run go vet and golangci-lint in every module
	@for program in .ci/*.go; do $(GOLANGCI_LINT) run -c .golangci.yml "$$program" || exit; done
	@$(call in-modules,$(GO) vet ./... && $(GOLANGCI_LINT) run -c "$(CURDIR)/.golangci.yml" ./...)

fmt: ## Format the code of every module
	@$(call in-modules,$(GOLANGCI_LINT) fmt -c "$(CURDIR)/.golangci.yml" ./...)

race: ## Run the tests COUNT times over, in random order, to find rare races
	@$(call in-modules,$(GO) test -race -shuffle on -count $(COUNT) ./...)

cover: ## Show the root module's coverage, by package and in all
	@profile=$$(mktemp); trap 'rm -f "$$profile"' EXIT; \
	$(GO) test -coverpkg ./... -coverprofile "$$profile" ./... | awk '!/coverage: |no test files/'; \
	awk -f .ci/cover.awk "$$profile"

# benchstat compares by a key: a name that ends in /floor or /organic gets one.
bench: ## Run the benchmarks beside their floors: BENCH=regexp BENCHTIME=1s COUNT=6 MODULES='. contrib/keys'
	@output=$$(mktemp); trap 'rm -f "$$output"' EXIT; \
	.ci/bench $(MODULES) | tee "$$output"; \
	sed -E 's,^(Benchmark[^[:space:]]*)/(floor|organic)(-[0-9]+)?[[:space:]],\1/impl=\2\3 ,' "$$output" | \
		$(BENCHSTAT) -col /impl /dev/stdin

fuzz: ## Fuzz every target for FUZZTIME=20000x inputs
	@.ci/fuzz $(MODULES)

tidy-check: ## Check that every go.mod and go.sum is tidy
	@$(call in-modules,$(GO) mod tidy -diff)

api: ## Write api.txt, the exported API of every public package
	@text=$$(mktemp); trap 'rm -f "$$text"' EXIT; \
	$(GO) run .ci/api.go $(API_MODULES) > "$$text"; \
	cat "$$text" > api.txt

api-check: ## Check that api.txt is the exported API
	@text=$$(mktemp); trap 'rm -f "$$text"' EXIT; \
	$(GO) run .ci/api.go $(API_MODULES) > "$$text"; \
	diff -u --label api.txt --label code api.txt "$$text" || \
		{ echo 'api.txt is not the exported API: if the change is meant, run make api and commit it' >&2; exit 1; }

api-diff: ## Show what has changed in the exported API since the branch left BASE=ref, and what breaks users
	@old=$$(mktemp -d); trap 'rm -rf "$$old"' EXIT; \
	git archive --prefix=base/ "$$(git merge-base "$(BASE)" HEAD)" | tar x -C "$$old"; \
	for module in $(API_MODULES); do \
		[[ -f $$old/base/$$module/go.mod ]] || { echo "--> $$module is new"; continue; }; \
		path=$$(cd "$$module" && $(GO) list -m); echo "--> $$path"; \
		(cd "$$old/base/$$module" && $(APIDIFF) -m -w "$$old/api" "$$path"); \
		(cd "$$module" && $(APIDIFF) -m "$$old/api" "$$path"); \
	done 2> >(grep -v '^Ignoring internal package' >&2)

# The targets below need programs that do not come with Go. Their -setup installs these, so that
# .ci/run can distinguish a registry that cannot be reached from a test that fails.
INTEROP := keys axon relay subtensor/timelock

interop-setup:
	@for module in $(INTEROP); do \
		(cd contrib/$$module/interop && npm install --no-package-lock --no-audit --no-fund) || exit; \
	done

interop: interop-setup ## Compare with libraries of others: util-crypto, libsodium, openai, tle (needs Node; not part of test)
	@for module in $(INTEROP); do \
		(cd contrib/$$module && KEYS_INTEROP=1 AXON_INTEROP=1 RELAY_INTEROP=1 TIMELOCK_INTEROP=1 \
			$(GO) test -count 1 -v -run '^TestInterop' .) || exit; \
	done

chain-e2e: ## Run the chain client against a real runtime in a local node: SPEC=raonet.json (needs Node; not part of test)
	@[[ -n "$(SPEC)" ]] || { echo 'SPEC=file is needed: scripts/specs/raonet.json of opentensor/subtensor' >&2; exit 1; }
	@cd contrib/subtensor/e2e && npm install --no-package-lock --no-audit --no-fund
	@cd contrib/subtensor && CHAIN_SPEC="$(abspath $(SPEC))" $(GO) test -count 1 -v -run '^TestChainE2E$$' .

release: ## Make the modules require each other at VERSION, and print the tags to push
	@$(GO) run .ci/release.go edit $(VERSION) $(RELEASED_MODULES)

release-check: ## Serve all modules as if tagged VERSION, and build programs that use them
	@$(GO) run .ci/release.go check $(VERSION) $(RELEASED_MODULES)

metrics-check-setup:
	@command -v promtool >/dev/null || \
		{ apt-get update -q && apt-get install -qy --no-install-recommends prometheus; }

metrics-check: metrics-check-setup ## Check metrics and alert rules with promtool (installs Debian's)
	@cd contrib/prometheus && PROMTOOL=1 $(GO) test -count 1 -v -run '^TestPromtool$$' .

dashboard-check-setup:
	@command -v chromium >/dev/null || \
		{ apt-get update -q && apt-get install -qy --no-install-recommends chromium; }

dashboard-check: dashboard-check-setup ## Open the status page in Chromium: SCREENSHOTS=folder (installs Debian's)
	@cd contrib/dashboard/browser && CHROMIUM=$$(command -v chromium) \
		SCREENSHOTS="$(if $(SCREENSHOTS),$(abspath $(SCREENSHOTS)))" $(GO) test -count 1 -v .
