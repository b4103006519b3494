#!/usr/bin/env bash
# Snakemake runs this in the working directory after it has created the environment.
set -euo pipefail
python -m pip install --no-deps "${DECAR_SOURCE:-.}"
