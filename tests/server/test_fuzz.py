"""A sample of the fuzzing over sockets; `python -m tests.server.fuzz` runs more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.server import fuzz

if TYPE_CHECKING:
    from tests.server.wire import Wire


def test_mutated_sessions() -> None:
    """Mutated sessions over TCP, WebSocket and HTTP bring no traceback, and leave no connection."""
    said: list[str] = []
    fuzz.run(600, seed=0, show=said.append)
    assert re.match(r"600 sessions, ", said[-1])


def test_a_session_that_is_not_ended_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that leaves a connection open is found, with the options that repeat it."""

    def never_ends(_wire: Wire) -> bytes:
        raise TimeoutError

    monkeypatch.setattr("tests.server.wire.Wire.wait_for_end", never_ends)
    with pytest.raises(AssertionError, match=r"is not ended.*to repeat: --seed 0 --sessions 50"):
        fuzz.run(50, seed=0)
