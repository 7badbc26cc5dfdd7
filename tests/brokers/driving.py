"""One run of the suite on a running engine, through its adapter, for each mode of the adapter."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.brokers.judging import INCONCLUSIVE, JUDGE_SECONDS
from tests.brokers.running import CannotStart, running

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.brokers.engines import Engine


def drive(
    engine: Engine,
    home: Path,
    folder: Path,
    *,
    mode: str | None,
    report: Path | None,
    adapter: Sequence[str],
    options: Sequence[str],
) -> int:
    """Start the engine and judge it in one mode, or in each if `mode` is None; returns the highest exit status.

    `adapter` and `options` are further ones of the adapter and of the suite. Raises CannotInstall, CannotStart.
    """
    status = 0
    start = engine.start(home, folder)
    url = urlsplit(start.urls["tcp"])
    with running(start, folder) as ended:
        for name, of_mode in engine.modes.items():
            if mode not in (None, name):
                continue
            words = ["--adapter", engine.command(url, folder, (*of_mode, *adapter)), *options]
            if report is not None:
                words += ["--report", str(report / (f"{engine.name}-{name}" if name else engine.name))]
            status = max(status, _conformance(words))
            if said := ended():
                raise CannotStart(said)
    return status


def _conformance(words: Sequence[str]) -> int:
    try:
        return subprocess.run(
            [sys.executable, "-m", "conformance", *words], check=False, timeout=JUDGE_SECONDS
        ).returncode
    except subprocess.TimeoutExpired:
        print(f"tests.brokers: the suite did not end within {JUDGE_SECONDS:g} s", file=sys.stderr)
        return INCONCLUSIVE
