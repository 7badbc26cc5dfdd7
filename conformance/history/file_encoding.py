"""Lines of a history file from facts and events (spec/histories.md)."""

import json
from typing import Any

from conformance.history.events import (
    NEVER,
    Acknowledge,
    AckSubscription,
    ClockAdvanced,
    ConsumerEvent,
    Cut,
    Event,
    Fault,
    Fence,
    GiveBack,
    Heal,
    Heartbeat,
    Poll,
    PolledRecord,
    ProducerAck,
    Publish,
    Register,
    Restart,
    Subscribe,
    Unregister,
    Unsubscribe,
)
from conformance.history.system_facts import FORMAT, KIND, STARTS, SystemFacts


def header_object(facts: SystemFacts) -> dict[str, Any]:
    """The first line of a file, as a JSON object."""
    system = {name: text for name, text in (("name", facts.name), ("version", facts.version)) if text}
    made: dict[str, Any] = {"kind": KIND, "format": FORMAT}
    if facts.title:
        made["title"] = facts.title
    if system:
        made["system"] = system
    made |= {"timings": dict(facts.timings), "partitions": dict(facts.partitions)}
    made |= {"tells": sorted(facts.tells), "frees": facts.frees}
    if facts.starts != STARTS[0]:
        made["starts"] = facts.starts
    if facts.promises is not None:
        made["promises"] = list(facts.promises)
    return made


OPS: dict[type[Event], str] = {
    Publish: "publish",
    Register: "register",
    Subscribe: "subscribe",
    Unsubscribe: "unsubscribe",
    Unregister: "leave",
    Cut: "cut",
    Poll: "poll",
    Acknowledge: "acknowledge",
    GiveBack: "give-back",
    Heartbeat: "heartbeat",
    Restart: "restart",
    ClockAdvanced: "advance",
    AckSubscription: "listen",
    ProducerAck: "told",
    Fence: "fence",
    Fault: "fault",
    Heal: "heal",
}


def event_object(event: Event) -> dict[str, Any]:
    """An event as a JSON object; `decoded_events` gives the same event again, but for group times of other events."""
    made: dict[str, Any] = {"op": OPS[type(event)], "process": event.process, "begin": event.invoked}
    if event.completed < NEVER:
        made["end"] = event.completed
    made["outcome"] = outcome_of(event)
    if event.status is not None:
        made["status"] = event.status
    if isinstance(event, ConsumerEvent | ClockAdvanced | Restart):
        if event.group_time_began != event.invoked:
            made["group_begin"] = event.group_time_began
        if event.group_time_ended != event.completed and event.group_time_ended < NEVER:
            made["group_end"] = event.group_time_ended
    made |= _members(event)
    return made


def outcome_of(event: Event) -> str:
    """The outcome of an event, as a file has it."""
    if event.status is None:
        return "unknown"
    return "ok" if event.succeeded else "refused" if event.refused else "failed"


def _members(event: Event) -> dict[str, Any]:
    """Members of the event's own kind."""
    if isinstance(event, Publish):
        made = {"topic": event.topic, "text": event.text, "label": event.label, "key": _scalar(event.key)}
        return made | _known(partition=event.partition, offset=event.offset)
    if isinstance(event, AckSubscription):
        return {"subscription": event.subscription, "topic": event.topic, "clause": event.clause}
    if isinstance(event, ProducerAck):
        return {"subscription": event.subscription, "label": event.label, "told": event.outcome}
    if isinstance(event, Fault):
        return {"name": event.name}
    if isinstance(event, Fence):
        return {"subscription": event.subscription}
    if isinstance(event, ClockAdvanced):
        times = {"group_begin": event.group_time_began, "group_end": event.group_time_ended}
        return {"group": event.group, **times}
    if not isinstance(event, ConsumerEvent):
        return {}
    made = {"consumer": event.consumer}
    if isinstance(event, Register):
        made["group"] = event.group
    elif isinstance(event, Subscribe | Unsubscribe):
        return {**made, "topics": list(event.topics)}
    elif isinstance(event, Acknowledge | GiveBack):
        return {**made, "id": event.message_id}
    elif isinstance(event, Poll):
        return {**made, "records": [_record_object(record) for record in event.records]}
    return made


def _record_object(record: PolledRecord) -> dict[str, Any]:
    made = {"id": record.message_id, "topic": record.topic, "text": record.text}
    if record.key_told:
        made["key"] = _scalar(record.key)
    return made | _known(partition=record.partition, offset=record.offset, redelivered=record.redelivered)


def _scalar(key: Any) -> Any:
    """A key as JSON. Clients send, and servers return, keys of wrong types."""
    return key if key is None or isinstance(key, str | int | float) else json.dumps(key)


def _known(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
