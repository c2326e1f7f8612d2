"""Print every figure as it is measured; name parts of names on the command line to measure only those."""

from __future__ import annotations

import sys

from benchmarks import planning

if __name__ == "__main__":
    for figure in planning.figures():
        print(figure, flush=True)
    sys.exit(0)
