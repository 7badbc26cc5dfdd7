"""Oddities in bodies: more members, fewer members, other spellings of the same JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue import introspection, long_polls, outcomes
from reference_server.queue.broker import QueueBroker
from reference_server.queue.long_polls import LongPolls
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import Outcome
from reference_server.server import running
from reference_server.server.http import HttpBinding
from tests.mutants.editing import as_object
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, variant

if TYPE_CHECKING:
    from reference_server.queue.outcomes import Outcome

_MORE = {"x-more": {"of": [1, None, "more"]}, "version": 7}


def _edit_outcomes(edit: Any) -> None:
    """Have `edit(outcome)` change the outcome of every operation, including long polls."""

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, *arguments: Any, **named: Any) -> Outcome | None:
        outcome: Outcome | None = original(self, *arguments, **named)
        changed: Outcome | None = outcome and edit(outcome)
        return changed

    @wrap(LongPolls, "answered")
    def answered(original: Any, self: LongPolls) -> list[Any]:
        return [(waiter, edit(outcome)) for waiter, outcome in original(self)]


def _edit_bodies(edit: Any) -> None:
    """Have `edit(document)` change the JSON object in the body of every reply to an operation."""

    def change(outcome: Outcome) -> Outcome:
        document = as_object(outcome.body)
        if document is None:
            return outcome
        return msgspec.structs.replace(outcome, body=msgspec.json.encode(edit(document)))

    _edit_outcomes(change)


def _with_more(document: dict[str, Any]) -> dict[str, Any]:
    more = {**_MORE, **document}
    if isinstance(more.get("message"), dict):
        more["message"] = {**_MORE, **more["message"]}
    if isinstance(more.get("records"), list):
        more["records"] = [_with_more(record) for record in more["records"]]
    return more


@variant("Readers ignore what they don't know; a server may add members (POLL-OK-1).", bindings=HTTP)
def bodies_over_http_have_members_of_their_own() -> None:
    """Every object starts with members that the text does not define."""
    _edit_bodies(_with_more)
    for name in ("describe_topic", "describe_group", "describe_topics"):
        wrap(introspection, name)(lambda original, thing: {**_MORE, **original(thing)})

    @wrap(running, "describe")
    def describe(original: Any, *arguments: Any, **named: Any) -> bytes:
        document = {**_MORE, **msgspec.json.decode(original(*arguments, **named))}
        document["version"] = "7"
        document["limits"]["x-more"] = 1
        document["classes"] = [*document["classes"], "x-more"]
        return msgspec.json.encode(document)


@variant("Readers ignore what they don't know; a server may add members.", bindings=STOMP)
def bodies_over_stomp_have_members_of_their_own() -> None:
    """Every object has members that the text does not define, acknowledgements too."""
    _edit_bodies(_with_more)
    for name in ("acknowledged", "failed"):

        @wrap(outcomes, name)
        def told(original: Any, *arguments: Any) -> Any:
            acknowledgement = original(*arguments)
            body = {**_MORE, **msgspec.json.decode(acknowledgement.body)}
            return msgspec.structs.replace(acknowledgement, body=msgspec.json.encode(body))


@variant("How many topics a server has is not said (INTRO-TOPICS-1).", bindings=HTTP)
def others_have_very_many_topics() -> None:
    """The server has topics from the start, and their list is longer than the suite reads."""

    @wrap(QueueBroker, "__init__")
    def init(original: Any, self: QueueBroker, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        for number in range(1400):
            self.add_topic(f"{number:0>128}", 256, 0, now=0.0)


@variant("The bodies of these replies may be left out (groups and members, topics).", bindings=HTTP)
def successes_have_no_bodies() -> None:
    """Only polls, publishes with their positions, and introspection have bodies."""

    def strip(outcome: Outcome) -> Outcome:
        document = as_object(outcome.body) or {}
        if outcome.status != 200 or {"message", "records", "offset"} & document.keys():
            return outcome
        return msgspec.structs.replace(outcome, body=b"")

    _edit_outcomes(strip)


@variant("JSON may have blanks and escapes (RFC 8259).", bindings=HTTP)
def json_is_written_wide() -> None:
    """Bodies are indented, and every letter outside of ASCII is escaped."""

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, *arguments: Any) -> Outcome | None:
        response: Outcome | None = original(self, *arguments)
        if response is None or not response.body:
            return response
        body = json.dumps(json.loads(response.body), indent=4).replace("\n", "\r\n") + "\r\n"
        return msgspec.structs.replace(response, body=body.encode())


@variant("A record that is delivered needs no members beyond two (POLL-OK-1).", bindings=STOMP)
def records_are_bare() -> None:
    """A delivered record has only `messageId` and `message`, whose `key` is "" for a record without a key."""

    def bare(item: dict[str, Any]) -> dict[str, Any]:
        message = {**item["message"], "key": item["message"]["key"] or ""}
        return {"message": message, "messageId": item["messageId"]}

    @wrap(long_polls, "one_record")
    def one_record(original: Any, delivery: Any) -> Outcome:
        outcome: Outcome = original(delivery)
        return msgspec.structs.replace(outcome, body=msgspec.json.encode(bare(as_object(outcome.body) or {})))

    @wrap(long_polls, "batch")
    def batch(original: Any, deliveries: Any) -> Outcome:
        outcome: Outcome = original(deliveries)
        records = [bare(item) for item in (as_object(outcome.body) or {})["records"]]
        return msgspec.structs.replace(outcome, body=msgspec.json.encode({"records": records}))


@variant("Numbers are equal as numbers (PUB-TIME-1), and `detail` is for people (REFUSE-2).", bindings=HTTP)
def timestamps_come_as_floats() -> None:
    """Timestamps that are numbers are delivered with a fraction, and problems are in another language."""

    def change(document: dict[str, Any]) -> dict[str, Any]:
        message = document.get("message")
        if isinstance(message, dict) and isinstance(message["timestamp"], int):
            message["timestamp"] = float(message["timestamp"])
        if "detail" in document:
            document.update(title="So geht das nicht", detail="Ärgerlich: das geht so nicht.")
        return document

    _edit_bodies(change)
