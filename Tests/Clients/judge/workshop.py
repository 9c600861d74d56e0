"""Gets what the clients need, by pip and apt-get, and keeps it in .build/. Knows no test."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from . import places

PIP_SECONDS = 300
APT_SECONDS = 900
REQUIREMENTS = places.CLIENTS / "requirements"


class Unavailable(Exception):
    """Something that a suite needs could not be had; the text says what and why."""


def call(command, *, seconds, **options):
    """Runs a command to its end; its output is only shown when it fails."""
    command = [str(word) for word in command]
    try:
        done = subprocess.run(
            command, timeout=seconds, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        raise Unavailable(f"{' '.join(command)}: {error}") from None
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout


def apt(*packages):
    """Installs Debian packages, with sudo when we are not root."""
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    noninteractive = [
        *sudo,
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-o",
        "DPkg::Lock::Timeout=300",
    ]
    call([*noninteractive, "update", "-q"], seconds=APT_SECONDS)
    call([*noninteractive, "install", "-q", "-y", "--no-install-recommends", *packages], seconds=APT_SECONDS)


def environment(folder: Path, requirements: Path) -> Path:
    """A virtual environment with exactly these requirements; returns its python."""
    python, stamp = folder / "bin" / "python", folder / ".requirements"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    try:
        import ensurepip  # noqa: F401  Debian ships it apart, as python3-venv
    except ImportError:
        apt("python3-venv")
    shutil.rmtree(folder, ignore_errors=True)
    call([sys.executable, "-m", "venv", folder], seconds=PIP_SECONDS)
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q", "-r", requirements]
    call(pip, seconds=PIP_SECONDS)
    stamp.write_text(wanted)
    return python


def client_environment(name: str) -> Path:
    return environment(places.WORK / f"venv-{name}", REQUIREMENTS / f"{name}.txt")


def examples_environment() -> Path:
    """The one that examples/README.md tells people to use."""
    return environment(places.BUILD / "venv", places.EXAMPLES / "requirements.txt")


def source(name: str, version: str) -> Path:
    """A fresh copy of a source distribution from PyPI, for the suite to patch."""
    kept = places.WORK / "sources" / f"{name}-{version}"
    if not kept.exists():
        download = places.WORK / "downloads"
        download.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-q", "--no-deps"]
        call([*pip, "--no-binary", name, "-d", download, f"{name}=={version}"], seconds=PIP_SECONDS)
        unpacked = places.WORK / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir()
        stem = f"{name.replace('-', '_')}-{version}"  # PEP 625
        call(["tar", "-xzf", download / f"{stem}.tar.gz", "-C", unpacked], seconds=60)
        kept.parent.mkdir(parents=True, exist_ok=True)
        (unpacked / stem).rename(kept)
    tree = places.WORK / "trees" / name
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(kept, tree)
    return tree
