"""One connection that hears what another one sends, and queues whose consumers come and go.

Sender and receiver are different connections here, since there are brokers that send nobody their own messages.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from conformance.suite.stomp.patience import BRIEFLY
from conformance.suite.stomp.scene import PROBE_INTERVAL
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.reactions import Provoke, Reaction
    from conformance.suite.stomp.scene import Place, Scene, Subscription
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

    Headers = Sequence[tuple[str, str]]

NO_QUEUES = "the server has no queue that keeps a message for another consumer"
NO_REDELIVERY = "the server doesn't deliver again what was not acknowledged, so nobody sees what was"
#: Seconds between two markers to a queue whose former consumer may not be gone yet.
MARKER_INTERVAL = 0.3
#: The word for a server that sends no more before what it sent is acknowledged.
HOLDS_BACK = "sends no more before the first messages are acknowledged"
#: The word for a server from which a message didn't come again that had to.
LOSES = "loses what was not acknowledged"


def place_of(scene: Scene, kind: str) -> Place:
    """A fresh queue or topic."""
    return scene.queue() if kind == "queue" else scene.topic()


class Line:
    """An active subscription of `reader` to a place, and a `sender` on a connection of its own."""

    def __init__(
        self,
        scene: Scene,
        place: Place | None = None,
        *,
        reader: StompClient | None = None,
        sender: StompClient | None = None,
        headers: Sequence[tuple[str, str | None]] = (),
    ) -> None:
        """`headers` are those of the SUBSCRIBE, beside id and destination or instead of the id."""
        self.scene = scene
        self.place = place or scene.topic()
        self.reader = reader or scene.client()
        self.sender = sender or scene.client()
        self.subscription = scene.subscribed(self.reader, self.place, headers)

    def send(self, body: bytes | str, headers: Collection[tuple[str, str | None]] = ()) -> None:
        """SEND to the place."""
        self.scene.send(self.sender, self.place, body, list(headers))

    def next(self, clause: str = "STOMP-SEND-002", where: Callable[[Frame], bool] | None = None) -> Frame:
        """The next MESSAGE of the subscription; judges `clause` where none comes."""
        return self.scene.message(self.subscription, clause, where)

    def carry(self, body: bytes | str, headers: Collection[tuple[str, str | None]] = ()) -> Frame:
        """SEND, and the MESSAGE that comes of it."""
        self.send(body, headers)
        return self.next()

    def outstanding(self, count: int) -> list[Frame]:
        """Send so many messages one by one, acknowledge none, and give those that come, at least one.

        A server may send no more before the first ones are acknowledged; once it was seen to, that is waited for less.
        """
        came: list[Frame] = []
        for number in range(count):
            self.send(f"m{number}")
            if not came:
                came.append(self.next("STOMP-SUB-001"))
                continue
            within = BRIEFLY if HOLDS_BACK in self.scene.bench.findings else None
            try:
                came.append(self.reader.expect("MESSAGE", self.subscription.owns, within))
            except PeerFailure:
                if self.reader.closed or self.reader.errors:
                    raise
                self.scene.bench.findings.add(HOLDS_BACK)
                break
        return came


def first_message(scene: Scene, place: Place, headers: Sequence[tuple[str, str | None]]) -> Frame:
    """The first MESSAGE that a new session gets from a place, whatever subscription the MESSAGE names.

    `headers` are those of its SUBSCRIBE. Raises PeerFailure where none comes.
    """
    reader, sender = scene.client(), scene.client()
    if scene.has_receipts:
        scene.subscribed(reader, place, headers)
        scene.send(sender, place, "first")
        return reader.expect("MESSAGE")
    scene.subscribe(reader, place, headers)
    return probed(scene, reader, sender, place, "first")


def probed(scene: Scene, reader: StompClient, sender: StompClient, place: Place, body: str) -> Frame:
    """Send to a place until the reader gets a MESSAGE; raises PeerFailure where none comes."""
    deadline = time.monotonic() + scene.bench.patience
    while True:
        scene.send(sender, place, body)
        try:
            return reader.expect("MESSAGE", within=PROBE_INTERVAL)
        except PeerFailure:
            if reader.closed or reader.errors or time.monotonic() > deadline:
                raise


def leave(client: StompClient) -> None:
    """DISCONNECT, and wait for the server to end the connection."""
    client.disconnect()
    with contextlib.suppress(PeerFailure):
        client.expect_end()
    client.close()


def read_elsewhere(
    scene: Scene, place: Place, awaited: Collection[bytes] = (), within: float | None = None
) -> list[bytes]:
    """The bodies that a new consumer finds in a queue, in order; it consumes them.

    Those in `awaited` are waited for, `within` seconds or with all patience (less of it once they were waited for in
    vain: then it is no news). Markers are the fence for the others: the consumer before may take some of them if the
    server has not noticed its end.
    """
    reader, sender = scene.client(), scene.client()
    subscription = scene.subscribe(reader, place)
    came: list[bytes] = []
    missing = set(awaited)
    patience = BRIEFLY if LOSES in scene.bench.findings else scene.bench.patience
    deadline = time.monotonic() + (patience if within is None else within)
    while missing:
        try:
            frame = reader.expect("MESSAGE", subscription.owns, max(0.0, deadline - time.monotonic()))
        except PeerFailure:
            if reader.closed or reader.errors:
                raise
            break
        came.append(frame.body)
        missing.discard(frame.body)
    if missing and within is None:
        scene.bench.findings.add(LOSES)
    return came + _until_marker(scene, subscription, sender)


def _until_marker(scene: Scene, subscription: Subscription, sender: StompClient) -> list[bytes]:
    word = scene.bench.fresh("marker").encode()
    came: list[bytes] = []
    deadline = time.monotonic() + scene.bench.patience
    while True:
        scene.send(sender, subscription.place, word)
        try:
            subscription.client.expect("MESSAGE", lambda frame: frame.body == word, MARKER_INTERVAL)
        except PeerFailure:
            if subscription.client.closed or time.monotonic() > deadline:
                raise
            continue
        came += [frame.body for frame in subscription.client.take("MESSAGE") if frame.body != word]
        return came


def is_refused(scene: Scene, found: Reaction) -> bool:
    """Whether the server refused a frame that asked for a RECEIPT: it said so, or left the RECEIPT out.

    On a server without receipts only what it says counts.
    """
    return found.is_refusal or (scene.has_receipts and not found.receipts)


def is_in_the_dark(scene: Scene, found: Reaction) -> bool:
    """Whether nothing tells what became of a frame: no answer, from a server that has no receipts."""
    return not scene.has_receipts and not found.is_refusal and not found.receipts


def may_come(scene: Scene, reader: StompClient, place: Place) -> Frame | None:
    """A MESSAGE for a place to which the reader may be subscribed or not."""
    try:
        return probed(scene, reader, scene.client(), place, "second")
    except PeerFailure:
        return None


def subscribing(scene: Scene, headers: Headers) -> Provoke:
    """A new session that sends a SUBSCRIBE with these headers and no others."""

    def provoke() -> StompClient:
        client = scene.client()
        client.frame("SUBSCRIBE", headers)
        return client

    return provoke


def client_mode(bench: Bench, mode: str) -> str:
    """The mode in which clients acknowledge; 1.0 has only one."""
    return "client" if bench.version == "1.0" else mode


def redelivers(scene: Scene, *ids: str) -> bool:
    """Whether redelivery can be judged by; skips the clauses where not."""
    target = scene.bench.target
    reason = None
    if not target.fact("queues"):
        reason = NO_QUEUES
    elif not target.fact("redelivers"):
        reason = NO_REDELIVERY
    if reason is not None:
        for clause in ids:
            scene.skip(clause, reason)
    return reason is None


def settle(scene: Scene, client: StompClient) -> None:
    """Return when the server has worked off what a client sent, by one more subscription."""
    scene.subscribed(client, scene.topic())


def unsubscribe(scene: Scene, client: StompClient, headers: Headers) -> None:
    """UNSUBSCRIBE, and see it done."""
    if scene.has_receipts:
        receipt = scene.receipt()
        client.frame("UNSUBSCRIBE", [*headers, ("receipt", receipt)])
        scene.receipted(client, receipt, "UNSUBSCRIBE")
        return
    client.frame("UNSUBSCRIBE", headers)
    settle(scene, client)


def in_short(found: Reaction) -> str:
    """What came of a frame, for the record."""
    if found.is_refusal:
        text = (found.error.get("message") if found.error else None) or "no ERROR"
        manner = "then closed" if found.closed else "left open"
        return f"{'RECEIPT, but ' if found.receipts else ''}refused ({text}), {manner}"
    return "accepted" if found.receipts else "no answer"
