"""Where things are. Everything that a run writes is under .build/, so that a clone stays clean."""

import os
from pathlib import Path

CLIENTS = Path(__file__).resolve().parent.parent
ROOT = CLIENTS.parent.parent
EXAMPLES = ROOT / "examples"
EXPECTED = CLIENTS / "expected"

BUILD = ROOT / ".build"
WORK = BUILD / "clients"  # sources and virtual environments, kept between runs
LOGS = WORK / "logs"


def broker_program() -> Path:
    """$YUTU, or else what was built last."""
    if chosen := os.environ.get("YUTU"):
        return Path(chosen).resolve()
    built = [path for kind in ("release", "debug") if (path := BUILD / kind / "yutu").exists()]
    return max(built, key=lambda path: path.stat().st_mtime, default=BUILD / "debug" / "yutu")
