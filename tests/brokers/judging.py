"""One run of the suite against a running broker, and what `conformance compare` can't read from its report."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.brokers.table import Broker

#: Longest time of one run of the suite, in seconds.
JUDGE_SECONDS = 3600.0
ABOUT = "broker.json"
#: Status of a run of the suite that judged nothing to its end.
INCONCLUSIVE = 4


def judge(broker: Broker, transport: str, url: str, report: Path | None, options: Sequence[str]) -> int:
    """Exit status of the suite on the broker; its report is written into the folder `report` if there is one."""
    # A busy machine takes many times what the suite expects; options of the user come last and go before these.
    limits = ["--time-limit", f"{JUDGE_SECONDS / 2:g}"]
    words = [sys.executable, "-m", "conformance", url, "--target", broker.target, *limits, *options]
    if report is not None:
        report.mkdir(parents=True, exist_ok=True)
        (report / ABOUT).write_text(json.dumps(about(broker, transport), indent=1) + "\n", "utf-8")
        words += ["--report", str(report)]
    try:
        return subprocess.run(words, check=False, timeout=JUDGE_SECONDS).returncode
    except subprocess.TimeoutExpired:
        print(f"tests.brokers: the suite did not end within {JUDGE_SECONDS:g} s", file=sys.stderr)
        return INCONCLUSIVE


def about(broker: Broker, transport: str) -> dict[str, str]:
    """Members of `broker.json`."""
    return {
        "name": broker.name,
        "title": broker.title,
        "version": broker.version,
        "transport": transport,
        "source": broker.installation.source,
        "license": broker.license,
        "command": f"python -m tests.brokers {broker.name} --transport {transport}",
    }
