#!/usr/bin/env bash
# Every family in a process of its own: benchmarks/results/DATE/FAMILY.json, one roofline of all, the tables in docs/kernels.
# A family takes up to 40 s on two cores. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=benchmarks/results/$(date +%F)
mkdir -p "$folder"
for family in ${*:-$(python -c 'from mielina.bench import FAMILIES; print(*FAMILIES)')}; do
  mielina bench "$family" --json "$folder/$family.json"
done
python tools/tables.py --roofline
