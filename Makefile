# `make help` lists what can be made. Nothing but Python 3.11 (with venv) and make has to be there.
PYTHON ?= python3
UV_VERSION := 0.13.9
UV := $(or $(shell command -v uv),.uv/bin/uv)
RUN := $(UV) run --no-sync
# The tests wait more than they compute: more workers than cores. Each has a Postgres server and an emulator of its own.
WORKERS ?= 4
PARALLEL := --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
SEEDED = $(if $(SEED),--seed $(SEED))
# Where it is set, every start of a service would compile all that it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo check check-lint check-types check-units test test-all test-long coverage test-infra test-browser test-pooler test-dbt test-spark test-postgres test-compose test-deploy faults lint template docs pages rds-bundle docs-check docs-site recording hooks version wheels release bench deploy ops destroy

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(UV) ## everything into .venv, from the lock file
	@$(UV) sync --locked --quiet

demo: setup ## the whole system on this machine, live; ONCE=1 ends after one verified round, LAKEHOUSE=1 adds the Iceberg tables, MODEL=examples.rentals shows another company, BREAK=drift|outage|quarantine|poison breaks it
	@$(RUN) totesys demo $(if $(ONCE),--once) $(if $(LAKEHOUSE),--lakehouse) $(if $(MODEL),--model $(MODEL)) $(if $(BREAK),--break $(BREAK))

check: setup ## lint, types and unit tests, in a minute: while you edit
	@$(MAKE) --no-print-directory --jobs=3 check-lint check-types check-units

check-lint:
	@$(RUN) ruff check --quiet . && $(RUN) ruff format --check --quiet .

check-types:
	@$(RUN) mypy

check-units:
	@$(RUN) pytest tests/unit --quiet

test: setup ## the tests that need no containers, before you commit; SEED=… varies them, ARGS="tests/unit -x" chooses
	@$(RUN) pytest $(SEEDED) $(or $(ARGS),$(PARALLEL) -m "not long and not alone")

test-all: setup ## those and the long ones: the benchmark's harness, fuzzed requests, the local servers' life, more histories
	@$(RUN) pytest $(SEEDED) $(PARALLEL) -m "not alone" $(ARGS)

test-long: setup ## only the long ones of these
	@$(RUN) pytest $(SEEDED) $(PARALLEL) -m "long and not alone" $(ARGS)

coverage: setup ## make test, and which branches of shared/, console/ and services/ it reached
	@rm -rf .coverage && mkdir .coverage
	@$(RUN) coverage run -m pytest $(SEEDED) $(PARALLEL) -m "not long and not alone" $(ARGS)
	@$(RUN) coverage combine --quiet && $(RUN) coverage report

# Checkov has an environment of its own: it pins what the project has in other versions.
test-infra: $(UV) ## the AWS templates of every kind of environment, by our rules and four tools, and planted faults; offline
	@$(UV) sync --locked --quiet --group templates
	@$(UV) sync --locked --quiet --project infra/checkov
	@$(RUN) pytest tests/infra tests/templates $(ARGS)

# Playwright is told to use Debian's Chromium: it downloads none.
test-browser: $(UV) ## the console in Chromium, with axe-core; PICTURES=1 writes docs/images anew
	@$(UV) sync --locked --quiet --group browser
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get -qq update && apt-get -qq install -y chromium >/dev/null; } \
		|| { echo "Chromium is not there: install it (apt-get install chromium), then call this again." >&2; exit 2; }
	@$(RUN) pytest tests/browser --numprocesses 2 $(if $(PICTURES),--pictures) $(ARGS)

AS_ROOT = $(shell [ "$$(id -u)" = 0 ] || echo sudo -n)
test-pooler: $(UV) ## a real PgBouncer between the pipeline and Postgres, in each of its modes
	@$(UV) sync --locked --quiet
	@command -v pgbouncer >/dev/null || { $(AS_ROOT) apt-get -qq update && $(AS_ROOT) apt-get -qq install -y pgbouncer >/dev/null; } \
		|| { echo "PgBouncer is not there: install it (apt-get install pgbouncer), then call this again." >&2; exit 2; }
	@$(RUN) pytest tests/pooler $(ARGS)

