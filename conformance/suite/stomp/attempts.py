"""Attempts to connect that may be refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.suite.stomp.patience import BRIEFLY
from conformance.suite.stomp.reactions import Reaction, judge_refusal, reaction
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.scene import Scene
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: The word for a server that left an attempt to connect without an answer.
UNANSWERED = "leaves an attempt to connect unanswered"


@dataclass(frozen=True)
class Attempt:
    """What came of a CONNECT: the session, or what the server did instead."""

    client: StompClient
    connected: Frame | None
    refusal: Reaction

    def __str__(self) -> str:
        return f"{self.connected.octets!r}" if self.connected else f"{self.refusal}"


def usual(bench: Bench, headers: Mapping[str, str | None] | None = None) -> list[tuple[str, str]]:
    """The headers of a CONNECT that is let in, with others in their place; None leaves one out."""
    merged = {"accept-version": bench.version, **bench.credentials(), **(headers or {})}
    return [(name, value) for name, value in merged.items() if value is not None]


def attempt(
    scene: Scene, headers: Mapping[str, str | None] | None = None, command: str = "CONNECT"
) -> Attempt:
    """Try to open a session.

    Where that is refused, the refusal counts as survived (`went_on`) if a right CONNECT succeeds on the same
    connection. An answer is waited for with all patience, and less of it once an attempt got none.
    """

    def provoke() -> StompClient:
        if clients:
            return clients.pop()
        client = scene.bench.stomp(connect=False)
        client.frame(command, usual(scene.bench, headers))
        return client

    def again(client: StompClient, within: float) -> None:
        client.frame("CONNECT", usual(scene.bench))
        client.expect("CONNECTED", within=within)

    clients: list[StompClient] = []
    client = provoke()
    within = BRIEFLY if UNANSWERED in scene.bench.findings else None
    try:
        return Attempt(client, client.expect("CONNECTED", within=within), Reaction())
    except PeerFailure:
        if not client.errors and not client.closed:
            scene.bench.findings.add(UNANSWERED)
            return Attempt(client, None, Reaction())
    clients.append(client)
    return Attempt(client, None, reaction(scene, provoke, fence=again))


def judge_refused_attempt(scene: Scene, tried: Attempt, why: str) -> None:
    """Judge how an attempt was refused, if it was: STOMP-CONNECT-002, and what holds for every ERROR."""
    if tried.connected is not None:
        scene.skip("STOMP-CONNECT-002", f"the server accepts {why}")
        return
    scene.judge(
        "STOMP-CONNECT-002",
        tried.refusal.is_error_and_close,
        expected=f"ERROR and the end of the connection for {why}",
        observed=tried,
    )
    judge_refusal(scene, tried.refusal)
