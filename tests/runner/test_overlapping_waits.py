"""Tests that wait in real time: which of them run beside all others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from conformance.runner import scheduler
from conformance.runner.scheduler import Scheduler


@pytest.mark.parametrize(
    ("binding", "seconds", "has_one_clock", "overlaps"),
    [
        ("queue-http", 2.0, False, True),
        ("queue-stomp", 2.0, False, True),
        ("queue-http", 2.0, True, False),
        ("queue-stomp", 2.0, True, False),
        ("stomp-1.2", 2.0, True, True),
        ("websocket", 2.0, True, True),
        ("queue-http", 0.0, False, False),
    ],
)
def test_consumers_wait_alone_where_others_move_their_clock(
    monkeypatch: pytest.MonkeyPatch, binding: str, seconds: float, has_one_clock: bool, overlaps: bool
) -> None:
    """A test that moves the clock of the whole server would evict the consumers of a test that waits beside it."""
    monkeypatch.setattr(scheduler, "binding_of", lambda _item: binding)
    plan: Any = Scheduler.__new__(Scheduler)
    plan.run = SimpleNamespace(has_one_clock=has_one_clock)
    plan._wait_of = lambda _item: seconds
    assert plan._overlaps(None) is overlaps
