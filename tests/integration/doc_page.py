"""A page of the documentation, and what stands in it to be run.

A block of code is run, or checked as far as its language allows. A comment on the line before it says more:
    <!-- file: NAME -->         it is a file, which stands in the page's folder before anything is run
    <!-- background -->         a command that goes on, as in a second terminal
    <!-- output -->             what the command before it prints, among more; "…" is anything
    <!-- alone -->              a configuration that is no part of the one that the page's commands use
    <!-- not run: REASON -->    nothing of it is run; it is checked all the same
"""

import re
from dataclasses import dataclass
from pathlib import Path

from program import ROOT

FOLDERS = ("tutorial", "howto", "explanation")


@dataclass
class Block:
    language: str
    text: str
    marks: dict
    line: int


def pages():
    return sorted(p for folder in FOLDERS for p in (ROOT / "docs" / folder).glob("*.md"))


def name_of(page):
    return str(Path(page).relative_to(ROOT / "docs"))


def marks_of(line):
    found = re.fullmatch(r"<!-- (.*) -->", line.strip())
    return dict((part.partition(": ")[::2]) for part in found[1].split("; ")) if found else {}


def blocks(page):
    found, inside, before = [], None, ""
    for n, line in enumerate(page.read_text().split("\n"), 1):
        if inside is None and (opened := re.fullmatch(r"```(\w*)", line)):
            inside = Block(opened[1], "", marks_of(before), n)
        elif inside is not None and line == "```":
            found.append(inside)
            inside = None
        elif inside is not None:
            inside.text += line + "\n"
        before = line
    assert inside is None, f"{page}: a block has no end"
    return found


def sections_of(text):
    """[(section, its lines)]; a block without a section is some lines of a route."""
    found = []
    for line in text.split("\n"):
        if re.match(r"\[.*\]", line):
            found.append((line.split("]")[0][1:], []))
        elif line.strip() and not line.startswith(("#", ";")):
            if not found:
                found.append(("route of_the_page", ["path = /of-the-page"] if "path =" not in text else []))
            found[-1][1].append(line)
    return found


def configuration(*texts):
    """One configuration of several texts: sections of one name become one, a key counts as it came last."""
    sections = {}
    for section, lines in (one for text in texts for one in sections_of(text)):
        keys = sections.setdefault(section, {})
        for line in lines:
            key, equals, _ = line.partition("=")
            keys[key.strip() if equals else line] = line
    return "".join(f"[{section}]\n" + "\n".join(keys.values()) + "\n\n" for section, keys in sections.items())
