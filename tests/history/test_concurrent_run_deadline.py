"""A concurrent run that does not end on a slow server: its test is skipped, which is no mistake of the suite."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from conformance.suite.queue import test_concurrency as concurrency
from conformance.wire.failures import WaitTooLong


def test_a_run_that_does_not_end_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of the clients grows with the round trip; a run beyond three times as much raises WaitTooLong."""
    given: list[float] = []

    def run(*arguments: Any) -> None:
        given.append(arguments[-1])
        raise TimeoutError

    timings = SimpleNamespace(heartbeat_timeout=30.0, eviction_grace=1.0, rebalance_timeout=30.0)
    world = MagicMock(timings=timings, time_is_virtual=False)
    bench = MagicMock(**{"limit.return_value": None, "examples.return_value": 40})
    bench.scheduling_delay.return_value = 0.0
    bench.target.round_trip, bench.target.partitions = 0.3, 4
    monkeypatch.setattr(concurrency, "run_concurrently", run)
    monkeypatch.setattr(concurrency, "QueueFixture", MagicMock())
    monkeypatch.setattr(concurrency, "BenchQueueAdapter", lambda _bench: world)
    with pytest.raises(WaitTooLong, match="had not ended after 120 s"):
        concurrency.test_many_clients_at_once(bench)
    assert given == [40.0]
