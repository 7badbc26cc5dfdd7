"""Operations of client programs, and the event that records each in the history."""

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
class ClientOperation:
    """A request to perform. With `cut` the connection is closed before the reply, so that there is none.

    `group` is the group whose clock times the operation; empty for publishing.
    """

    path: str
    body: dict[str, Any]
    group: str = ""
    cut: bool = False


@dataclass(frozen=True)
class Pause:
    """Pause the program for so many seconds of real time."""

    seconds: float


@dataclass(frozen=True)
class AdvanceClock:
    """Advance the virtual clock of a group by so many seconds."""

    seconds: float
    group: str


#: The program of a client; it is sent the answer to each `ClientOperation`, or None if there was none.
ClientProgram = Generator[ClientOperation | Pause | AdvanceClock, Answer | None, None]


@dataclass(frozen=True)
class OperationTimes:
    """The times of an operation, in seconds; see `events`."""

    invoked: float
    group_time_began: float
    completed: float = NEVER
    group_time_ended: float = NEVER


def event_from(
    operation: ClientOperation, process: str, times: OperationTimes, answer: Answer | None
) -> Event:
    """The event that records an operation in the history.

    Raises Violation if the reply to a poll has status 200 and no well-formed record (POLL-OK-1).
    """
    common: dict[str, Any] = {
        "process": process,
        "invoked": times.invoked,
        "group_time_began": times.group_time_began,
        "completed": times.completed if answer is not None else NEVER,
        "group_time_ended": times.group_time_ended if answer is not None else NEVER,
        "status": answer.status if answer is not None else None,
    }
    if operation.path.startswith(PUBLISH):
        return _publish(operation, common, answer)
    common["consumer"] = operation.body["consumer_name"]
    if operation.path == REGISTER:
        return Register(group=operation.body["consumer_group_name"], **common)
    if operation.path in (SUBSCRIBE, UNSUBSCRIBE):
        kind = Subscribe if operation.path == SUBSCRIBE else Unsubscribe
        return kind(topics=tuple(operation.body["topic_list"].split(",")), **common)
    if operation.path in (ACKNOWLEDGE, GIVE_BACK):
        settle = Acknowledge if operation.path == ACKNOWLEDGE else GiveBack
        return settle(message_id=int(operation.body["message_id"]), **common)
    if operation.path == POLL:
        return Poll(records=_records(operation, answer), **common)
    plain: dict[str, type[ConsumerEvent]] = {UNREGISTER: Unregister, HEARTBEAT: Heartbeat}
    return plain[operation.path](**common)


def _publish(operation: ClientOperation, common: dict[str, Any], answer: Answer | None) -> Publish:
    reply = answer.body if answer is not None and isinstance(answer.body, dict) else {}
    return Publish(
        topic=operation.path.removeprefix(PUBLISH),
        text=operation.body["message"],
        label=operation.body["messageID"],
        key=operation.body.get("key"),
        partition=_non_negative_integer(reply.get("partition")),
        offset=_non_negative_integer(reply.get("offset")),
        **common,
    )


def _records(operation: ClientOperation, answer: Answer | None) -> tuple[PolledRecord, ...]:
    if answer is None or answer.status != 200:
        return ()
    items: Any = [answer.body]
    if "max_messages" in operation.body:
        items = answer.body.get("records") if isinstance(answer.body, dict) else None
    if not isinstance(items, list) or not items:
        raise Violation("POLL-OK-1", "a record, or another status than 200", answer)
    return tuple(_polled_record(item, answer) for item in items)


def _polled_record(item: Any, answer: Answer) -> PolledRecord:
    inner = item.get("message") if isinstance(item, dict) else None
    message_id = _non_negative_integer(item.get("messageId")) if isinstance(item, dict) else None
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
        _non_negative_integer(item.get("partition")),
        _non_negative_integer(item.get("offset")),
        redelivered if isinstance(redelivered, bool) else None,
    )


def _non_negative_integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
