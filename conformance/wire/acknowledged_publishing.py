"""Publishing over STOMP that is confirmed by producer acknowledgements alone (class stomp-publish)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.wire.failures import PeerFailure, TooLong
from conformance.wire.json_values import decoded
from conformance.wire.operations import PUBLISH_PATHS, Reply, encoded

if TYPE_CHECKING:
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: Both spellings of the destination of acknowledgements (PUB-ACK-1, PUB-ACK-2).
WORDS = ("/topic/acknowledgment/", "/topic/acknowledgement/")
_STORED, _REFUSED = 200, 400


@dataclass(frozen=True, slots=True)
class Spelling:
    """The spelling of paths and of acknowledgements that a server uses."""

    path: str
    word: str


def find_spelling(client: StompClient, topic: str, promise: str) -> Spelling:
    """The spelling in which a record for `topic`, which exists, is answered first; each path gets one record.

    Raises PeerFailure of the clause `promise` where neither is answered within the patience of the client.
    """
    words = {client.subscribe(f"{word}{topic}"): word for word in WORDS}
    labels = {}
    for path in PUBLISH_PATHS:
        label = f"spelling-{path.strip('/').replace('/', '-')}"
        labels[label] = path
        client.send(f"{path}{topic}", encoded({"messageID": label, "message": label}))

    def answers(frame: Frame) -> bool:
        return frame.get("subscription") in words and _label(frame.body) in labels

    try:
        answer = client.expect("MESSAGE", answers)
    except PeerFailure as silence:
        raise PeerFailure(
            f"an acknowledgement for a record sent to {' or '.join(PUBLISH_PATHS)}{topic}",
            silence.observed,
            promise,
        ) from silence
    return Spelling(labels[_label(answer.body)], words[answer.get("subscription") or ""])


class AcknowledgedPublishing:
    """Publishes on one session: `ACK` is a reply of status 200, `FAILED` one of status 400."""

    def __init__(self, client: StompClient, spelling: Spelling, promise: str) -> None:
        """`client` has an open session, with or without CONNECT; `promise` is the clause that promises answers."""
        self._promise = promise
        self.client = client
        self._spelling = spelling
        self._subscriptions: dict[str, str] = {}

    def call(self, path: str, body: object, within: float | None = None) -> Reply:
        """Publish one record and wait for its acknowledgement.

        Raises PeerFailure of the promise where none comes within `within` seconds, by default the client's patience.
        """
        return self.start(path, body).reply(within)

    def start(self, path: str, body: object) -> PendingAcknowledgement:
        """Send one record, and go on without its acknowledgement. Raises ValueError for another operation."""
        topic = _topic_of(path)
        if topic not in self._subscriptions:
            self._subscriptions[topic] = self.client.subscribe(f"{self._spelling.word}{topic}")
        octets = encoded(body)
        self.client.send(f"{self._spelling.path}{topic}", octets, content_type="application/json")
        return PendingAcknowledgement(
            self.client, self._subscriptions[topic], _sent_label(octets), self._promise
        )

    def close(self) -> None:
        """End the session."""
        self.client.close()

    def cut(self) -> None:
        """Reset the connection, as a failing host does."""
        self.client.link.cut()


@dataclass(frozen=True, slots=True)
class PendingAcknowledgement:
    """A record that was sent and whose acknowledgement was not read yet; `label` None: it had none."""

    client: StompClient
    subscription: str
    label: Any
    promise: str

    def reply(self, within: float | None = None) -> Reply:
        """The acknowledgement as a reply. Raises PeerFailure of `promise` where none comes in time."""
        began = time.monotonic()
        try:
            frame = self.client.expect("MESSAGE", self._is_answer, within)
        except PeerFailure as silence:
            waited = time.monotonic() - began
            raise PeerFailure(
                f"ACK or FAILED for messageID {self.label!r}",
                f"{silence.observed}, {waited:.1f} s after the SEND",
                self.promise,
            ) from silence
        document = decoded(frame.body)
        status = _STORED if document["acknowledgementMessage"] == "ACK" else _REFUSED
        return Reply(status, document, frame.body, "application/json", is_acknowledgement=True)

    def has_come(self, within: float) -> bool:
        """True as soon as the acknowledgement is there; False if it doesn't come within `within` seconds."""
        return self.client.has_come("MESSAGE", self._is_answer, within)

    def _is_answer(self, frame: Frame) -> bool:
        if frame.get("subscription") != self.subscription:
            return False
        document = _object(frame.body)
        if document.get("acknowledgementMessage") not in ("ACK", "FAILED"):
            return False
        told = document.get("messageId")
        # PUB-ACK-6 alone judges the type of labels. A refused record may have none (PUB-ACK-3). A server that stores a
        # record without a label makes one up.
        is_refusal = told is None and document["acknowledgementMessage"] == "FAILED"
        return is_refusal or self.label is None or str(told) == str(self.label)


def _topic_of(path: str) -> str:
    for prefix in PUBLISH_PATHS:
        if path.startswith(prefix):
            return path[len(prefix) :]
    raise ValueError(f"{path} publishes nothing: expected one of {', '.join(PUBLISH_PATHS)}")


def _sent_label(octets: bytes) -> Any:
    """Label in a body that the suite sends; None if there is none, as in JSON that is nested too deeply on purpose."""
    try:
        return _object(octets).get("messageID")
    except TooLong:
        return None


def _label(octets: bytes) -> str:
    return str(_object(octets).get("messageId"))


def _object(octets: bytes) -> dict[str, Any]:
    document = decoded(octets)
    return document if isinstance(document, dict) else {}
