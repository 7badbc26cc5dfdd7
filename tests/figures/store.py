"""The file of measured figures, docs/figures.json."""

from __future__ import annotations

import datetime as dt
import json
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MEASURED = ROOT / "docs" / "figures.json"


def measured(path: Path = MEASURED) -> dict[str, dict[str, Any]]:
    """Figures by the name of the measurement: `figures`, `commit`, `day` and `command` of the last one."""
    document: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return document


def record(name: str, figures: dict[str, Any], command: str, path: Path | None = None) -> None:
    """Replace the figures of one measurement, with today's day and the commit of the work tree."""
    path = path or MEASURED
    document = measured(path) if path.exists() else {}
    day = dt.datetime.now(dt.UTC).date().isoformat()
    document[name] = {"figures": figures, "commit": _commit(), "day": day, "command": command}
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")


def own_command(module: str) -> str:
    """The command line of this process, which runs a module of the tests."""
    return shlex.join(["python", "-m", module, *sys.argv[1:]])


def _commit() -> str:
    """The commit, with "+" where code differs from it; outside a repository the version of the distribution."""
    try:
        commit = _git("rev-parse", "--short", "HEAD").strip()
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", "*.py", "*.toml", "spec")
    except (OSError, subprocess.CalledProcessError):
        return metadata.version("stompliance")
    return f"{commit}+" if changed else commit


def _git(*words: str) -> str:
    command = ["git", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
