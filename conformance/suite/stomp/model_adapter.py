"""The server under test as a world for the model of plain STOMP."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conformance.models.stomp.server_findings import Seen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.models.judging import Judge
    from conformance.models.stomp.broker_under_test import Link
    from conformance.suite.stomp.stomp_fixture import StompFixture
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: Seconds to listen to one connection before the next one has its turn.
TURN = 0.002


class PlainLink:
    """A session, as the model's driver uses it."""

    def __init__(self, client: StompClient) -> None:
        self._client = client

    @property
    def is_over(self) -> bool:
        """Whether the connection has ended, as far as was read."""
        return self._client.closed is not None

    def send(self, command: str, headers: Sequence[tuple[str, str]], body: bytes = b"") -> None:
        """Send a frame; one with a body says how long it is."""
        length = [("content-length", str(len(body)))] if body else []
        self._client.frame(command, [*headers, *length], body)

    def receive(self, *, wait: bool) -> Frame | None:
        """The next frame; None where none has come, with `wait` within the patience of the client."""
        return self._client.receive(self._client.patience if wait else 0.0)

    def has_news(self, within: float) -> bool:
        """Whether a frame or the end comes within so many seconds."""
        if not self._client.inbox and not self._client.closed:
            frame = self._client.receive(within)
            if frame is not None:
                self._client.inbox.append(frame)
        return bool(self._client.inbox or self._client.closed)

    def end(self, how: str) -> None:
        """End the connection: "close" with a Close frame, "cut" as a failing host does."""
        if how == "cut":
            self._client.link.cut()
        else:
            self._client.close()


class PlainWorld:
    """A `StompWorld` (conformance.models.stomp.broker_under_test) on a scene, in the version of its test."""

    def __init__(self, scene: StompFixture) -> None:
        target = scene.bench.target
        self._scene = scene
        self.judge: Judge = scene.bench.judge
        self.version = scene.bench.version
        self.redelivers = target.fact("redelivers")
        self.keeps = target.fact("queues")
        self.seen = Seen(broken=frozenset(waiver.clause for waiver in target.waivers))
        self.place_headers: dict[bool, Sequence[tuple[str, str]]] = {
            True: tuple(target.queue_headers.items()),
            False: tuple(target.topic_headers.items()),
        }

    def connect(self) -> PlainLink:
        """Open a session."""
        return PlainLink(self._scene.client())

    def destination(self, *, is_queue: bool) -> str:
        """A destination that nobody used."""
        return (self._scene.queue() if is_queue else self._scene.topic()).name

    def wait(self, links: Sequence[Link]) -> bool:
        """Listen to the links in turn until something comes; False where the patience ends first."""
        deadline = time.monotonic() + self._scene.bench.patience
        mine = [link for link in links if isinstance(link, PlainLink)]
        while mine and time.monotonic() < deadline:
            if any(link.has_news(TURN) for link in mine):
                return True
        return False
