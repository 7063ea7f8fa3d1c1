"""npm's packages as tests/clients/package-lock.json has them, in build/; the programs of that folder beside them."""

import fcntl
import shutil
import subprocess

from program import ROOT

SOURCES = ROOT / "tests" / "clients"
FOLDER = ROOT / "build" / "clients"


def install():
    """Once, also if several test files ask for it at the same time."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted, mark = (SOURCES / "package-lock.json").read_bytes(), FOLDER / "installed-lock.json"
        for path in SOURCES.glob("*.*"):
            shutil.copy(path, FOLDER)
        for path in (ROOT / "www").glob("*.js"):
            shutil.copy(path, FOLDER / f"{path.stem}.mjs")
        if not mark.exists() or mark.read_bytes() != wanted:
            subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"], cwd=FOLDER, check=True,
                           capture_output=True, timeout=300)
            mark.write_bytes(wanted)
    return FOLDER
