"""Attempts to connect that may be refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.suite.stomp.reactions import Reaction, judge_refusal_rules, reaction
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.stomp_fixture import StompFixture
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: The word for a server that left an attempt to connect without an answer.
UNANSWERED = "leaves an attempt to connect unanswered"


@dataclass(frozen=True)
class ConnectAttempt:
    """What came of a CONNECT: the session, or what the server did instead."""

    client: StompClient
    connected: Frame | None
    refusal: Reaction

    def __str__(self) -> str:
        return f"{self.connected.octets!r}" if self.connected else f"{self.refusal}"


def connect_headers(bench: Bench, headers: Mapping[str, str | None] | None = None) -> list[tuple[str, str]]:
    """The headers of a CONNECT that is let in, with others in their place; None leaves one out."""
    merged = {"accept-version": bench.version, **bench.credentials(), **(headers or {})}
    return [(name, value) for name, value in merged.items() if value is not None]


def try_connect(
    fixture: StompFixture, headers: Mapping[str, str | None] | None = None, command: str = "CONNECT"
) -> ConnectAttempt:
    """Try to open a session.

    Where that is refused, the refusal counts as survived (`served_later_frames`) if a right CONNECT succeeds on the
    same connection. An answer is waited for with all patience, and less of it once an attempt got none.
    """

    def provoke() -> StompClient:
        if clients:
            return clients.pop()
        client = fixture.bench.stomp(connect=False)
        client.frame(command, connect_headers(fixture.bench, headers))
        return client

    def again(client: StompClient, within: float) -> None:
        client.frame("CONNECT", connect_headers(fixture.bench))
        client.expect("CONNECTED", within=within)

    clients: list[StompClient] = []
    client = provoke()
    within = SHORT_WAIT if UNANSWERED in fixture.bench.findings else None
    try:
        return ConnectAttempt(client, client.expect("CONNECTED", within=within), Reaction())
    except PeerFailure:
        if not client.errors and not client.closed:
            fixture.bench.findings.add(UNANSWERED)
            return ConnectAttempt(client, None, Reaction())
    clients.append(client)
    return ConnectAttempt(client, None, reaction(fixture, provoke, fence=again))


def judge_refused_connect(fixture: StompFixture, tried: ConnectAttempt, why: str) -> None:
    """Judge how an attempt was refused, if it was: STOMP-CONNECT-002, and what holds for every ERROR."""
    if tried.connected is not None:
        fixture.skip("STOMP-CONNECT-002", f"the server accepts {why}")
        return
    fixture.judge(
        "STOMP-CONNECT-002",
        tried.refusal.is_error_and_close,
        expected=f"ERROR and the end of the connection for {why}",
        observed=tried,
    )
    judge_refusal_rules(fixture, tried.refusal)
