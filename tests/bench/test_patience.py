"""Patience of a bench: the wait for a required answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from conformance.bench.bench import Bench
from conformance.bench.connections import MOST_EXTRA_PATIENCE, PATIENCE_PER_DELAY
from conformance.run.options import Effort

USUAL = 5.0


def bench_on_a_machine(delay: float) -> Bench:
    """Bench of a test on a machine with this scheduling delay, in seconds."""
    run = SimpleNamespace(
        target=SimpleNamespace(
            patience=USUAL,
            version_for=lambda _binding: "1.2",
            nodes=(),
            access=SimpleNamespace(admission=None),
        ),
        options=SimpleNamespace(effort=Effort.QUICK, seed=None),
        scheduling_delay=SimpleNamespace(longest=lambda: delay),
        presence=SimpleNamespace(note_sent=lambda _octets: None, note_received=lambda: None),
        clock=None,
        findings=None,
        interrupted=None,
    )
    return Bench(cast("Any", run), "stomp-1.2")


@pytest.mark.parametrize("delay", [0.0, 0.2, 0.5])
def test_a_busy_machine_makes_a_test_patient(delay: float) -> None:
    """Scheduling delay adds to the patience: the server may share the machine."""
    assert bench_on_a_machine(delay).patience == USUAL + PATIENCE_PER_DELAY * delay


def test_a_machine_that_slept_makes_nobody_wait_for_hours() -> None:
    """The extra patience has a cap."""
    assert bench_on_a_machine(3600.0).patience == USUAL + MOST_EXTRA_PATIENCE * USUAL


def test_long_answers_have_their_time() -> None:
    """Patience grows with the number of octets."""
    bench = bench_on_a_machine(0.0)
    assert bench.patience_for(0) == USUAL
    assert bench.patience_for(1 << 20) > bench.patience_for(1 << 10) > USUAL
