"""``python -m safeapply``."""

from __future__ import annotations

from safeapply.cli import main

if __name__ == "__main__":
    main()
