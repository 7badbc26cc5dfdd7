"""Faults in telling names apart, and keys: by prefix, without case, trimmed, composed, or taken for nothing.

Each is modelled on public bug reports of brokers and clients, or was seeded into a broker that was written from the
text alone.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue.broker import QueueBroker
from reference_server.queue.operations import Operations
from reference_server.queue.partitioner import partition_of
from reference_server.queue.refusal import Refusal
from reference_server.queue.topic import Partition, Topic
from tests.mutants.editing import as_object, edit_requests
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_server.queue.outcomes import Outcome

PUBLISH = "/producer/publish/"


class _Folded(dict[str, Any]):
    """A dictionary that compares its keys as `fold` has them."""

    fold: Callable[[str], str] = staticmethod(str.casefold)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(self.fold(name))

    def __getitem__(self, name: str) -> Any:
        return super().__getitem__(self.fold(name))

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(self.fold(name), value)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(self.fold(name))

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(self.fold(name), default)


def _fold_names(space: str) -> None:
    """Look up names of one kind without regard to case."""

    @wrap(QueueBroker, "__init__")
    def begin(original: Any, self: QueueBroker, *arguments: Any) -> None:
        original(self, *arguments)
        setattr(self, space, _Folded())


@fault("NAME-5", "NAME-1", bindings=HTTP)
def consumers_names_have_no_case() -> None:
    """Consumers whose names differ by case only are one: a collation that ignores case, as databases have it."""
    _fold_names("consumers")


@fault("NAME-5", "NAME-1", bindings=STOMP)
def groups_names_have_no_case() -> None:
    """Consumer groups whose names differ by case only are one."""
    _fold_names("groups")


@fault("NAME-5", "NAME-1", bindings=STOMP)
def topics_names_have_no_case() -> None:
    """Topics whose names differ by case only are one."""
    _fold_names("topics")


def _refuse_alike(method: str, space: str, cause: str) -> None:
    """Refuse a new name that equals another one when `.`, `-` and `_` are not told apart."""

    @wrap(QueueBroker, method)
    def add(original: Any, self: QueueBroker, *arguments: Any, **named: Any) -> Any:
        name = arguments[1] if method == "register" else arguments[0]
        alike = re.sub(r"[._-]", "_", name)
        if any(re.sub(r"[._-]", "_", other) == alike for other in getattr(self, space) if other != name):
            raise Refusal(cause, f"{name!r} collides with another name")
        return original(self, *arguments, **named)


@fault("NAME-5", "NAME-1", bindings=HTTP)
def topics_collide_when_dots_become_underscores() -> None:
    """The topic `a_b` is refused where `a.b` exists: names of metrics are made of both by replacing octets."""
    _refuse_alike("add_topic", "topics", "topic-exists")


@fault("NAME-5", "NAME-1", bindings=STOMP)
def consumers_collide_when_hyphens_become_underscores() -> None:
    """The consumer `a_b` is refused where `a-b` is registered."""
    _refuse_alike("register", "consumers", "consumer-exists")


@fault("LIVE-EVICT-1", "NAME-5", bindings=HTTP)
def a_heartbeat_counts_for_longer_names() -> None:
    """A heartbeat of `c1` keeps `c10` alive: a consumer is found by the prefix of its key in a store."""

    @wrap(Operations, "_heartbeat")
    def beat(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        outcome: Outcome = original(self, request, now)
        for name, consumer in self.broker.consumers.items():
            if name.startswith(request.consumer_name):
                self.broker._sign_of_life(consumer, now)
        return outcome


@fault("GROUP-REMOVE-1", "NAME-5", "GROUP-REMOVE-2", bindings=HTTP)
def a_group_is_removed_with_those_of_longer_names() -> None:
    """Removing the group `g` removes `g-1` with it: keys of a store that begin alike are deleted together."""

    @wrap(QueueBroker, "remove_group")
    def remove(original: Any, self: QueueBroker, name: str, *, now: float) -> None:
        original(self, name, now=now)
        for other in [each for each in self.groups if each.startswith(name)]:
            original(self, other, now=now)


def _trim(path: str, member: str) -> None:
    def trim(body: dict[str, Any]) -> None:
        if isinstance(body.get(member), str):
            body[member] = body[member].strip(" ")

    edit_requests(path, trim)


@fault("NAME-3", bindings=HTTP)
def topics_names_are_trimmed() -> None:
    """The topic ` x ` is added as `x`."""
    _trim("/topic/add-topic", "topicName")


@fault("NAME-3", bindings=STOMP)
def consumers_names_are_trimmed() -> None:
    """The consumer ` x ` is registered as `x`."""
    _trim("/consumer/register-consumer", "consumer_name")


@fault("NAME-3", bindings=HTTP)
def groups_names_are_trimmed() -> None:
    """The group ` x ` is added as `x`."""
    _trim("/consumer-group/add", "consumer_group_name")


def _edit_keys(edit: Callable[[str], str]) -> None:
    def change(body: dict[str, Any]) -> None:
        if isinstance(body.get("key"), str):
            body["key"] = edit(body["key"])

    edit_requests(PUBLISH, change)


@fault("PUB-TEXT-1", bindings=HTTP)
def keys_are_composed() -> None:
    """Keys are brought into normal form C, so that `e` with an accent comes back as one character."""
    _edit_keys(lambda key: unicodedata.normalize("NFC", key))


@fault("PUB-TEXT-1", bindings=STOMP)
def keys_are_decomposed() -> None:
    """Keys are brought into normal form D."""
    _edit_keys(lambda key: unicodedata.normalize("NFD", key))


@fault("PUB-TEXT-1", bindings=STOMP)
def keys_are_trimmed() -> None:
    """Blanks around a key are cut off."""
    _edit_keys(str.strip)


def _treat_as_keyless(*words: str) -> None:
    """Spread records with these keys as if they had none; the key is delivered all the same."""

    @wrap(Topic, "partition_for")
    def place(original: Any, self: Topic, key: str | None) -> Partition:
        if key in words:
            partition: Partition = original(self, None)
            self.take_turn()
            return partition
        return original(self, key)


@fault("PART-KEY-1", bindings=HTTP)
def the_words_for_nothing_are_no_keys() -> None:
    """Records with the key `null`, `undefined` or `None` go round: a client that turns nothing into a word."""
    _treat_as_keyless("null", "undefined", "None")


@fault("PART-KEY-1", bindings=STOMP)
def the_key_0_is_no_key() -> None:
    """Records with the key `0` or `false` go round: a test for truth where one for nothing was meant."""
    _treat_as_keyless("0", "false")


@fault("PART-KEY-1", bindings=HTTP)
def a_blank_is_no_key() -> None:
    """Records with a key of blanks go round: a test for blankness."""
    _treat_as_keyless(" ", "  ", "\t")


@fault("PART-RR-1", bindings=HTTP)
def a_null_key_is_hashed() -> None:
    """A record with `"key": null` goes to the partition of the text `null`; one without a key takes its turn."""
    explicit: list[bool] = []

    @wrap(Operations, "_publish")
    def publish(original: Any, self: Operations, topic: str, body: bytes, now: float) -> Outcome:
        document = as_object(body)
        explicit[:] = [True] if document is not None and document.get("key", "") is None else []
        outcome: Outcome = original(self, topic, body, now)
        return outcome

    @wrap(Topic, "partition_for")
    def place(original: Any, self: Topic, key: str | None) -> Partition:
        if explicit:
            return self.partitions[partition_of("null", len(self.partitions))]
        partition: Partition = original(self, key)
        return partition


_MEMBERS = {
    name.lower(): name
    for name in (
        "topicName",
        "partitions",
        "partition_bytes",
        "messageID",
        "message",
        "key",
        "timestamp",
        "consumer_group_name",
        "consumer_name",
        "topic_list",
        "message_id",
        "max_messages",
        "wait_seconds",
    )
}


def _fold_members(*, first: bool) -> None:
    """Match members of requests without regard to case; `first`: of two spellings the first one counts."""

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Outcome | None:
        document = as_object(body)
        if document is not None:
            read: dict[str, Any] = {}
            for name, value in document.items():
                known = _MEMBERS.get(name.lower(), name)
                if not (first and known in read):
                    read[known] = value
            body = msgspec.json.encode(read)
        outcome: Outcome | None = original(self, path, body, **named)
        return outcome


@fault("REFUSE-5", "REFUSE-4", "PUB-BODY-1", bindings=HTTP)
def members_have_no_case() -> None:
    """`Consumer_Group_Name` is taken for `consumer_group_name`, and the last spelling counts, as Go decodes JSON."""
    _fold_members(first=False)


@fault("REFUSE-5", "REFUSE-4", "PUB-BODY-1", bindings=STOMP)
def members_have_no_case_and_the_first_counts() -> None:
    """`messageId` is taken for `messageID`, and the first of two spellings counts."""
    _fold_members(first=True)
