"""``import safeapply`` is quick, and does nothing but name things; scripts that use it are typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "library" / "script.py"
TARGET = 0.150
PROBE = """
import json, logging, signal, sys, threading, time
handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
started = time.process_time()
import safeapply
seconds = time.process_time() - started
assert handlers == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
print(json.dumps([seconds, logging.root.handlers, threading.active_count(), sorted(sys.modules)]))
"""


def test_an_import_is_quick_and_has_no_side_effects() -> None:
    """No log is set up, no signal is caught, no event loop, no thread, nothing printed; CPU time, best of three."""
    found = [_probed() for _ in range(3)]
    assert min(one[0] for one in found) < TARGET
    _, handlers, threads, modules = found[0]
    assert (handlers, threads) == ([], 1)
    assert not {"asyncio", "typer", "rich", "structlog", "aiohttp", "kubernetes"} & set(modules)


def test_using_it_needs_no_command_line() -> None:
    """Neither the terminal's libraries nor the command line's are loaded by what a script calls."""
    probe = (
        "import safeapply, sys; safeapply.apply; assert not {'typer', 'rich', 'safeapply.cli'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", probe], check=True)


@pytest.mark.parametrize(
    "checker", [("mypy", "--strict", "--warn-unused-ignores"), ("basedpyright", "--level", "error", "--project")]
)
def test_a_script_is_typed(checker: tuple[str, ...], tmp_path: Path) -> None:
    """What a script may do is accepted, and what it may not is found."""
    settings = tmp_path / "pyrightconfig.json"
    settings.write_text(
        json.dumps({"typeCheckingMode": "strict", "include": [str(SCRIPT)], "extraPaths": [str(ROOT)]})
    )
    subject = [] if checker[-1] != "--project" else [str(settings)]
    words = [sys.executable, "-m", *checker, *(subject or [str(SCRIPT)])]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def _probed() -> tuple[float, list[str], int, list[str]]:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    seconds, handlers, threads, modules = json.loads(done.stdout)
    return seconds, handlers, threads, modules
