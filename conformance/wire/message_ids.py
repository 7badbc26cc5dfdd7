"""The ids of the messages of one connection, which no two of them may share (STOMP-MESSAGE-002)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.wire.frames import Frame

#: Ids that are remembered, the newest ones.
MOST_IDS = 2000
#: Octets of a body that are compared to tell messages from each other.
_COMPARED = 200


class MessageIds:
    """Ids that the newest MESSAGE frames of a connection carried, by `message-id`."""

    def __init__(self) -> None:
        self._contents: dict[str, tuple[str | None, bytes]] = {}
        self._repeated: set[str] = set()

    def note(self, message: Frame) -> None:
        """Remember the id of a MESSAGE. One message may come several times; two with one id differ in their content."""
        identifier = message.get("message-id")
        if identifier is None:
            return
        content = message.get("destination"), message.body[:_COMPARED]
        if self._contents.setdefault(identifier, content) != content:
            self._repeated.add(identifier)
        if len(self._contents) > MOST_IDS:
            oldest = next(iter(self._contents))
            del self._contents[oldest]
            self._repeated.discard(oldest)

    def is_repeated(self, message: Frame) -> bool:
        """True if another message of the connection had the id of this one."""
        return message.get("message-id") in self._repeated
