"""Kill a rollout when a step is done, and roll it back: ``returning.py STEP SAFEAPPLY... -- ARGUMENTS...``."""

from __future__ import annotations

import subprocess
import sys


def there_and_back(step: int, safeapply: list[str], arguments: list[str]) -> int:
    """Return the exit code of the rollback."""
    with subprocess.Popen([*safeapply, "apply", "-v", *arguments], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.write(line)
            if f"step {step} of" in line and line.rstrip().endswith(": done"):
                process.kill()
    return subprocess.run([*safeapply, "rollback", "--yes", "--soak", "200ms"], check=False).returncode


if __name__ == "__main__":
    cut = sys.argv.index("--")
    sys.exit(there_and_back(int(sys.argv[1]), sys.argv[2:cut], sys.argv[cut + 1 :]))
