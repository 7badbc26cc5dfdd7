"""The operations that both bindings serve, on a log: each call waits for Kafka, within bounds."""

import time
from collections.abc import Callable, Sequence

import msgspec

from reference_server.kafka.cluster import Cluster
from reference_server.kafka.groups import GroupOperations
from reference_server.kafka.log import Unavailable, unavailable
from reference_server.kafka.topics import Publication, TopicOperations
from reference_server.queue import requests
from reference_server.queue.operation_table import POLL, members, published_topic, rows_of, unknown_operation
from reference_server.queue.outcomes import ACCEPTED, NOTHING, Outcome, refused
from reference_server.queue.refusal import Refusal

_encode = msgspec.json.encode
_POLLS = msgspec.json.Decoder(requests.Poll)
Park = Callable[[str, int, float], None]
"""Lets a poll of a consumer wait, with its limit of records and its time in seconds."""


class LogOperations:
    """Performs operations on a cluster. Raises only OutcomeUnknown: then nothing may be answered."""

    def __init__(self, cluster: Cluster) -> None:
        self.topics = TopicOperations(cluster)
        self.groups = GroupOperations(cluster, self.topics)
        self._log = cluster.log
        self._settings = cluster.settings
        self._table = rows_of(self)

    def perform(self, path: str, body: bytes, park: Park | None) -> Outcome | None:
        """Perform the operation at `path`. None: a long poll waits, which `park` has taken. Raises OutcomeUnknown."""
        topic = published_topic(path)
        if topic is not None:
            return self.publish([Publication(topic, body)])[0]
        with self._log.limited():
            return self._perform(path, body, park)

    def _perform(self, path: str, body: bytes, park: Park | None) -> Outcome | None:
        operation = self._table.get(path)
        if operation is None and path != POLL:
            return refused(unknown_operation(path))
        try:
            return self._poll(body, park) if operation is None else operation(body)
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
        return members(consumer_group_name=request.consumer_group_name)

    def _remove_group(self, request: requests.NameGroup) -> Outcome:
        self.groups.remove(request.consumer_group_name)
        return ACCEPTED

    def _register(self, request: requests.Register) -> Outcome:
        group, name = request.consumer_group_name, request.consumer_name
        self.groups.register(group, name)
        return members(consumer_group_name=group, consumer_name=name)

    def _unregister(self, request: requests.NameConsumer) -> Outcome:
        self.groups.unregister(request.consumer_name)
        return ACCEPTED

    def _subscribe(self, request: requests.TopicList) -> Outcome:
        names = self.groups.subscribe(request.consumer_name, request.names)
        return members(consumer_name=request.consumer_name, topics=names)

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
        wait, limit, name = request.wait_seconds, request.max_messages, request.consumer_name
        try:
            request.check(self._settings)
        except Refusal:
            self.groups.touch(name)
            raise
        outcome = self.groups.poll(name, limit)
        if outcome is NOTHING and wait and park is not None:
            park(name, limit, wait)
            return None
        return outcome
