"""Faults in adding and naming topics."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from reference_server.queue import broker, names
from reference_server.queue.broker import QueueBroker
from reference_server.queue.operations import Operations
from reference_server.queue.refusal import Refusal
from reference_server.queue.topic import Partition, Topic
from tests.mutants.editing import (
    answer_by,
    change_settings,
    edit_requests,
    open_cursors,
    refuse_by,
    refuse_everywhere_by,
)
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault


@fault("TOPIC-ADD-1", bindings=HTTP)
def a_new_topic_is_answered_created() -> None:
    """Adding a topic is answered 201."""
    answer_by("_add_topic", 201)


@fault("TOPIC-ADD-2", bindings=HTTP)
def a_second_topic_replaces_the_first() -> None:
    """Adding an existing topic is answered 200 and replaces it by an empty one."""

    @wrap(QueueBroker, "add_topic")
    def add(original: Any, self: QueueBroker, name: str, *arguments: Any, **named: Any) -> Topic:
        self.topics.pop(name, None)
        topic: Topic = original(self, name, *arguments, **named)
        return topic


@fault("TOPIC-ADD-2", "REFUSE-1", "PART-KEY-1", bindings=HTTP, hard=True)
def a_refused_topic_gets_the_partitions_asked_for() -> None:
    """Adding an existing topic is refused, but grows it to the requested number of partitions: keys move."""

    @wrap(QueueBroker, "add_topic")
    def add(
        original: Any, self: QueueBroker, name: str, partitions: int, *arguments: Any, **named: Any
    ) -> Topic:
        known = self.topics.get(name)
        if known is not None and partitions:
            for index in range(len(known.partitions), partitions):
                known.partitions.append(Partition(name, index, index % self.settings.brokers))
        topic: Topic = original(self, name, partitions, *arguments, **named)
        return topic


@fault("TOPIC-ADD-2", "REFUSE-1", bindings=STOMP)
def a_refused_topic_is_emptied() -> None:
    """Adding an existing topic is refused, but resets the offsets of all groups there."""
    cursors = open_cursors()

    @wrap(QueueBroker, "add_topic")
    def add(original: Any, self: QueueBroker, name: str, *arguments: Any, **named: Any) -> Topic:
        if name in self.topics:
            for partition in self.topics[name].partitions:
                for cursor in cursors[partition]:
                    cursor.committed = 0
        topic: Topic = original(self, name, *arguments, **named)
        return topic


@fault("TOPIC-ADD-3", bindings=HTTP)
def a_taken_topic_is_a_bad_request() -> None:
    """Adding an existing topic is refused by 400."""
    refuse_everywhere_by("topic-exists", 400)


@fault("TOPIC-ALIAS-1", bindings=STOMP)
def the_short_spelling_adds_no_topic() -> None:
    """The path /addTopic does not exist."""

    @wrap(Operations, "__init__")
    def begin(original: Any, self: Operations, *arguments: Any) -> None:
        original(self, *arguments)
        del self._table["/addTopic"]


@fault("NAME-1", bindings=HTTP)
def names_end_at_64_characters() -> None:
    """Names of more than 64 characters are refused."""

    @wrap(broker, "check_name")
    def check(original: Any, name: str, member: str, longest: int) -> str:
        return str(original(name, member, min(longest, 64)))


@fault("NAME-1", bindings=STOMP)
def names_of_topics_are_compared_without_case() -> None:
    """`News` is refused if `news` exists."""

    @wrap(QueueBroker, "add_topic")
    def add(original: Any, self: QueueBroker, name: str, *arguments: Any, **named: Any) -> Topic:
        same = next((known for known in self.topics if known.lower() == name.lower()), name)
        topic: Topic = original(self, same, *arguments, **named)
        return topic


@fault("NAME-2", bindings=HTTP)
def a_comma_may_stand_in_a_name() -> None:
    """Names may have commas."""
    names._NAME = re.compile(r"[A-Za-z0-9._,-]+", re.ASCII)


@fault("NAME-2", bindings=STOMP)
def names_of_groups_are_not_looked_at() -> None:
    """Consumer groups may have any name."""

    @wrap(broker, "check_name")
    def check(original: Any, name: str, member: str, longest: int) -> str:
        return name if member == "consumer_group_name" else str(original(name, member, longest))


@fault("NAME-3", bindings=HTTP)
def long_names_are_cut() -> None:
    """A consumer with a name that is too long is registered under its first 128 characters."""

    def cut(body: dict[str, Any]) -> None:
        body["consumer_name"] = body["consumer_name"][:128]

    edit_requests("/consumer/register-consumer", _if_text(cut))


@fault("NAME-3", bindings=STOMP)
def names_are_composed() -> None:
    """Names may have any letters, and are converted to the composed form of Unicode."""
    names._NAME = re.compile(r"[\w.-]+")

    def compose(body: dict[str, Any]) -> None:
        body["consumer_name"] = unicodedata.normalize("NFC", body["consumer_name"])

    edit_requests("/consumer/", _if_text(compose))


def _if_text(edit: Any) -> Any:
    def guarded(body: dict[str, Any]) -> None:
        if isinstance(body.get("consumer_name"), str):
            edit(body)

    return guarded


@fault("NAME-4", bindings=HTTP)
def a_bad_name_is_unprocessable() -> None:
    """Invalid names are refused by 422."""
    refuse_everywhere_by("name-invalid", 422)


@fault("CAP-2", bindings=HTTP)
def topics_have_a_partition_more_than_declared() -> None:
    """A topic without `partitions` gets one partition more than the server declares."""
    change_settings(partitions=lambda count: count + 1)


@fault("PART-COUNT-1", bindings=HTTP)
def the_number_of_partitions_is_not_read() -> None:
    """Every topic gets the default number of partitions."""
    edit_requests("/topic/add-topic", lambda body: body.pop("partitions", None) if _is_count(body) else None)


def _is_count(body: dict[str, Any]) -> bool:
    count = body.get("partitions")
    return isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= 1024


@fault("PART-COUNT-1", bindings=STOMP)
def a_topic_has_at_most_as_many_partitions_as_brokers_twice_over() -> None:
    """A request for more than six partitions is silently cut to six."""

    def bound(body: dict[str, Any]) -> None:
        if _is_count(body):
            body["partitions"] = min(body["partitions"], 6)

    edit_requests("/topic/add-topic", bound)


@fault("PART-COUNT-2", bindings=HTTP)
def no_partitions_means_the_default() -> None:
    """`partitions` of 0 or null is ignored."""
    edit_requests(
        "/topic/add-topic", lambda body: None if body.get("partitions", 1) else body.pop("partitions")
    )


@fault("PART-COUNT-2", bindings=STOMP)
def partitions_may_be_text() -> None:
    """`partitions` of "3" is read as 3."""

    def read(body: dict[str, Any]) -> None:
        if str(body.get("partitions")).isdigit():
            body["partitions"] = int(body["partitions"])

    edit_requests("/topic/add-topic", read)


@fault("PART-COUNT-2", "REFUSE-1", bindings=HTTP)
def a_topic_with_too_many_partitions_is_refused_but_there() -> None:
    """A topic with too many `partitions` is refused, but added with the default number."""

    @wrap(QueueBroker, "add_topic")
    def add(
        original: Any, self: QueueBroker, name: str, partitions: int, *arguments: Any, **named: Any
    ) -> Topic:
        try:
            topic: Topic = original(self, name, partitions, *arguments, **named)
        except Refusal as refusal:
            if refusal.member == "partitions":
                original(self, name, 0, *arguments, **named)
            raise
        return topic


@fault("PUB-TOPIC-2", bindings=HTTP)
def a_topic_that_is_not_there_is_gone() -> None:
    """A record for an unknown topic is refused by 410."""
    refuse_by(QueueBroker, "publish", "topic-unknown", 410)
