"""Oddities that the text allows where it had been silent: transactions, reply subscriptions, deadlines, bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_server.queue import requests
from reference_server.queue.group import Group
from reference_server.queue.refusal import Refusal
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.queue_binding import ACKNOWLEDGEMENTS, REPLIES
from reference_server.stomp.router import Router
from reference_server.stomp.subscriptions import AckMode, Subscriptions
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, variant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reference_server.stomp.frame import Frame


def _of_queue(headers: Mapping[str, str]) -> bool:
    destination = headers.get("destination", "")
    return destination == REPLIES or destination.startswith(ACKNOWLEDGEMENTS)


@variant("An operation in a transaction may happen at the COMMIT (QSTOMP-TX-1).", bindings=STOMP)
def operations_wait_for_their_commit() -> None:
    """An operation in a transaction is performed at the COMMIT."""

    @wrap(Router, "check_transactional")
    def check(original: Any, self: Router, frame: Frame) -> None:
        if not self.binding.serves(frame.headers.get("destination", "")):
            original(self, frame)


@variant("A second subscription to the replies may be refused (QSTOMP-REPLY-3).", bindings=STOMP)
def replies_have_one_subscription() -> None:
    """A SUBSCRIBE to the replies is refused in a session that is subscribed to them."""

    @wrap(Subscriptions, "check")
    def check(original: Any, self: Subscriptions, headers: Mapping[str, str]) -> Any:
        taken = any(each.destination == REPLIES for each in self._by_id.values())
        if taken and headers.get("destination") == REPLIES:
            raise ProtocolError("replies have a subscription", "One to each session is enough.")
        return original(self, headers)


@variant(
    "Replies and acknowledgements may be there in mode auto only (QSTOMP-REPLY-4).",
    bindings=STOMP,
)
def replies_need_no_acknowledgement() -> None:
    """A SUBSCRIBE to replies or producer acknowledgements in a client mode is refused."""

    @wrap(Subscriptions, "check")
    def check(original: Any, self: Subscriptions, headers: Mapping[str, str]) -> Any:
        identifier, mode = original(self, headers)
        if _of_queue(headers) and mode is not AckMode.AUTO:
            raise ProtocolError("mode auto only", "Replies and acknowledgements are not acknowledged.")
        return identifier, mode


@variant(
    "The time of REBALANCE-5 may count for the whole group, from the last event in it.",
    bindings=HTTP,
)
def each_event_puts_the_end_of_a_rebalance_off() -> None:
    """Every event in a group, about whatever topic, starts the rebalance timeout anew for all partitions that wait."""

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        original(self, topic, now)
        for cursor in self.all_cursors():
            if cursor.next_owner is not None:
                cursor.overdue = now + self.settings.rebalance_timeout


@variant(
    "A body in which a member stands twice may be refused (REFUSE-8).",
    bindings=HTTP,
)
def members_stand_once() -> None:
    """A body in which a member stands twice is refused by 400."""
    import json

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise Refusal("member-value", "a member stands twice")
        return dict(pairs)

    @wrap(requests, "decode")
    def decode(original: Any, decoder: Any, body: bytes) -> Any:
        found = original(decoder, body)
        json.loads(body, object_pairs_hook=once)
        return found
