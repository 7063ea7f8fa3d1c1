"""Which Sluice is tested.

SLUICE       the program (build/sluice)
SLUICE_WRAP  words to put before it, "valgrind" for one
SLUICE_SLOW  by how much every upper bound of time is stretched (known for the above)
"""

import os
import shlex
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = str(Path(os.environ.get("SLUICE", ROOT / "build" / "sluice")).resolve())
WRAP = shlex.split(os.environ.get("SLUICE_WRAP", ""))
if WRAP:
    WRAP[0] = shutil.which(WRAP[0]) or WRAP[0]  # a web server that spawns it has no PATH
IS_ROOT = os.geteuid() == 0
IS_VALGRIND = bool(WRAP) and Path(WRAP[0]).name == "valgrind"
IS_SANITIZED = os.path.exists(BINARY) and b"__asan_init" in Path(BINARY).read_bytes()
# Instrumented memory grows for reasons of its own.
IS_INSTRUMENTED = IS_VALGRIND or IS_SANITIZED
SLOW = float(os.environ.get("SLUICE_SLOW", 8 if IS_VALGRIND else 2 if IS_SANITIZED else 1))
