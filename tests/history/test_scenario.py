"""How the threads of the concurrent scenario come to an end."""

import itertools
import time
from collections import Counter
from typing import Any

import pytest

from conformance.history.asking import POLL
from conformance.history.facts import Facts
from conformance.history.scenario import Server, run_scenario
from conformance.history.stage import Plan
from conformance.wire.failures import Violation
from conformance.wire.operations import Reply

SECONDS = 20.0


class MovedTime:
    """A virtual clock for each group."""

    is_virtual = True

    def __init__(self) -> None:
        self._passed: Counter[str] = Counter()

    def now(self, group: str) -> float:
        return float(self._passed[group])

    def move(self, seconds: float, group: str) -> None:
        self._passed[group] += seconds  # type: ignore[assignment]


class BrokenForm:
    """A client whose requests all succeed, but which never gets a record in its form."""

    def call(self, path: str, body: Any) -> Reply:
        if path == POLL:
            raise Violation("POLL-OK-1", "a record", "something else")
        return Reply(200, {}, b"{}", "application/json")

    def start(self, path: str, body: Any) -> None:
        """Nothing comes of what is cut."""

    def close(self) -> None:
        """Nothing is open."""


def test_when_one_client_fails_the_others_do_not_go_on() -> None:
    """What it raised is raised, before the time of the scenario is up."""
    names, clocks = itertools.count(), MovedTime()
    server = Server(
        new_client=BrokenForm,  # type: ignore[arg-type]
        fresh=lambda stem: f"{stem}-{next(names)}",
        time=clocks,
        pass_time=clocks.move,
    )
    facts = Facts(heartbeat_timeout=30.0, eviction_grace=1.0, rebalance_timeout=2.0)
    began = time.monotonic()
    with pytest.raises(Violation, match="POLL-OK-1"):
        run_scenario(server, Plan(cuts=False), facts, ["orders"], ["audit"], SECONDS)
    assert time.monotonic() - began < SECONDS
