"""Table of the operations by path: the body that each takes, and the method that performs it.

Two classes have these methods: `Operations` on the queue in memory, and `LogOperations` on a log.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from reference_server.queue import requests
from reference_server.queue.outcomes import Outcome
from reference_server.queue.refusal import Refusal

PUBLISH = "/producer/publish/"
PUBLISH_ALIAS = "/publish/"
POLL = "/consumer/poll"
"""Path of the one operation that may wait; it is not in the table."""
_ROWS: dict[str, tuple[type[requests.Request], str]] = {
    "/topic/add-topic": (requests.AddTopic, "_add_topic"),
    "/addTopic": (requests.AddTopic, "_add_topic"),  # TOPIC-ALIAS-1
    "/topic/remove-topic": (requests.NameTopic, "_remove_topic"),
    "/consumer-group/add": (requests.NameGroup, "_add_group"),
    "/consumer-group/remove": (requests.NameGroup, "_remove_group"),
    "/consumer/register-consumer": (requests.Register, "_register"),
    "/consumer/unregister-consumer": (requests.NameConsumer, "_unregister"),
    "/consumer/subscribe-topic": (requests.TopicList, "_subscribe"),
    "/consumer/unsubscribe-topic": (requests.TopicList, "_unsubscribe"),
    "/consumer/acknowledgement": (requests.Settle, "_acknowledge"),
    "/consumer/negative-acknowledgement": (requests.Settle, "_give_back"),
    "/consumer/heartbeat": (requests.NameConsumer, "_heartbeat"),
}


def rows_of(operations: object) -> dict[str, Callable[..., Outcome]]:
    """Each path with a function that decodes a body, and calls the method with it and all further arguments.

    The functions raise Refusal for a body that can't be used, and what the methods raise.
    """
    return {path: _row(kind, getattr(operations, method)) for path, (kind, method) in _ROWS.items()}


def _row(kind: type[requests.Request], method: Callable[..., Outcome]) -> Callable[..., Outcome]:
    decoder = msgspec.json.Decoder(kind)
    return lambda body, *more: method(requests.decode(decoder, body), *more)


def published_topic(path: str) -> str | None:
    """The topic of a path to publish to; None for any other path (PUB-ALIAS-1)."""
    for prefix in (PUBLISH, PUBLISH_ALIAS):
        if path.startswith(prefix):
            return path[len(prefix) :]
    return None


def unknown_operation(path: str) -> Refusal:
    """The refusal of a path that is none of an operation."""
    return Refusal("path-unknown", f"there is no operation {path!r}")


def members(**found: Any) -> Outcome:
    """The reply with these members."""
    return Outcome(200, msgspec.json.encode(found))
