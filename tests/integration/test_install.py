"""make install and uninstall, into a folder: what is there, what stays, and that it works."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
# What make found in the environment of the tests is not for this one.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}


def make(*args):
    done = subprocess.run(["make", "-s", "-C", TOP, *args], capture_output=True, text=True, env=ENVIRONMENT, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()}


@pytest.fixture
def installed(folder):
    make("install", f"DESTDIR={folder}/to", "PREFIX=/usr")
    return folder / "to"


def test_what_is_installed(installed):
    there = files(installed)
    for name in ("usr/sbin/sluice", "usr/include/sluice/handler.h", "usr/share/pkgconfig/sluice.pc",
                 "usr/share/man/man8/sluice.8", "usr/share/man/man5/sluice.ini.5", "usr/share/man/man3/sluice-handler.3",
                 "usr/share/sluice/www/sluice.js", "etc/sluice/sluice.ini", "etc/lighttpd/conf-available/60-sluice.conf",
                 "etc/apache2/conf-available/sluice.conf", "etc/nginx/snippets/sluice.conf",
                 "lib/systemd/system/sluice.service", "lib/systemd/system/sluice.socket",
                 "usr/share/bash-completion/completions/sluice"):
        assert name in there
    for name in there:
        text = (installed / name).read_bytes()
        assert not re.search(rb"@[A-Z]+@", text) or b"\x7fELF" == text[:4], name
        assert str(installed).encode() not in text and str(TOP).encode() not in text or text[:4] == b"\x7fELF", name


def test_its_configuration_works(installed):
    done = subprocess.run([installed / "usr/sbin/sluice", "check", "-c", installed / "etc/sluice/sluice.ini"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_files_name_the_same_socket_and_prefix(installed):
    etc = installed / "etc"
    ini = (etc / "sluice/sluice.ini").read_text()
    socket = re.search(r"^listen = unix:(.*)$", ini, re.M).group(1)
    base = re.search(r"^base = (.*)$", ini, re.M).group(1)
    for name in ("lighttpd/conf-available/60-sluice.conf", "apache2/conf-available/sluice.conf", "nginx/snippets/sluice.conf"):
        text = (etc / name).read_text()
        assert socket in text and f"{base}/" in text, name
    assert f"ListenStream={socket}" in (installed / "lib/systemd/system/sluice.socket").read_text()


def test_a_handler_compiles_against_what_is_installed(installed, folder):
    flags = subprocess.run(["pkg-config", f"--define-variable=includedir={installed}/usr/include", "--cflags", "sluice"],
                           capture_output=True, text=True,
                           env={**ENVIRONMENT, "PKG_CONFIG_PATH": str(installed / "usr/share/pkgconfig")})
    assert flags.returncode == 0, flags.stderr
    example = installed / "usr/share/doc/sluice/examples/conditional.c"
    done = subprocess.run(["gcc", "-shared", "-fPIC", *flags.stdout.split(), "-o", folder / "m.so", example],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_uninstall_leaves_nothing(installed):
    make("uninstall", f"DESTDIR={installed}", "PREFIX=/usr")
    assert files(installed) == set()
    assert not list(installed.rglob("sluice")), "no folder of its own either"


def test_a_changed_configuration_stays(installed):
    ini = installed / "etc/sluice/sluice.ini"
    ini.write_text("# mine\n")
    said = make("install", f"DESTDIR={installed}", "PREFIX=/usr")
    assert ini.read_text() == "# mine\n" and f"{ini} stays as it is" in said
    assert (installed / "etc/sluice/sluice.ini.new").exists()
    make("uninstall", f"DESTDIR={installed}", "PREFIX=/usr")
    assert files(installed) == {"etc/sluice/sluice.ini"}


def test_one_version():
    version = re.search(r"^VERSION := (.*)$", (TOP / "Makefile").read_text(), re.M).group(1)
    assert (TOP / "debian/changelog").read_text().startswith(f"sluice ({version})")
    assert f"## {version}" in (TOP / "CHANGELOG.md").read_text()
    assert json.loads((TOP / "www/package.json").read_text())["version"] == version


def test_completion_knows_the_subcommands(installed):
    script = f"""
        source {installed}/usr/share/bash-completion/completions/sluice
        try() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _sluice; echo "${{COMPREPLY[*]}}"; }}
        try {installed}/usr/sbin/sluice em
        try {installed}/usr/sbin/sluice emit --st
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["emit", "--stream"], done.stdout + done.stderr
