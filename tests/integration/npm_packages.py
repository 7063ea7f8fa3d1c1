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
            done = subprocess.run(["npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"],
                                  cwd=FOLDER, capture_output=True, text=True, timeout=600)
            assert done.returncode == 0, f"npm's packages can be had neither from its cache nor from the network:\n{done.stderr}"
            mark.write_bytes(wanted)
    return FOLDER
