"""Limits of connections that are lower than what the tests of a run need, declared ones and others."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from conformance.targets.server_process import running_server
from tests.command.conftest import SERVER
from tests.command.gateway import answer
from tests.command.narrow_door import NarrowDoor

if TYPE_CHECKING:
    from tests.command.conftest import Command

#: Clauses whose tests need one connection, several, or many, some of them in threads of their own, and that wait.
SOME = (
    *("--effort", "quick", "--class", "stomp-1.2", "--class", "queue-http"),
    *("--clause", "STOMP-ENC-002", "--clause", "STOMP-HEARTBEAT-004"),
    *("--clause", "PUB-ACK-5", "--clause", "POLL-WAIT-1"),
)


@pytest.mark.parametrize("connections", [10, 5, 3, 2])
def test_a_declared_limit_below_what_tests_need_breaks_no_clause(
    conformance: Command, connections: int
) -> None:
    """The tests that fit are judged, the others end inconclusive, without the time limit of the run."""
    with running_server(f"{SERVER} --connections {connections}") as url:
        ended = conformance(url, *SOME)
    assert ended.returncode in (0, 4), ended.stdout + ended.stderr
    assert "not over within" not in ended.stdout
    assert "below the limit that the server declares" in " ".join(ended.stdout.split())


def test_waits_that_can_not_overlap_are_bounded(conformance: Command) -> None:
    """Tests of heart-beats would wait for minutes, one after another: the output names them, and the next step."""
    with running_server(f"{SERVER} --connections 2") as url:
        ended = conformance(
            *(url, "--class", "stomp-1.2", "--class", "stomp-1.1", "--clause", "STOMP-HEARTBEAT"),
            *("--effort", "quick", "--time-limit", "3"),
        )
    said = " ".join(ended.stdout.split())
    assert ended.returncode in (0, 4), ended.stdout + ended.stderr
    assert "the limit of connections lets few waits overlap" in said
    assert "the tests that wait for real time would wait for" in said
    assert "let the server accept more connections" in said


def test_one_test_at_a_time_stays_below_a_limit_too(conformance: Command) -> None:
    with running_server(f"{SERVER} --connections 10") as url:
        ended = conformance(url, *SOME, "--parallel", "1")
    assert ended.returncode in (0, 4), ended.stdout + ended.stderr
    assert "not over within" not in ended.stdout


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(answer("503 Service Unavailable", "no room"), id="503"),
        pytest.param(answer("503 Service Unavailable", "no room", "Retry-After: 1"), id="retry-after"),
        pytest.param(b"", id="close"),
    ],
)
def test_a_limit_that_nobody_declares_breaks_no_clause(
    conformance: Command, server_url: str, refusal: bytes
) -> None:
    """A connection that is refused while others are open shows nothing."""
    with NarrowDoor(urlsplit(server_url).port or 0, 8, refusal) as door:
        ended = conformance(f"ws://127.0.0.1:{door.port}/stomp", *SOME, "--time-limit", "60")
    assert door.refused
    assert ended.returncode in (0, 4), ended.stdout + ended.stderr
