"""Servers whose capabilities say what a target file would have to say otherwise."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Command

#: Servers by the oddity that they declare, with the clauses that are judged by it.
SERVERS = {
    "there-are-only-topics": ("STOMP-SUB", "STOMP-ACK", "STOMP-DISCONNECT"),
    "plain-destinations-have-other-names": ("STOMP-SUB", "STOMP-SEND"),
    "nothing-comes-again": ("STOMP-ACK", "STOMP-NACK", "STOMP-SUB"),
    "frames-have-limits-of-their-own": ("STOMP-LIMIT", "HTTP-SIZE", "HTTP-HEADERS"),
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_declared_server_needs_no_target_file(conformance: Command, tmp_path: Path, name: str) -> None:
    """A server that declares its destinations or limits conforms, judged without a target file."""
    launch = f"{sys.executable} -m tests.mutants.serving {name} --virtual-clock"
    ids = [word for clause in SERVERS[name] for word in ("--clause", clause)]
    run = conformance(
        "--launch", launch, "--effort", "quick", "--class", "stomp-1.2", "--class", "queue-http", *ids,
        "--report", str(tmp_path / "report"),
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    verdicts = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))["verdicts"]
    assert {"pass"} <= {verdict["kind"] for verdict in verdicts} <= {"pass", "observed", "skipped"}