# dbt and DuckDB's Postgres extension pin versions that the project cannot have, so their environment is their own.
test-dbt: $(UV) ## dbt, psql, DuckDB and polars on a loaded warehouse, as docs/analysts.md shows them
	@$(UV) sync --locked --quiet
	@env -u UV_PROJECT_ENVIRONMENT $(UV) sync --locked --quiet --project analytics
	@command -v psql >/dev/null || { $(AS_ROOT) apt-get -qq update && $(AS_ROOT) apt-get -qq install -y postgresql-client >/dev/null; } \
		|| { echo "psql is not there: install it (apt-get install postgresql-client), then call this again." >&2; exit 2; }
	@$(RUN) pytest tests/analytics $(ARGS)

test-spark: $(UV) ## Spark's SQL on the Iceberg tables, with Sail, beside the Postgres warehouse
	@$(UV) sync --locked --quiet --group spark
	@$(RUN) pytest tests/spark $(ARGS)

# The others only use Postgres: what they ask of it, one of these asks, too.
test-postgres: $(UV) ## the integration tests that ask something of Postgres, on a version of it in a container; IMAGE=postgres:15
	@$(UV) sync --locked --quiet --group containers
	@$(RUN) pytest tests/integration --postgres $(or $(IMAGE),postgres:17) -m "postgres and not long" --numprocesses 2 --dist loadfile $(ARGS)

test-compose: $(UV) ## the whole system in containers, killed, paused, cut off, scaled, large; needs Docker with compose
	@$(UV) sync --locked --quiet --group containers
	@$(RUN) pytest tests/compose $(ARGS)

# The CDK's own command, which `make test-deploy` calls; its tag `latest` is another one.
CDK := aws-cdk@2.1148.1
test-deploy: $(UV) ## whole environments on the emulator, with containers as ECS tasks; needs Docker and npm. ARGS="-m long" plants faults
	@$(UV) sync --locked --quiet --group containers
	@command -v npm >/dev/null || { echo "npm is not there: install it (apt-get install npm), then call this again." >&2; exit 2; }
	@npm install --silent --no-audit --no-fund --no-save --prefix .cdk $(CDK)
	@$(RUN) pytest tests/deployment --numprocesses 2 --dist worksteal -m "not long" $(ARGS)

faults: setup ## every fault, with a table of what came of it; ROUNDS=7 SEED=… ARGS="-k killed" say how often and which
	@$(RUN) pytest tests/faults $(if $(ROUNDS),--rounds $(ROUNDS)) $(SEEDED) $(ARGS)

lint: setup ## ruff and mypy
	@$(MAKE) --no-print-directory --jobs=2 check-lint check-types

template: setup ## the data-plane template, made anew from the CDK app
	@$(RUN) python -m totesys_infra

docs: setup ## docs/warehouse.md, docs/settings.md, the dbt sources and Grafana's dashboard, made anew
	@$(MAKE) --no-print-directory pages

PAGES := docs
DBT := analytics/dbt/models/totesys.yml
GRAFANA := observe/grafana/dashboards/totesys.json
pages:
	@$(RUN) totesys dbt --output $(DBT)
	@$(RUN) python -m docs.build.data_dictionary $(PAGES)/warehouse.md
	@$(RUN) python -m docs.build.settings_page $(PAGES)/settings.md
	@$(RUN) python -m totesys_infra.grafana $(GRAFANA)

rds-bundle: ## the authorities of RDS, as AWS has them now; needs the internet
	@curl -fsS https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem -o shared/totesys/rds-global-bundle.pem

