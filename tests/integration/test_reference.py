"""The reference says what the program says: commands, options, keys, counters, events, reasons; and mandoc has no word about it.

Keys and their defaults in the manual and in the example file are compared by tests/unit/test_docs.c, with the table itself.
"""

import re
import subprocess

import pytest

from program import BINARY, ROOT
from waiting import patient

MANUALS = sorted(p for p in (ROOT / "docs").glob("sluice*.[1-9]"))
OURS = {(p.stem, p.suffix[1:]) for p in MANUALS}
OTHERS = {("systemd", "1"), ("regex", "7")}


def manual(name):
    return (ROOT / "docs" / name).read_text()


def part(text, section):
    """A section of a manual page, from its heading to the next of its kind, or above it."""
    found = re.search(rf"^\.(S[hs]) {section}\n(.*)", text, re.M | re.S)
    assert found, section
    return re.split(r"^\.Sh " if found[1] == "Sh" else r"^\.S[hs] ", found[2], maxsplit=1, flags=re.M)[0]


def item(text, name):
    """What stands under one item of a list, up to the next."""
    found = re.search(rf"^\.It (?:Li|Ic|Cm) {re.escape(name)}\n(.*?)(?=^\.It |^\.El)", text, re.M | re.S)
    assert found, name
    return found[1]


def quoted(text):
    return set(re.findall(r"^\.Ql (\S+)", text, re.M))


def source(*names):
    return "\n".join(p.read_text() for name in names for p in sorted(ROOT.glob(name)))


@pytest.mark.parametrize("page", MANUALS, ids=lambda page: page.name)
def test_mandoc_has_no_word_about_it(page):
    """`make format` breaks lines that are too long."""
    done = subprocess.run(["mandoc", "-T", "lint", page], capture_output=True, text=True, timeout=patient(60))
    said = done.stdout.splitlines()
    for name, section in re.findall(r"^\.Xr (\S+) (\d)", page.read_text(), re.M):
        assert (name, section) in OURS | OTHERS, f"{page.name} refers to {name}({section})"
    # Our own pages are not where mandoc looks for those that are referred to.
    assert [line for line in said if "referenced manual not found" not in line] == []


def usage():
    done = subprocess.run([BINARY, "--help"], capture_output=True, text=True, timeout=patient(60))
    assert done.returncode == 0
    return done.stdout


def test_options():
    told = set(re.findall(r"--([a-z]+)", usage()))
    page = manual("sluice.8")
    # ".Fl -json" and ".Fl c Ar file , Fl -config Ar file"
    listed = set(re.findall(r"Fl -([a-z]+)", "\n".join(line for line in page.split("\n") if line.startswith(".It Fl"))))
    assert listed == told


def test_commands():
    told = set(re.findall(r"^(?:usage:|      ) sluice \[?([a-z]+)", usage(), re.M))
    page = manual("sluice.8")
    described = set(re.findall(r"^\.It Cm ([a-z]+)$", part(page, "DESCRIPTION"), re.M))
    assert described == told
    assert {c for c in re.findall(r"^\.Op Cm ([a-z]+)|^\.Cm ([a-z]+)", part(page, "SYNOPSIS"), re.M) for c in c if c} >= told


def test_keys_of_the_readme():
    table = re.search(r"## Keys\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.S)[1]
    page = manual("sluice.ini.5")
    for row, section in (("[server]", "SERVER"), ("[redis]", "REDIS"), ("[auth]", "AUTHENTICATION"), ("[route NAME]", "ROUTES")):
        cells = next(line for line in table.split("\n") if line.startswith(f"| `{row}`"))
        named = set(re.findall(r"`([\w.]+)`", cells.split("|")[2]))
        assert named == set(re.findall(r"^\.It Ic ([\w.]+)$", part(page, section), re.M)), row


def test_counters():
    """What `status` and `metrics` tell, and what the page lists."""
    told = set(re.findall(r'^\s*\[\w+\] =\s*\{\s*"([a-z0-9_]+)"', source("app/base/counters.c"), re.M))
    assert len(told) > 20
    listed = set(re.findall(r"^\.It Li ([a-z0-9_]+)$", part(manual("sluice.8"), "COUNTERS"), re.M))
    assert listed == told


def test_reasons():
    """Why a stream ends, is over, or may have missed something."""
    text = source("app/*/*.[ch]")
    reset = set(re.findall(r'\{\\"reason\\":\\"([a-z-]+)\\"\}', text))
    ends = re.findall(r'= \{(come_back|for_good), "([a-z_]+)"\}', text)
    got = part(manual("sluice.ini.5"), "WHAT A CLIENT GETS")
    assert len(ends) > 5 and len(reset) > 5
    assert quoted(item(got, "stream-reset")) - {"reason"} == reset
    assert quoted(item(got, "stream-end")) == {name for kind, name in ends if kind == "come_back"}
    assert quoted(item(got, "stream-done")) - {".end"} == {name for kind, name in ends if kind == "for_good"}


def test_exit_codes():
    """1 for what failed, 2 for a command line that is not understood; `wait` has 3."""
    page = manual("sluice.8")
    codes = {int(n) for n in re.findall(r"\b(\d)\b", part(page, "EXIT STATUS"))}
    in_source = {int(n) for n in re.findall(r"\breturn ([0-3]);", source("app/main.c"))} | {0, 1, 2, 3}
    assert codes == in_source
    for argv, code in (([], 1), (["--version"], 0), (["serve", "--nothing"], 2), (["check", "-c", "/nowhere.ini"], 1)):
        done = subprocess.run([BINARY, *argv], capture_output=True, timeout=patient(60), env={"SLUICE_CONFIG": "/nowhere.ini"}, check=False)
        assert done.returncode == code, (argv, done.stderr)


API = ("Message", "Options", "SubscribeOptions", "Subscription", "SyncOptions", "SyncedList", "Sluice")


def test_methods_and_options_of_the_library():
    """Each that the types name is explained in docs/client.md."""
    types, page = (ROOT / "www" / "sluice.d.ts").read_text(), (ROOT / "docs" / "client.md").read_text()
    names = set(re.findall(r"^export function (\w+)", types, re.M))
    for kind in API:
        body = re.search(rf"^export (?:interface|class) {kind}\b[^\n]*\{{\n(.*?)^\}}", types, re.M | re.S)[1]
        names |= set(re.findall(r"^\t(?:readonly )?(\w+)\??[(:<]", body, re.M)) - {"constructor"}
    assert len(names) > 40
    assert {name for name in names if not re.search(rf"\b{name}\b", page)} == set()


def test_figures_of_sizing_are_those_of_the_readme():
    """Nothing is measured twice: what `make bench` found stands in README.md, and the page repeats it."""
    readme = (ROOT / "README.md").read_text()
    page = (ROOT / "docs" / "explanation" / "sizing.md").read_text()
    figures = re.findall(r"([\d.]+ (?:µs|kB))", "\n".join(line for line in page.split("\n") if line.startswith("|")))
    assert len(figures) >= 10
    assert [figure for figure in figures if figure not in readme] == []
