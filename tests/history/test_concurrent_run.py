"""Concurrent runs end, whatever a client or the server does."""

import itertools
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from conformance.history.client_runner import ServerAccess
from conformance.history.concurrent_run import run_concurrently
from conformance.history.events import History, Poll
from conformance.history.operations import POLL
from conformance.history.server_parameters import ServerParameters
from conformance.history.workload.workload_state import (
    EXTRA_DELIVERIES,
    MAX_DELIVERIES_PER_RECORD,
    WorkloadPlan,
)
from conformance.wire.failures import Violation
from conformance.wire.operations import Reply

SECONDS = 20.0


class MovedTime:
    """A virtual clock for each group, in seconds."""

    is_virtual = True

    def __init__(self) -> None:
        self._passed: Counter[str] = Counter()

    def now(self, group: str) -> float:
        return float(self._passed[group])

    def move(self, seconds: float, group: str) -> None:
        self._passed[group] += seconds  # type: ignore[assignment]


class BrokenForm:
    """A client whose requests all succeed, and whose polls return malformed records."""

    def call(self, path: str, body: Any) -> Reply:
        if path == POLL:
            raise Violation("POLL-OK-1", "a record", "something else")
        return Reply(200, {}, b"{}", "application/json")

    def start(self, path: str, body: Any) -> None:
        """A request whose connection is cut has no effect."""

    def close(self) -> None:
        """This client has no connection."""


class ForEver(BrokenForm):
    """A client to which one record is delivered again and again, whatever it acknowledges."""

    def call(self, path: str, body: Any) -> Reply:
        record = {"topicName": "orders", "message": "0.0", "messageID": "orders/0.0", "timestamp": 0}
        answer = {"messageId": 7, "message": record} if path == POLL else {}
        return Reply(200, answer, b"", "application/json")


def played(client: Callable[[], BrokenForm], plan: WorkloadPlan) -> History:
    """The history of such clients on one topic and one group."""
    names, clocks = itertools.count(), MovedTime()
    server = ServerAccess(
        new_client=client,  # type: ignore[arg-type]
        fresh=lambda stem: f"{stem}-{next(names)}",
        time=clocks,
        pass_time=clocks.move,
    )
    parameters = ServerParameters(heartbeat_timeout=30.0, eviction_grace=1.0, rebalance_timeout=2.0)
    return run_concurrently(server, plan, parameters, ["orders"], ["audit"], SECONDS)


def test_when_one_client_fails_the_others_do_not_go_on() -> None:
    """The run raises the failure before its time is up."""
    began = time.monotonic()
    with pytest.raises(Violation, match="POLL-OK-1"):
        played(BrokenForm, WorkloadPlan(cuts=False))
    assert time.monotonic() - began < SECONDS


def test_a_server_that_gives_one_record_for_ever_is_not_asked_for_ever() -> None:
    """The number of deliveries is bounded, so that the history can be judged."""
    plan = WorkloadPlan(records=12)
    history = played(ForEver, plan)
    came = sum(isinstance(event, Poll) and bool(event.records) for event in history)
    # At the bound each consumer may have four polls more; the final reader has a bound of its own.
    most = MAX_DELIVERIES_PER_RECORD * plan.records + EXTRA_DELIVERIES + 4 * plan.consumers
    assert came <= most + 3 * plan.records + 21
