#!/usr/bin/env bash
# Runs lint, types and the default tests in .venv; with arguments, pytest with these alone. The
# default tests are those that are not slow (pyproject.toml).
#
#   bash scripts/test.sh                            what CI runs
#   bash scripts/test.sh lint                       lint and types alone
#   bash scripts/test.sh -m slow                    the long tests
#   bash scripts/test.sh tests/ops -k gradient      some default tests
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh

prepare_environment test
bin=${VENV:-.venv}/bin
if [ $# -eq 0 ] || [ "$*" = lint ]; then
    "$bin/ruff" check .
    "$bin/ruff" format --check .
    "$bin/pyright" --pythonpath "$bin/python"
    if [ $# -gt 0 ]; then
        exit
    fi
fi
# Each process takes neighboring tests, which share fixtures and compiled programs.
exec "$bin/python" -m pytest --numprocesses "${TEST_PROCESSES:-2}" --dist worksteal "$@"