# Without setup: the commit hook calls it, and a commit changes nothing in .venv.
docs-check: ## whether the pages that `make docs` makes are current
	@made=$$(mktemp -d) && trap 'rm -r "$$made"' EXIT && cp -r docs "$$made" \
		&& $(MAKE) --no-print-directory pages PAGES="$$made/docs" DBT="$$made/dbt.yml" GRAFANA="$$made/grafana.json" \
		&& diff -ru --exclude=__pycache__ docs "$$made/docs" && diff -u $(DBT) "$$made/dbt.yml" \
		&& diff -u $(GRAFANA) "$$made/grafana.json" \
		|| { echo "Run make docs, and commit what it writes." >&2; exit 1; }

docs-site: $(UV) ## README and docs/ as a website in site/; a broken link fails
	@$(UV) sync --locked --quiet --group site
	@$(RUN) python -m website.build site

recording: setup ## docs/images/demo.cast and demo.svg, which the README shows: a terminal in which make demo runs
	@$(RUN) python -m website.recording docs/images/demo.cast make demo ONCE=1
	@$(UV) sync --locked --quiet --group recording
	@$(RUN) termtosvg render docs/images/demo.cast docs/images/demo.svg -t window_frame --theme gjm8 -D 8000

hooks: setup ## ruff and docs-check before each commit
	@$(RUN) pre-commit install

# pyproject.toml declares it. uv_build takes no version from elsewhere, so the members have copies.
version: $(UV) ## the version of pyproject.toml for every package; NEW=0.2.0 changes it
	@version=$(or $(NEW),$$($(UV) version --short)) && for package in $$($(UV) workspace list); do \
		$(UV) version --quiet --frozen --package "$$package" "$$version" || exit; done
	@$(UV) lock --quiet

wheels: $(UV) ## every package as a wheel in dist/, for pipx and uvx
	@rm -rf dist && $(UV) build --all-packages --wheel --quiet --out-dir dist && ls dist

release: $(UV) ## tag HEAD as the version of pyproject.toml, which the changelog must have with a date
	@version=$$($(UV) version --short) && \
		{ git diff --quiet HEAD || { echo "Commit what has changed first." >&2; exit 1; }; } && \
		{ grep -q "^## $$version - [0-9]" CHANGELOG.md \
			|| { echo "CHANGELOG.md has no section '## $$version - DATE'. Replace Unreleased with the date." >&2; exit 1; }; } && \
		{ test -d "tests/releases/$$version" \
			|| { echo "Record the release: uv run python -m tests.record_release tests/releases/$$version" >&2; exit 1; }; } && \
		git tag --annotate "v$$version" --message "totesys $$version" && echo "Tagged v$$version. Push it: git push origin v$$version"

bench: $(UV) ## how fast it is, beside the limit and beside others; SIZE=small|default|full
	@$(UV) sync --locked --quiet --group bench
	@$(RUN) python -m bench $(if $(SIZE),--size $(SIZE)) $(ARGS)

deploy: setup ## HEAD to AWS, as ENV=path.toml says; VERB=diff|smoke|rollback does that instead
	@$(RUN) python -m totesys_infra.deploy $(or $(VERB),up) $(or $(ENV),$(error say which environment: ENV=path.toml)) $(ARGS)

ops: setup ## totesys inside the environment ENV=path.toml, as a one-off task on AWS; ARGS="verify --strict"
	@$(RUN) python -m totesys_infra.deploy.ops $(or $(ENV),$(error say which environment: ENV=path.toml)) $(ARGS)

destroy: setup ## what was deployed to AWS as ENV=path.toml says, but not its data; DATA=delete that too
	@$(RUN) python -m totesys_infra.deploy down $(or $(ENV),$(error say which environment: ENV=path.toml)) \
		$(if $(filter delete,$(DATA)),--delete-data)

.uv/bin/uv:
	@$(PYTHON) -m venv .uv && .uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
