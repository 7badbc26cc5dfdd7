"""CONNECT frames that the server may refuse."""

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

#: Finding: the server left a CONNECT without an answer.
UNANSWERED = "leaves an attempt to connect unanswered"


@dataclass(frozen=True)
class ConnectAttempt:
    """The outcome of a CONNECT: the CONNECTED frame, or the server's refusal."""

    client: StompClient
    connected: Frame | None
    refusal: Reaction

    def __str__(self) -> str:
        return f"{self.connected.octets!r}" if self.connected else f"{self.refusal}"


def connect_headers(bench: Bench, headers: Mapping[str, str | None] | None = None) -> list[tuple[str, str]]:
    """The headers of a CONNECT that is accepted, with those of `headers` instead; None leaves one out."""
    merged = {"accept-version": bench.version, **bench.credentials(), **(headers or {})}
    return [(name, value) for name, value in merged.items() if value is not None]


def connect_lines(bench: Bench, eol: bytes = b"\n") -> bytes:
    """The header lines of a valid CONNECT, `accept-version:…` first, without the end of the last one."""
    return eol.join(f"{name}:{value}".encode() for name, value in connect_headers(bench))


def try_connect(
    fixture: StompFixture, headers: Mapping[str, str | None] | None = None, command: str = "CONNECT"
) -> ConnectAttempt:
    """Send CONNECT (or `command`) on a new connection.

    A refusal counts as survived (`served_later_frames`) if a valid CONNECT succeeds on the same connection. An answer
    is waited for with all patience until one was missing, and less from then on.
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
    """Judge how CONNECT was refused, if it was: STOMP-CONNECT-002, and the rules for every ERROR."""
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
