"""Print every figure as it is measured, a JSON line each; name groups on the command line to measure only those."""

from __future__ import annotations

import sys

from benchmarks import checks, churn, fleet, imports, planning, rollouts

GROUPS = {
    "imports": imports.figures,
    "planning": planning.figures,
    "checks": checks.figures,
    "rollouts": rollouts.figures,
    "churn": churn.figures,
    "fleet": fleet.figures,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or GROUPS:
        for figure in GROUPS[name]():
            print(figure, flush=True)
