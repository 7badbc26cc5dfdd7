"""Operations that clean up: consumers that were registered give up their topics, and groups are removed, at the end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from conformance.wire.failures import PeerFailure, Violation

if TYPE_CHECKING:
    from conformance.wire.operations import Operations, Pending, Reply

REGISTER = "/consumer/register-consumer"
SUBSCRIBE = "/consumer/subscribe-topic"
UNSUBSCRIBE = "/consumer/unsubscribe-topic"
REMOVE_GROUP = "/consumer-group/remove"
#: Longest wait for each answer while cleaning up, in seconds. A server that is silent is left alone after one.
WITHIN_SECONDS = 1.0
#: Consumers of one client that are cleaned up after, the newest.
MOST_CONSUMERS = 200


class LeavingOperations:
    """Wraps operations and notes which consumers, subscriptions and groups they leave behind.

    A consumer that holds a record, or for which a rebalance waits, may keep a server from serving others.
    """

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._topics: dict[str, set[str]] = {}
        self._groups: dict[str, None] = {}

    def call(self, path: str, body: object, within: float | None = None) -> Reply:
        """Perform the operation, and note what it leaves behind. Raises what the operation raises."""
        reply = self._operations.call(path, body, within)
        if reply.status == 200 and isinstance(body, dict):
            self._note(path, body)
        return reply

    def start(self, path: str, body: object) -> Pending:
        """Begin the operation; it counts as successful here."""
        if isinstance(body, dict):
            self._note(path, body)
        return self._operations.start(path, body)

    def leave(self) -> None:
        """Unsubscribe consumers and remove their groups; ends at the first answer that doesn't come."""
        with contextlib.suppress(PeerFailure, Violation):
            for consumer, topics in list(self._topics.items())[-MOST_CONSUMERS:]:
                if topics:
                    body = {"consumer_name": consumer, "topic_list": ",".join(sorted(topics))}
                    self._operations.call(UNSUBSCRIBE, body, WITHIN_SECONDS)
            for group in self._groups:
                self._operations.call(REMOVE_GROUP, {"consumer_group_name": group}, WITHIN_SECONDS)
        self._topics.clear()
        self._groups.clear()

    def close(self) -> None:
        """End the connections."""
        self._operations.close()

    def cut(self) -> None:
        """Reset the connections; what is left behind is cleaned up over new ones, where there can be any."""
        self._operations.cut()

    def _note(self, path: str, body: dict[str, Any]) -> None:
        consumer, group = body.get("consumer_name"), body.get("consumer_group_name")
        if path == REGISTER and isinstance(consumer, str) and isinstance(group, str):
            self._topics.setdefault(consumer, set())
            self._groups[group] = None
        elif path == SUBSCRIBE and isinstance(consumer, str) and isinstance(body.get("topic_list"), str):
            self._topics.setdefault(consumer, set()).update(body["topic_list"].split(","))
