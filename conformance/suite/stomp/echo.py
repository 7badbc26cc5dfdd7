"""A session that hears what is sent to a topic of its own, and raw frames to that topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.suite.stomp.reactions import malformed
from conformance.wire.failures import PeerFailure
from conformance.wire.frames import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conformance.suite.stomp.reactions import Provoke, Reaction
    from conformance.suite.stomp.scene import Place, Scene
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient


class Echo:
    """A client with an active subscription to a fresh topic; what anybody sends there comes back to it."""

    def __init__(self, scene: Scene, client: StompClient | None = None) -> None:
        self.scene = scene
        self.client = client or scene.client()
        self.place = scene.topic()
        self.subscription = scene.subscribed(self.client, self.place)

    def raw(
        self,
        lines: Iterable[bytes] = (),
        body: bytes = b"",
        *,
        command: bytes = b"SEND",
        eol: bytes = b"\n",
        version: str | None = None,
    ) -> bytes:
        """A frame to the topic whose header lines are written as they are, in front of the destination."""
        return raw_frame(
            self.place, lines, body, command=command, eol=eol, version=version or self.client.version
        )

    def send(
        self, headers: Iterable[tuple[str, str | None]] = (), body: bytes | str = b"", **more: str | None
    ) -> None:
        """SEND to the topic."""
        self.scene.send(self.client, self.place, body, list(headers), **more)

    def back(
        self,
        clause: str = "STOMP-SEND-002",
        where: Callable[[Frame], bool] | None = None,
        expected: str = "the message back",
    ) -> Frame:
        """The next MESSAGE; judges `clause` where none comes."""
        return self.scene.message(self.subscription, clause, where, expected)

    def maybe(
        self, where: Callable[[Frame], bool] | None = None, within: float | None = None
    ) -> Frame | None:
        """The next MESSAGE; None where none comes."""
        try:
            return self.client.expect("MESSAGE", where, within)
        except PeerFailure:
            return None

    def judge_nothing(self, clause: str, body: bytes, expected: str) -> None:
        """Judge that no message came in whose body there is `body`, after a message that fences."""
        came = self.scene.until_marker(self.subscription)
        bad = [frame for frame in came if body in frame.body]
        self.scene.judge(
            clause, not bad, expected=expected, observed=bad[0].octets if bad else "no such message"
        )


def raw_frame(
    place: Place,
    lines: Iterable[bytes] = (),
    body: bytes = b"",
    *,
    command: bytes = b"SEND",
    eol: bytes = b"\n",
    version: str,
) -> bytes:
    """A frame to a place whose header lines are written as they are, in front of the destination."""
    named = [("destination", place.destination), *place.headers.items()]
    headers = [f"{escape(name, version)}:{escape(value, version)}".encode() for name, value in named]
    return eol.join([command, *lines, *headers, b"", b""]) + body + b"\0"


def sending(scene: Scene, octets: bytes) -> Provoke:
    """A new session that sends these octets as one message."""

    def provoke() -> StompClient:
        client = scene.client()
        client.send_octets(octets)
        return client

    return provoke


def judge_malformed(
    scene: Scene,
    clause: str,
    lines: Iterable[bytes],
    *,
    expected: str,
    eol: bytes = b"\n",
    body: bytes = b"",
) -> Reaction:
    """Judge that a SEND with these header lines ends the connection, and that nothing of it is delivered."""
    echo = Echo(scene)
    receipt = scene.receipt()
    word = scene.bench.fresh("refused").encode()
    octets = echo.raw([f"receipt:{receipt}".encode(), *lines], word + body, eol=eol)
    found = malformed(scene, clause, sending(scene, octets), receipt, expected=expected)
    echo.judge_nothing(clause, word, "nothing of the malformed frame delivered")
    return found
