"""The server under test, as the broker that the model of plain STOMP runs against."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conformance.models.stomp.server_findings import ServerFindings
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.models.judging import Judge
    from conformance.models.stomp.broker_under_test import ModelClient
    from conformance.suite.stomp.stomp_fixture import StompFixture
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: Seconds to read one connection before turning to the next.
TURN = 0.002


class BenchClient:
    """A `ModelClient` (conformance.models.stomp.broker_under_test) on a STOMP client of the wire."""

    def __init__(self, client: StompClient, stem: str) -> None:
        """`stem` is what the names of transactions begin with: no other example of the model uses them."""
        self._client = client
        self._stem = stem

    @property
    def is_over(self) -> bool:
        """True if the end of the connection was read."""
        return self._client.closed is not None

    def send(self, command: str, headers: Sequence[tuple[str, str]], body: bytes = b"") -> None:
        """Send a frame; one with a body gets a content-length."""
        length = [("content-length", str(len(body)))] if body else []
        named = [
            (name, f"{self._stem}-{value}" if name == "transaction" else value) for name, value in headers
        ]
        self._client.frame(command, [*named, *length], body)

    def receive(self, *, wait: bool) -> Frame | None:
        """Return the next frame; None if none has arrived, or, with `wait`, none within the client's patience."""
        return self._client.receive(self._client.patience if wait else 0.0)

    def has_news(self, within: float) -> bool:
        """True if a frame or the end arrives within so many seconds."""
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


class BenchBrokerAdapter:
    """A `BrokerUnderTest` (conformance.models.stomp.broker_under_test) on a scene, in the version of its test."""

    def __init__(self, scene: StompFixture) -> None:
        target = scene.bench.target
        self._scene = scene
        self._stem = scene.bench.fresh("transaction")
        self.judge: Judge = scene.bench.judge
        self.version = scene.bench.version
        self._opened = 0
        self._takes_stomp = self.version == "1.2"
        self.redelivers = target.fact("redelivers")
        self.keeps = target.fact("queues")
        self.findings = ServerFindings(broken=frozenset(waiver.clause for waiver in target.waivers))
        self.destination_headers: dict[bool, Sequence[tuple[str, str]]] = {
            True: tuple(target.queue_headers.items()),
            False: tuple(target.topic_headers.items()),
        }

    def begin_example(self) -> None:
        """Name the transactions of the next example apart from those of earlier ones."""
        self._stem = self._scene.bench.fresh("transaction")

    def connect(self) -> BenchClient:
        """Open a session: in version 1.2 every other one by the command STOMP, as long as the server takes that."""
        self._opened += 1
        if self._takes_stomp and self._opened % 2 == 0:
            client = self._scene.bench.stomp(connect=False)
            try:
                client.connect(self._scene.bench.credentials(), command="STOMP")
                return BenchClient(client, self._stem)
            except PeerFailure:  # STOMP-CONNECT-003 has a test of its own
                self._takes_stomp = False
                client.close()
        return BenchClient(self._scene.client(), self._stem)

    def destination(self, *, is_queue: bool) -> str:
        """Return the name of a new destination."""
        return (self._scene.queue() if is_queue else self._scene.topic()).name

    def wait(self, clients: Sequence[ModelClient]) -> bool:
        """Read the clients in turn until a frame or an end arrives; False if none does within the bench's patience."""
        deadline = time.monotonic() + self._scene.bench.patience
        mine = [client for client in clients if isinstance(client, BenchClient)]
        while mine and time.monotonic() < deadline:
            if any(client.has_news(TURN) for client in mine):
                return True
        return False
