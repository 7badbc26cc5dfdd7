"""A session that receives what it sends to a topic of its own, and frames of octets to that topic."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conformance.suite.stomp.frame_template import fill
from conformance.suite.stomp.reactions import expect_malformed
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conformance.suite.stomp.frame_template import Value
    from conformance.suite.stomp.reactions import Provoke, Reaction
    from conformance.suite.stomp.stomp_fixture import StompFixture
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient


#: Seconds to read from the reader before the sending client is checked for an ERROR or the end.
TURN = 0.02


class Loopback:
    """A client, and an active subscription to a fresh topic that receives what the client sends there.

    `reader`, the client of the subscription, is a second session on servers that send no connection its own
    messages; else it is `client` itself.
    """

    def __init__(self, fixture: StompFixture, client: StompClient | None = None) -> None:
        self.fixture = fixture
        self.client = self.reader = client or fixture.client()
        if not fixture.bench.target.fact("own_messages"):
            self.reader = fixture.client(accept_version=client.version) if client else fixture.client()
        self.destination = fixture.topic()
        self.subscription = fixture.active_subscription(self.reader, self.destination)

    def octets(
        self, template: bytes, *, version: str | None = None, eol: bytes = b"\n", **values: Value
    ) -> bytes:
        """A frame by its template (see `frame_template`), with the topic for `<destination>`."""
        return fill(template, self.destination, version or self.client.version, eol=eol, **values)

    def send_octets(
        self, template: bytes, *, version: str | None = None, binary: bool | None = None, **values: Value
    ) -> None:
        """Send a frame by its template from the client, as one message.

        Over WebSocket it is text if the frame is UTF-8, unless `binary` says which.
        """
        self.client.send_octets(self.octets(template, version=version, eol=b"\n", **values), binary=binary)

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
        """The next MESSAGE for which `where` is true; a missing one counts against `clause`."""

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
        """The next MESSAGE for which `where` is true; None if none arrives within so many seconds."""
        try:
            return self.receive(where, within)
        except PeerFailure:
            return None

    def receive(self, where: Callable[[Frame], bool] | None = None, within: float | None = None) -> Frame:
        """The next MESSAGE for which `where` is true.

        Raises PeerFailure if none arrives within so many seconds (default: the patience of the client), or if the
        client gets an ERROR or the end of its connection instead.
        """
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
        """Judge that no message has `body` in its body, of those that arrive before a marker that is sent now."""
        came = self.fixture.messages_before_marker(self.subscription)
        bad = [frame for frame in came if body in frame.body]
        self.fixture.judge(
            clause, not bad, expected=expected, observed=bad[0].octets if bad else "no such message"
        )


def session_sending(fixture: StompFixture, octets: bytes) -> Provoke:
    """A new session that sends these octets as one message."""

    def provoke() -> StompClient:
        client = fixture.client()
        client.send_octets(octets)
        return client

    return provoke


def expect_malformed_send(
    fixture: StompFixture, clause: str, template: bytes, *, expected: str, eol: bytes = b"\n", **values: Value
) -> Reaction:
    """Judge that a malformed SEND ends the connection and that no MESSAGE is delivered for it.

    The template has `<receipt>`, `<destination>` and `<body>`, which are filled in here.
    """
    loopback = Loopback(fixture)
    receipt = fixture.new_receipt()
    body = fixture.bench.fresh("refused").encode()
    octets = loopback.octets(template, version=None, eol=eol, receipt=receipt, body=body, **values)
    found = expect_malformed(fixture, clause, session_sending(fixture, octets), receipt, expected=expected)
    loopback.expect_no_message(clause, body, "nothing of the malformed frame delivered")
    return found
