"""A session that hears what is sent to a topic of its own, and raw frames to that topic."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conformance.suite.stomp.reactions import expect_malformed
from conformance.wire.failures import PeerFailure
from conformance.wire.frames import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conformance.suite.stomp.reactions import Provoke, Reaction
    from conformance.suite.stomp.stomp_fixture import Destination, StompFixture
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient


#: Seconds to listen to the reader before the client that sends is looked after.
TURN = 0.02


class Loopback:
    """A client, and an active subscription to a fresh topic; what the client sends there comes back.

    The subscription is its own, except on servers that send no connection its own messages: there `reader` is a
    second session.
    """

    def __init__(self, fixture: StompFixture, client: StompClient | None = None) -> None:
        self.fixture = fixture
        self.client = self.reader = client or fixture.client()
        if not fixture.bench.target.fact("own_messages"):
            self.reader = fixture.client(accept_version=client.version) if client else fixture.client()
        self.destination = fixture.topic()
        self.subscription = fixture.active_subscription(self.reader, self.destination)

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
            self.destination, lines, body, command=command, eol=eol, version=version or self.client.version
        )

    def send(
        self, headers: Iterable[tuple[str, str | None]] = (), body: bytes | str = b"", **more: str | None
    ) -> None:
        """SEND to the topic."""
        self.fixture.send(self.client, self.destination, body, list(headers), **more)

    def expect_message(
        self,
        clause: str = "STOMP-SEND-002",
        where: Callable[[Frame], bool] | None = None,
        expected: str = "the message back",
    ) -> Frame:
        """The next MESSAGE; judges `clause` where none comes."""

        def matches(frame: Frame) -> bool:
            return self.subscription.owns(frame) and (where is None or where(frame))

        try:
            return self.receive(matches)
        except PeerFailure as failure:
            self.fixture.bench.judge(clause, False, expected=expected, observed=failure.observed)
            raise

    def message_or_none(
        self, where: Callable[[Frame], bool] | None = None, within: float | None = None
    ) -> Frame | None:
        """The next MESSAGE; None where none comes."""
        try:
            return self.receive(where, within)
        except PeerFailure:
            return None

    def receive(self, where: Callable[[Frame], bool] | None = None, within: float | None = None) -> Frame:
        """The next MESSAGE; raises PeerFailure where none comes, also because the client got an ERROR or the end."""
        if self.reader is self.client:
            return self.client.expect("MESSAGE", where, within)
        deadline = time.monotonic() + (self.reader.patience if within is None else within)
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                return self.reader.expect("MESSAGE", where, min(left, TURN))
            except PeerFailure:
                self.client.listen(0.0)
                for one in (self.reader, self.client):
                    if one.closed or any(frame.command == "ERROR" for frame in one.inbox):
                        one.expect("MESSAGE", where, 0.0)
                if left == 0:
                    raise

    def expect_no_message(self, clause: str, body: bytes, expected: str) -> None:
        """Judge that no message came in whose body there is `body`, after a message that fences."""
        came = self.fixture.messages_before_marker(self.subscription)
        bad = [frame for frame in came if body in frame.body]
        self.fixture.judge(
            clause, not bad, expected=expected, observed=bad[0].octets if bad else "no such message"
        )


def raw_frame(
    destination: Destination,
    lines: Iterable[bytes] = (),
    body: bytes = b"",
    *,
    command: bytes = b"SEND",
    eol: bytes = b"\n",
    version: str,
) -> bytes:
    """A frame to a destination whose header lines are written as they are, in front of the destination."""
    named = [("destination", destination.name), *destination.headers.items()]
    headers = [f"{escape(name, version)}:{escape(value, version)}".encode() for name, value in named]
    return eol.join([command, *lines, *headers, b"", b""]) + body + b"\0"


def session_sending(fixture: StompFixture, octets: bytes) -> Provoke:
    """A new session that sends these octets as one message."""

    def provoke() -> StompClient:
        client = fixture.client()
        client.send_octets(octets)
        return client

    return provoke


def expect_malformed_send(
    fixture: StompFixture,
    clause: str,
    lines: Iterable[bytes],
    *,
    expected: str,
    eol: bytes = b"\n",
    body: bytes = b"",
) -> Reaction:
    """Judge that a SEND with these header lines ends the connection, and that nothing of it is delivered."""
    loopback = Loopback(fixture)
    receipt = fixture.new_receipt()
    word = fixture.bench.fresh("refused").encode()
    octets = loopback.raw([f"receipt:{receipt}".encode(), *lines], word + body, eol=eol)
    found = expect_malformed(fixture, clause, session_sending(fixture, octets), receipt, expected=expected)
    loopback.expect_no_message(clause, word, "nothing of the malformed frame delivered")
    return found
