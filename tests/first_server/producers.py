"""STOMP sessions of producers: records arrive by SEND, and acknowledgements are sent by MESSAGE."""

from __future__ import annotations

import contextlib
import itertools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.first_server.faults import OUT_OF_ORDER, SHARED_HASH
from tests.first_server.operations import encoded
from tests.first_server.stomp_frames import VERSIONS, BadFrame, Frame, FrameReader, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.first_server.operations import Operations
    from tests.first_server.websocket_link import WebSocketLink

#: J5: one keyed record in so many of a burst lands in another partition.
TORN_ONE_OF = 80
#: J5, J6: frames less than so many seconds apart are one burst.
BURST_GAP = 0.1


@dataclass(frozen=True)
class Spellings:
    """The only spelling of each destination."""

    publish: str = "/publish/"
    acknowledgements: str = "/topic/acknowledgement/"


class Hub:
    """All subscriptions to acknowledgements. Safe for several threads."""

    def __init__(self, *, tells_by_prefix: bool = False) -> None:
        """`tells_by_prefix` is J21: a subscription gets what is sent to any destination that begins like its own."""
        self.tells_by_prefix = tells_by_prefix
        self._lock = threading.Lock()
        self._subscriptions: dict[str, list[tuple[Session, str | None]]] = {}
        self._numbers = itertools.count(1)

    def subscribe(self, destination: str, session: Session, identifier: str | None) -> None:
        """Add a subscription; `identifier` is None where the frame had no id."""
        with self._lock:
            self._subscriptions.setdefault(destination, []).append((session, identifier))

    def unsubscribe(self, session: Session, identifier: str | None = None, destination: str = "") -> None:
        """End the subscriptions of a session by their id or else by destination; without either, all of them."""
        with self._lock:
            for name, subscribed in self._subscriptions.items():
                self._subscriptions[name] = [
                    (other, its)
                    for other, its in subscribed
                    if other is not session
                    or (identifier is not None and its != identifier)
                    or (identifier is None and destination not in {"", name})
                ]

    def tell(self, destination: str, document: dict[str, Any]) -> None:
        """Send a document to every subscription of the destination."""
        with self._lock:
            subscribed = [
                each
                for name, subscribed in self._subscriptions.items()
                if name == destination or (self.tells_by_prefix and destination.startswith(name))
                for each in subscribed
            ]
        for session, identifier in subscribed:
            # An ended session removes itself from the list.
            with contextlib.suppress(OSError):
                session.tell(destination, identifier, next(self._numbers), encoded(document))


class Session:
    """A producer's session, with or without CONNECT."""

    def __init__(self, link: WebSocketLink, operations: Operations, hub: Hub, spellings: Spellings) -> None:
        self._link = link
        self._operations = operations
        self._hub = hub
        self._spellings = spellings
        self._faults = operations.broker.faults
        self._reader = FrameReader()
        self._in_bursts = 0

    def run(self) -> None:
        """Process the frames of the client until the connection ends. Raises OSError if it breaks."""
        gap = BURST_GAP if self._faults & {SHARED_HASH, OUT_OF_ORDER} else 0.0
        try:
            for burst in self._link.bursts(gap):
                self._obey(self._frames(burst))
        except BadFrame:
            self._link.close(1002)
        finally:
            self._hub.unsubscribe(self)

    def tell(self, destination: str, identifier: str | None, number: int, body: bytes) -> None:
        """Send a MESSAGE. Raises OSError."""
        headers = {"destination": destination, "message-id": str(number)}
        if identifier is not None:
            headers["subscription"] = identifier
        headers |= {"content-type": "application/json", "content-length": str(len(body))}
        self._link.send(written("MESSAGE", headers, body, self._reader.version))

    def _frames(self, burst: Iterable[bytes]) -> list[Frame]:
        """The frames of a burst; CONNECT is processed at once, since it decides how the others are read."""
        frames: list[Frame] = []
        for message in burst:
            self._reader.feed(message)
            while (frame := self._reader.next()) is not None:
                if frame.command in {"CONNECT", "STOMP"}:
                    self._connect(frame)
                else:
                    frames.append(frame)
        return frames

    def _obey(self, frames: Sequence[Frame]) -> None:
        is_burst = sum(frame.command == "SEND" for frame in frames) > 1
        for frame in _out_of_order(frames) if OUT_OF_ORDER in self._faults else frames:
            if frame.command == "SEND":
                self._publish(frame, is_burst=is_burst)
            elif frame.command == "SUBSCRIBE":
                self._hub.subscribe(frame.headers.get("destination", ""), self, frame.headers.get("id"))
            elif frame.command == "UNSUBSCRIBE":
                destination = frame.headers.get("destination", "none")
                self._hub.unsubscribe(self, frame.headers.get("id"), destination)
            elif frame.command == "DISCONNECT":
                self._link.close()
                return

    def _connect(self, frame: Frame) -> None:
        offered = frame.headers.get("accept-version", "1.0").split(",")
        version = next((known for known in VERSIONS if known in offered), None)
        if version is None:
            self._link.close(1002)
            return
        self._reader.version = version
        # CONNECTED has no escapes.
        self._link.send(written("CONNECTED", {"version": version, "heart-beat": "0,0"}))

    def _publish(self, frame: Frame, *, is_burst: bool) -> None:
        """Store the record of a SEND, and send its acknowledgement; a SEND to another destination is dropped."""
        destination = frame.headers.get("destination", "")
        if not destination.startswith(self._spellings.publish):
            return
        topic = destination.removeprefix(self._spellings.publish)
        told = self._operations.publish(topic, frame.body, hash_is_torn=is_burst and self._is_hash_torn())
        self._hub.tell(self._spellings.acknowledgements + topic, told)

    def _is_hash_torn(self) -> bool:
        """J5: True for one of so many records that arrive while others of the connection are processed."""
        self._in_bursts += 1
        return SHARED_HASH in self._faults and self._in_bursts % TORN_ONE_OF == 0


def _out_of_order(frames: Sequence[Frame]) -> list[Frame]:
    """J6: neighbouring SENDs are swapped in pairs."""
    mixed = list(frames)
    place = 0
    while place + 1 < len(mixed):
        if mixed[place].command == mixed[place + 1].command == "SEND":
            mixed[place], mixed[place + 1] = mixed[place + 1], mixed[place]
            place += 1
        place += 1
    return mixed
