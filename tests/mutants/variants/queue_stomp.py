"""Oddities in the queue's binding to STOMP."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.queue_binding import QueueBinding
from tests.mutants.patching import wrap
from tests.mutants.registry import STOMP, variant

if TYPE_CHECKING:
    from reference_server.queue.outcomes import Outcome
    from reference_server.stomp.destinations import Message, Source
    from reference_server.stomp.session import Session


@variant(
    "Whether a SUBSCRIBE to an operation is refused is open (QSTOMP-DEST-1).",
    bindings=STOMP,
)
def operations_cannot_be_subscribed_to() -> None:
    """A SUBSCRIBE to the path of an operation is answered by ERROR."""

    @wrap(QueueBinding, "source")
    def source(original: Any, self: QueueBinding, session: Session, destination: str) -> Source | None:
        if self.serves(destination):
            raise ProtocolError("nothing to listen to", "Subscribe to /user/queue/replies.")
        found: Source | None = original(self, session, destination)
        return found


@variant("A MESSAGE may have any further headers.", bindings=STOMP)
def replies_have_headers_of_their_own() -> None:
    """Replies and acknowledgements have more headers, and the status is the last of them."""

    @wrap(QueueBinding, "_reply")
    def reply(original: Any, self: QueueBinding, asked: Any, outcome: Outcome) -> Message:
        message: Message = original(self, asked, outcome)
        headers = {"server-time": "12:00", "priority": "4", "x:odd\\one": "a:b\nc\\d", **message.headers}
        headers["status"] = headers.pop("status")
        return msgspec.structs.replace(message, headers=headers)


@variant(
    "Replies come in any order, hence the correlation (QSTOMP-REPLY-1).",
    bindings=STOMP,
)
def replies_overtake_each_other() -> None:
    """Operations that arrive together and publish nothing are performed in any order."""
    from reference_server.stomp.frame import Frame
    from reference_server.stomp.session import Session as Sessions

    chance = random.Random(11)

    @wrap(Sessions, "handle")
    def handle(original: Any, self: Session, items: list[Any], now: float, queue_now: float) -> None:
        if len(items) > 1 and all(_is_independent(item, Frame) for item in items):
            chance.shuffle(items)
        original(self, items, now, queue_now)


def _is_independent(item: Any, kind: type) -> bool:
    return (
        isinstance(item, kind)
        and item.command == "SEND"
        and item.headers.get("destination", "").startswith("/consumer/")
        and not {"receipt", "transaction"} & item.headers.keys()
    )
