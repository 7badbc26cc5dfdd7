"""Producer of the queue's first users, which never sends CONNECT and writes its frames with `stomper`.

Its frames have an LF behind each NUL, a DISCONNECT without the empty line, and no content-length: legal on /producer
and /consumer only (QSTOMP-BARE-1, QSTOMP-STOMPER-1, QSTOMP-STOMPER-2). Its `messageID` is the time in whole seconds,
so that all records of one second have the same (PUB-LABEL-1).
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import stomper

from conformance.wire.json_values import decoded
from conformance.wire.stomp import StompClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.wire.link import Link

#: Version of the frames that `stomper` writes.
VERSION = "1.1"
SPELLINGS = ("acknowledgment", "acknowledgement")


class SeedProducer:
    """A producer of `topic` on a link to /producer; `clock` gives seconds since 1970."""

    def __init__(self, link: Link, topic: str, clock: Callable[[], float] = time.time) -> None:
        self.client = StompClient(link, VERSION)
        self.topic = topic
        self._clock = clock

    def subscribe(self, spelling: str = SPELLINGS[0]) -> None:
        """Subscribe to the acknowledgements of the topic, in one of the SPELLINGS."""
        destination = f"/topic/{spelling}/{self.topic}"
        self._send(stomper.subscribe(destination, spelling, ack="auto"))

    def publish(self, message: str, key: str | None = None) -> str:
        """SEND a record; returns its messageID. Only an acknowledgement shows that it was stored."""
        label = str(int(self._clock()))
        record = {"messageID": label, "key": key, "message": message, "timestamp": self._clock() * 1000}
        self._send(
            stomper.send(f"/publish/{self.topic}", json.dumps(record), content_type="application/json")
        )
        return label

    def acknowledgement(self, spelling: str = SPELLINGS[0], within: float | None = None) -> Any:
        """Decoded body of the next acknowledgement, None if it is no JSON. Raises PeerFailure if none comes in time."""
        destination = f"/topic/{spelling}/{self.topic}"
        return decoded(self.client.expect("MESSAGE", within=within, destination=destination).body)

    def disconnect(self, receipt: str) -> None:
        """DISCONNECT as `stomper` writes it: header lines and NUL, without an empty line between."""
        self._send(stomper.disconnect(receipt))

    def close(self) -> None:
        """Close the connection without DISCONNECT."""
        self.client.close()

    def _send(self, frame: str) -> None:
        self.client.send_octets(frame.encode())
