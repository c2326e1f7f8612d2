"""What tests hand on to the programs that they run: where these are looked for, and signals."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

# Also beside the Python that runs the tests: where ``make unit`` puts them.
os.environ["PATH"] = os.pathsep.join((os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)))

for number in (signal.SIGHUP, signal.SIGINT):
    # Ignored by nohup, or in a shell's background, they would be ignored by every command that a test interrupts. A
    # handler is not inherited, so these get the default, and the tests themselves still ignore them.
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, lambda *_: None)
