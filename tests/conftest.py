"""Programs that tests run are also looked for beside the Python that runs them: where ``make unit`` puts them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["PATH"] = os.pathsep.join((os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)))
