"""Histories of a run as files that `python -m conformance judge` judges anew: `histories/TEST-BINDING.jsonl`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.run.run import RecordedHistory, Run

FOLDER = "histories"


def file_name(history: RecordedHistory, number: int) -> str:
    """Path of a history's file in the folder of the report; the second one of a test has a 2 in its name."""
    stem = re.sub(r"[^A-Za-z0-9.-]", "_", f"{history.test.partition('[')[0]}-{history.binding}")
    return f"{FOLDER}/{stem}{f'-{number}' if number > 1 else ''}.jsonl"


def write(folder: Path, run: Run) -> list[Path]:
    """Write the histories to the folder of a report, and remove those of an earlier run there.

    Returns their paths. Raises OSError.
    """
    for old in (folder / FOLDER).glob("*.jsonl"):
        old.unlink()
    seen: dict[tuple[str, str], int] = {}
    written = []
    for history in shown(run):
        key = history.test, history.binding
        seen[key] = seen.get(key, 0) + 1
        path = folder / file_name(history, seen[key])
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            for line in history.lines:
                file.write(f"{line}\n")
        written.append(path)
    return written


def shown(run: Run) -> tuple[RecordedHistory, ...]:
    """The histories of a run, without the secrets of its target."""
    hidden = run.target.secrets.text
    return tuple(one._replace(lines=tuple(map(hidden, one.lines))) for one in run.histories)
