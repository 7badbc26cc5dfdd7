"""The stand-in judged by the suite: conforming without faults, and failed on a broken clause with each of them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conformance.specification.clauses import Level, book
from tests.first_server.faults import TABLE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.first_server.conftest import Serve
    from tests.first_server.faults import Fault

#: Longest time of one run of the suite, in seconds, on a busy machine.
RUN_SECONDS = 240.0
#: Heartbeat timeout, grace and rebalance timeout, in seconds. The last is longer than the others together: one fault
#: shows only while a rebalance waits for a holder that has been silent for longer than timeout and grace.
TIMINGS = ("--heartbeat-timeout", "1", "--eviction-grace", "0.5", "--rebalance-timeout", "4")
#: MUSTs that the suite can't judge here, by the reason.
NOT_JUDGED = {
    "HTTP-SIZE-1": "no limit is declared",
    "HTTP-HEADERS-1": "no limit is declared",
    "PUB-FULL-4": "judged nowhere",
    "CAP-1": "there is no capabilities document",
    "CAP-2": "nothing is declared",
}


def _judge(url: str, report: Path, *options: str) -> tuple[int, dict[tuple[str, str], str]]:
    """Exit status, and kinds of verdicts by clause and class."""
    command = [sys.executable, "-m", "conformance", url, "--target", "seed", "--effort", "quick"]
    run = subprocess.run(
        [*command, *TIMINGS, "--report", str(report), *options],
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert run.returncode in (0, 1), run.stdout + run.stderr
    document: dict[str, Any] = json.loads((report / "report.json").read_text("utf-8"))
    return run.returncode, {
        (verdict["clause"], verdict["binding"]): verdict["kind"] for verdict in document["verdicts"]
    }


def test_without_a_fault_it_conforms_and_every_must_is_judged(serve: Serve, tmp_path: Path) -> None:
    """All MUSTs of queue-http and stomp-publish pass, except for those that can't be judged here."""
    status, kinds = _judge(serve(*TIMINGS).url, tmp_path)
    assert status == 0
    unjudged = {
        clause for (clause, _), kind in kinds.items() if book()[clause].level is Level.MUST and kind != "pass"
    }
    assert unjudged <= set(NOT_JUDGED)


@pytest.mark.parametrize("fault", TABLE, ids=lambda fault: fault.name)
def test_each_fault_is_caught_on_a_clause_that_it_breaks(fault: Fault, serve: Serve, tmp_path: Path) -> None:
    """A run of the clauses that the fault breaks ends with status 1, and one of them fails."""
    asked = [option for clause in fault.clauses for option in ("--clause", clause)]
    status, kinds = _judge(serve("--fault", fault.name, *TIMINGS).url, tmp_path, *asked)
    assert status == 1
    assert [clause for (clause, _), kind in kinds.items() if kind == "fail" and clause in fault.clauses]
