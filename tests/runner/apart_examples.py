"""Test functions that a process of `conformance.runner.process_pool` runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from conformance.models.rule_coverage import COVERAGE_BY_MACHINE, RuleCoverage
from conformance.wire.failures import PeerFailure, RunEnded

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

DEADLINE = 20.0


def holds(bench: Bench) -> None:
    bench.judge("ACK-OK-1", True, expected="anything", observed="it")
    bench.findings.add("a finding")
    COVERAGE_BY_MACHINE["a machine"] = RuleCoverage("a machine")


def fails(bench: Bench) -> None:
    bench.step("a step")
    bench._trace.record("http-1", ">", "http", b"octets", opcode=1)
    bench._trace.record("http-1", "<", "http", b"octets")
    bench.judge("ACK-OK-1", False, expected="one thing", observed=object())


def knows_failures(bench: Bench) -> None:
    known = (
        bench.is_known(PeerFailure("", "")),
        bench.case is not None and bench.case.failed_elsewhere("ACK-OK-1"),
    )
    bench.observe("ACK-OK-1", f"{known[1]} {'a finding' in bench.findings}")


def gets_no_answer(bench: Bench) -> None:
    raise PeerFailure("an answer", "nothing")


def is_wrong(bench: Bench) -> None:
    raise ValueError("a mistake")


def dies(bench: Bench) -> None:
    os._exit(9)


def prints(bench: Bench) -> None:
    print("words between messages")
    os.write(1, b"octets between messages")
    holds(bench)


def waits(bench: Bench) -> None:
    if bench._run.interrupted.wait(DEADLINE):
        raise RunEnded("it ended")


def takes(bench: Bench, word: str) -> None:
    bench.observe("ACK-OK-1", word)


def draws(bench: Bench) -> None:
    drawn: list[int] = []

    @bench.hypothesis(5)
    @given(st.integers(0, 1 << 40))
    def draw(number: int) -> None:
        drawn.append(number)

    draw()
    bench.observe("ACK-OK-1", f"{drawn}")
