#!/usr/bin/env bash
# From a clone to a network that reads handwriting: installs into .venv, trains LeNet-5 on the
# embedded digits and writes a report. Run again, it re-uses what is there.
#
#   bash scripts/quickstart.sh [FLAGS OF experiments.train]
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh

prepare_environment train,report
"${VENV:-.venv}/bin/python" -m experiments.train \
    --config=experiments/configs/lenet5_digits.py --workdir=runs/quickstart \
    --checkpoint_every=10 "$@"
