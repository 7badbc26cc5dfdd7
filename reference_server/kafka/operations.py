"""Table of the operations that both bindings serve, on a log: each call waits for Kafka, within bounds."""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from reference_server.kafka.cluster import Cluster
from reference_server.kafka.groups import GroupOperations
from reference_server.kafka.log import Unavailable, unavailable
from reference_server.kafka.topics import Publication, TopicOperations
from reference_server.queue import requests
from reference_server.queue.outcomes import ACCEPTED, NOTHING, Outcome, refused
from reference_server.queue.refusal import Refusal

_PUBLISH = "/producer/publish/"
_PUBLISH_ALIAS = "/publish/"
_encode = msgspec.json.encode
_POLLS = msgspec.json.Decoder(requests.Poll)
SomeRequest = TypeVar("SomeRequest", bound=requests.Request)
Park = Callable[[str, int, float], None]
"""Lets a poll of a consumer wait, with its limit of records and its time in seconds."""


class LogOperations:
    """Performs operations on a cluster. Raises only OutcomeUnknown: then nothing may be answered."""

    def __init__(self, cluster: Cluster) -> None:
        self.topics = TopicOperations(cluster)
        self.groups = GroupOperations(cluster, self.topics)
        self._log = cluster.log
        self._settings = cluster.settings
        self._table: dict[str, Callable[[bytes], Outcome]] = {
            "/topic/add-topic": _row(requests.AddTopic, self._add_topic),
            "/addTopic": _row(requests.AddTopic, self._add_topic),  # TOPIC-ALIAS-1
            "/topic/remove-topic": _row(requests.NameTopic, self._remove_topic),
            "/consumer-group/add": _row(requests.NameGroup, self._add_group),
            "/consumer-group/remove": _row(requests.NameGroup, self._remove_group),
            "/consumer/register-consumer": _row(requests.Register, self._register),
            "/consumer/unregister-consumer": _row(requests.NameConsumer, self._unregister),
            "/consumer/subscribe-topic": _row(requests.TopicList, self._subscribe),
            "/consumer/unsubscribe-topic": _row(requests.TopicList, self._unsubscribe),
            "/consumer/acknowledgement": _row(requests.Settle, self._acknowledge),
            "/consumer/negative-acknowledgement": _row(requests.Settle, self._give_back),
            "/consumer/heartbeat": _row(requests.NameConsumer, self._heartbeat),
        }

    def perform(self, path: str, body: bytes, park: Park | None) -> Outcome | None:
        """Perform the operation at `path`. None: a long poll waits, which `park` has taken. Raises OutcomeUnknown."""
        topic = published_topic(path)
        if topic is not None:
            return self.publish([Publication(topic, body)])[0]
        with self._log.limited():
            return self._perform(path, body, park)

    def _perform(self, path: str, body: bytes, park: Park | None) -> Outcome | None:
        try:
            if path == "/consumer/poll":
                return self._poll(body, park)
            return self._table[path](body)
        except KeyError:
            return refused(Refusal("path-unknown", f"there is no operation {path!r}"))
        except Refusal as refusal:
            return refused(refusal)
        except Unavailable as error:
            return unavailable(error)

    def publish(self, publications: Sequence[Publication], ends: Sequence[bool] = ()) -> list[Outcome]:
        """Store records; those after a refused one that `ends` its session are left out.

        Raises OutcomeUnknown if that holds for one of them.
        """
        outcomes: list[Outcome] = []
        with self._log.limited():
            found = self.topics.publish(publications, time.time(), ends)
        for each in found:
            if isinstance(each, Unavailable):
                outcomes.append(unavailable(each))
            elif isinstance(each, Exception):
                raise each
            else:
                outcomes.append(each)
        return outcomes

    def read(self, path: str) -> Outcome:
        """Read /topics, /topics/{topic} or /consumer-groups/{group} (extension introspection)."""
        collection, _, name = path[1:].partition("/")
        try:
            describe = self.topics.describe if collection == "topics" else self.groups.describe
            with self._log.limited():
                return Outcome(200, describe(name))
        except Refusal as refusal:
            return refused(refusal)
        except Unavailable as error:
            return unavailable(error)

    # Rows of the table

    def _add_topic(self, request: requests.AddTopic) -> Outcome:
        topic = self.topics.add(request.topicName, request.partitions)
        return Outcome(200, _encode(self.topics.document(topic)))

    def _remove_topic(self, request: requests.NameTopic) -> Outcome:
        self.topics.remove(request.topicName)
        return ACCEPTED

    def _add_group(self, request: requests.NameGroup) -> Outcome:
        self.groups.add(request.consumer_group_name)
        return _members(consumer_group_name=request.consumer_group_name)

    def _remove_group(self, request: requests.NameGroup) -> Outcome:
        self.groups.remove(request.consumer_group_name)
        return ACCEPTED

    def _register(self, request: requests.Register) -> Outcome:
        group, name = request.consumer_group_name, request.consumer_name
        self.groups.register(group, name)
        return _members(consumer_group_name=group, consumer_name=name)

    def _unregister(self, request: requests.NameConsumer) -> Outcome:
        self.groups.unregister(request.consumer_name)
        return ACCEPTED

    def _subscribe(self, request: requests.TopicList) -> Outcome:
        names = self.groups.subscribe(request.consumer_name, request.names)
        return _members(consumer_name=request.consumer_name, topics=names)

    def _unsubscribe(self, request: requests.TopicList) -> Outcome:
        self.groups.unsubscribe(request.consumer_name, request.names)
        return ACCEPTED

    def _heartbeat(self, request: requests.NameConsumer) -> Outcome:
        self.groups.touch(request.consumer_name)
        return ACCEPTED

    def _acknowledge(self, request: requests.Settle) -> Outcome:
        self.groups.settle(request.consumer_name, request.number, commit=True)
        return ACCEPTED

    def _give_back(self, request: requests.Settle) -> Outcome:
        self.groups.settle(request.consumer_name, request.number, commit=False)
        return ACCEPTED

    def _poll(self, body: bytes, park: Park | None) -> Outcome | None:
        request = requests.decode(_POLLS, body)
        wait, limit, settings = request.wait_seconds, request.max_messages, self._settings
        name = request.consumer_name
        if wait > settings.wait_seconds:  # POLL-WAIT-4
            self.groups.touch(name)
            detail = f"wait_seconds is {settings.wait_seconds:g} at most"
            raise Refusal("member-value", detail, "wait_seconds")
        if limit > settings.poll_messages:  # POLL-BATCH-2
            self.groups.touch(name)
            raise Refusal("member-value", f"max_messages is {settings.poll_messages} at most", "max_messages")
        outcome = self.groups.poll(name, limit)
        if outcome is NOTHING and wait and park is not None:
            park(name, limit, wait)
            return None
        return outcome


def published_topic(path: str) -> str | None:
    """The topic of a path to publish to; None for any other path (PUB-ALIAS-1)."""
    for prefix in (_PUBLISH, _PUBLISH_ALIAS):
        if path.startswith(prefix):
            return path[len(prefix) :]
    return None


def _row(kind: type[SomeRequest], method: Callable[[SomeRequest], Outcome]) -> Callable[[bytes], Outcome]:
    decoder = msgspec.json.Decoder(kind)
    return lambda body: method(requests.decode(decoder, body))


def _members(**members: Any) -> Outcome:
    return Outcome(200, _encode(members))
