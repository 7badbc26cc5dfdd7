"""What programs of clients ask for, and the event that each operation becomes."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol

from conformance.history.events import (
    NEVER,
    Acknowledge,
    ConsumerEvent,
    Event,
    GiveBack,
    Heartbeat,
    Poll,
    PolledRecord,
    Publish,
    Register,
    Subscribe,
    Unregister,
    Unsubscribe,
)
from conformance.wire.failures import Violation

PUBLISH = "/producer/publish/"
REGISTER = "/consumer/register-consumer"
UNREGISTER = "/consumer/unregister-consumer"
SUBSCRIBE = "/consumer/subscribe-topic"
UNSUBSCRIBE = "/consumer/unsubscribe-topic"
POLL = "/consumer/poll"
ACKNOWLEDGE = "/consumer/acknowledgement"
GIVE_BACK = "/consumer/negative-acknowledgement"
HEARTBEAT = "/consumer/heartbeat"


class Answer(Protocol):
    """The reply to an operation."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> Any: ...


@dataclass(frozen=True)
class Ask:
    """Perform an operation. With `cut` the connection is cut before the reply; then there is none.

    `group`: whose clock matters; empty for publishing.
    """

    path: str
    body: dict[str, Any]
    group: str = ""
    cut: bool = False


@dataclass(frozen=True)
class Rest:
    """Do nothing for so many seconds of real time."""

    seconds: float


@dataclass(frozen=True)
class Pass:
    """Let so many seconds pass on the virtual clock of a group."""

    seconds: float
    group: str


#: What a client does: it is sent the answer to each `Ask`, None where none came.
Program = Generator[Ask | Rest | Pass, Answer | None, None]


@dataclass(frozen=True)
class Times:
    """When an operation began and ended; see `events`."""

    invoked: float
    group_time_began: float
    completed: float = NEVER
    group_time_ended: float = NEVER


def event_of(ask: Ask, process: str, times: Times, answer: Answer | None) -> Event:
    """The event that an operation is in the history.

    Raises Violation where a poll is answered by status 200 and no record (POLL-OK-1).
    """
    common: dict[str, Any] = {
        "process": process,
        "invoked": times.invoked,
        "group_time_began": times.group_time_began,
        "completed": times.completed if answer is not None else NEVER,
        "group_time_ended": times.group_time_ended if answer is not None else NEVER,
        "status": answer.status if answer is not None else None,
    }
    if ask.path.startswith(PUBLISH):
        return _publish(ask, common, answer)
    common["consumer"] = ask.body["consumer_name"]
    if ask.path == REGISTER:
        return Register(group=ask.body["consumer_group_name"], **common)
    if ask.path in (SUBSCRIBE, UNSUBSCRIBE):
        kind = Subscribe if ask.path == SUBSCRIBE else Unsubscribe
        return kind(topics=tuple(ask.body["topic_list"].split(",")), **common)
    if ask.path in (ACKNOWLEDGE, GIVE_BACK):
        settle = Acknowledge if ask.path == ACKNOWLEDGE else GiveBack
        return settle(message_id=int(ask.body["message_id"]), **common)
    if ask.path == POLL:
        return Poll(records=_records(ask, answer), **common)
    plain: dict[str, type[ConsumerEvent]] = {UNREGISTER: Unregister, HEARTBEAT: Heartbeat}
    return plain[ask.path](**common)


def _publish(ask: Ask, common: dict[str, Any], answer: Answer | None) -> Publish:
    told = answer.body if answer is not None and isinstance(answer.body, dict) else {}
    return Publish(
        topic=ask.path.removeprefix(PUBLISH),
        text=ask.body["message"],
        label=ask.body["messageID"],
        key=ask.body.get("key"),
        partition=_natural(told.get("partition")),
        offset=_natural(told.get("offset")),
        **common,
    )


def _records(ask: Ask, answer: Answer | None) -> tuple[PolledRecord, ...]:
    if answer is None or answer.status != 200:
        return ()
    items: Any = [answer.body]
    if "max_messages" in ask.body:
        items = answer.body.get("records") if isinstance(answer.body, dict) else None
    if not isinstance(items, list) or not items:
        raise Violation("POLL-OK-1", "a record, or another status than 200", answer)
    return tuple(_got(item, answer) for item in items)


def _got(item: Any, answer: Answer) -> PolledRecord:
    inner = item.get("message") if isinstance(item, dict) else None
    message_id = _natural(item.get("messageId")) if isinstance(item, dict) else None
    if (
        message_id is None
        or not isinstance(inner, dict)
        or not isinstance(inner.get("topicName"), str)
        or not isinstance(inner.get("message"), str)
    ):
        raise Violation(
            "POLL-OK-1", "a record with messageId, and message with message and topicName", answer
        )
    redelivered = item.get("redelivered")
    return PolledRecord(
        message_id,
        inner["topicName"],
        inner["message"],
        inner.get("key"),
        _natural(item.get("partition")),
        _natural(item.get("offset")),
        redelivered if isinstance(redelivered, bool) else None,
    )


def _natural(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
