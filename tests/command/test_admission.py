"""Servers and gateways that take no connection for now: waited for, never a broken clause."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from conformance.targets.server_process import running_server
from tests.command import odd_servers
from tests.command.conftest import SERVER
from tests.command.gateway import Gateway, Request, answer

if TYPE_CHECKING:
    from tests.command.conftest import Command

SOME = (
    "--effort",
    "quick",
    "--class",
    "stomp-1.2",
    "--clause",
    "STOMP-CONNECT-001",
    "--clause",
    "STOMP-LINGER",
)


def test_a_run_stays_below_a_declared_limit(conformance: Command) -> None:
    with running_server(f"{SERVER} --connections 40") as url:
        ended = conformance(url, "--effort", "quick", "--class", "stomp-1.2", "--class", "queue-http")
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_connections_of_others_count_too(conformance: Command) -> None:
    import socket

    with running_server(f"{SERVER} --connections 20") as url:
        where = ("127.0.0.1", urlsplit(url).port or 0)
        others = [socket.create_connection(where) for _ in range(12)]
        try:
            ended = conformance(url, *SOME)
        finally:
            for other in others:
                other.close()
        assert ended.returncode in (0, 4), ended.stdout + ended.stderr
        assert "NOT CONFORMING" not in ended.stdout


FEW = (
    *("--class", "stomp-1.2", "--class", "queue-http"),
    *("--clause", "STOMP-CONNECT-004", "--clause", "STOMP-NEG-004", "--clause", "HTTP-METHOD-1"),
)


class Limiter:
    """Gateway that answers 429, or another status, to more than `most` requests within a second."""

    def __init__(self, most: int, *headers: str, status: str = "429 Too Many Requests") -> None:
        self._most = most
        self._status = status
        self._headers = headers
        self._lock = threading.Lock()
        self._times: deque[float] = deque()
        self.refused = 0

    def __call__(self, request: Request) -> Request | bytes:
        with self._lock:
            now = time.monotonic()
            while self._times and self._times[0] < now - 1:
                self._times.popleft()
            if len(self._times) >= self._most:
                self.refused += 1
                return answer(self._status, "slow down", *self._headers)
            self._times.append(now)
        return request


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
@pytest.mark.parametrize("headers", [(), ("Retry-After: 1",)], ids=["silent", "retry-after"])
def test_a_gateway_that_limits_the_rate(
    conformance: Command, server_url: str, headers: tuple[str, ...], status: str
) -> None:
    """Some gateways limit requests, those of kept connections too, and say 503."""
    limiter = Limiter(5, *headers, status=status)
    with Gateway(urlsplit(server_url).port or 0, limiter) as gateway:
        url = f"ws://127.0.0.1:{gateway.port}/stomp"
        ended = conformance(url, "--effort", "quick", *FEW)
    assert limiter.refused
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "reply",
    [
        answer("503 Service Unavailable", "no"),
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno",
    ],
    ids=["closing", "kept"],
)
def test_a_server_that_always_refuses_one_request_breaks_its_clause(
    conformance: Command, server_url: str, reply: bytes
) -> None:
    """A 503 that stays for one operation, while others are served on the same connection, is its answer."""

    def decide(request: Request) -> Request | bytes:
        return reply if request.path.endswith("/heartbeat") else request

    with Gateway(urlsplit(server_url).port or 0, decide) as gateway:
        url = f"ws://127.0.0.1:{gateway.port}/stomp"
        ended = conformance(url, "--class", "queue-http", "--clause", "LIVE-BEAT-1", "--effort", "quick")
    assert ended.returncode == 1, ended.stdout + ended.stderr


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_a_gateway_that_stops_to_let_anybody_in(conformance: Command, server_url: str, status: str) -> None:
    upgrades = 0

    def decide(request: Request) -> Request | bytes:
        nonlocal upgrades
        upgrades += request.is_upgrade
        return (
            answer(status, "go away", "Retry-After: 3600") if upgrades > 3 and request.is_upgrade else request
        )

    with Gateway(urlsplit(server_url).port or 0, decide) as gateway:
        url = f"ws://127.0.0.1:{gateway.port}/stomp"
        ended = conformance(url, "--clause", "STOMP-SUB-001", "--class", "stomp-1.2")
    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert "go away" in ended.stdout


def test_a_server_without_room_at_the_first_contact(conformance: Command) -> None:
    octets = answer("503 Service Unavailable", "no room", "Retry-After: 3600")
    with odd_servers.listening(odd_servers.answering(octets)) as port:
        ended = conformance(f"ws://127.0.0.1:{port}/stomp", "--class", "stomp-1.2")
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "503" in ended.stderr
    assert "no room" in ended.stderr


def test_an_upgrade_that_is_refused_later_breaks_no_other_clause(
    conformance: Command, server_url: str
) -> None:
    upgrades = 0

    def decide(request: Request) -> Request | bytes:
        nonlocal upgrades
        upgrades += request.is_upgrade
        return answer("403 Forbidden", "not again") if upgrades > 1 and request.is_upgrade else request

    with Gateway(urlsplit(server_url).port or 0, decide) as gateway:
        url = f"ws://127.0.0.1:{gateway.port}/stomp"
        ended = conformance(url, "--clause", "STOMP-SUB-001", "--class", "stomp-1.2", "--verbose")
    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert "not again" in ended.stdout
