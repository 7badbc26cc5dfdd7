"""Demonstrations of the faults from J15 on, by plain octets: groups, signs of life, names, acknowledgements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.first_server import faults
from tests.first_server.clients import Producer, Queue, comes
from tests.first_server.demonstrations import WITHIN, of

if TYPE_CHECKING:
    from tests.first_server.conftest import Process

#: Options by which a silent consumer is evicted soon.
SOON = ("--heartbeat-timeout", "1", "--eviction-grace", "0.2")


def _one_record(server: Process, queue: Queue) -> None:
    """A topic with one record, a group, and alice in it."""
    queue.topic("t")
    queue.group("g")
    queue.consumer("g", "alice", "t")
    with Producer.of(server, "t") as producer:
        producer.store("m")


@of(faults.SILENT_POLLS, *SOON)
def poller_is_evicted(server: Process) -> bool:
    with Queue.to(server) as queue:
        queue.group("g")
        queue.consumer("g", "alice")
        return comes(
            lambda: queue.do("/consumer/poll", consumer_name="alice") == 404,
            2.0,
        )


@of(faults.COMMITTED_BY_EVICTION, *SOON)
def record_of_an_evicted_consumer_is_lost(server: Process) -> bool:
    with Queue.to(server) as queue:
        _one_record(server, queue)
        assert queue.poll("alice") is not None
        queue.consumer("g", "bob", "t")
        return not comes(lambda: queue.poll("bob") is not None, WITHIN)


@of(faults.SHARED_OFFSETS)
def another_group_misses_the_record(server: Process) -> bool:
    with Queue.to(server) as queue:
        _one_record(server, queue)
        queue.group("h")
        queue.consumer("h", "bob", "t")
        queue.settle("alice", queue.sweep("alice"))
        return queue.poll("bob") is None


@of(faults.GROUP_ANEW)
def group_that_is_added_again_starts_anew(server: Process) -> bool:
    with Queue.to(server) as queue:
        _one_record(server, queue)
        queue.settle("alice", queue.sweep("alice"))
        queue.group("g")
        return queue.poll("alice") is not None


@of(faults.ANY_HEARTBEAT)
def stranger_is_alive(server: Process) -> bool:
    with Queue.to(server) as queue:
        return queue.heartbeat("nobody") == 202


@of(faults.SUBSCRIBED_AGAIN)
def record_in_flight_comes_again(server: Process) -> bool:
    with Queue.to(server) as queue:
        _one_record(server, queue)
        assert queue.poll("alice") is not None
        assert queue.subscribe("alice", "t") == 200
        return queue.poll("alice") is not None


@of(faults.TOLD_BY_PREFIX)
def acknowledgement_of_a_longer_name_comes(server: Process) -> bool:
    with Queue.to(server) as queue, Producer.of(server, "a") as short, Producer.of(server, "ab") as long:
        queue.topic("a")
        queue.topic("ab")
        # The answer on its own topic shows that the session is past its subscription.
        short.store("first")
        long.publish("m")
        short.put({"messageID": "own", "message": "m"})
        return short.expect("MESSAGE")["destination"].endswith("/ab")


@of(faults.EMPTY_KEY)
def empty_keys_stay_in_one_partition(server: Process) -> bool:
    with Queue.to(server) as queue, Producer.of(server, "t") as producer:
        queue.topic("t")
        queue.group("g")
        queue.consumer("g", "alice", "t")
        producer.store("m0", "m1", "m2", "m3", key="")
        return len(queue.sweep("alice")) < 4


@of(faults.LABEL_AS_TEXT)
def number_comes_back_as_text(server: Process) -> bool:
    with Queue.to(server) as queue, Producer.of(server, "t") as producer:
        queue.topic("t")
        producer.put({"messageID": 7, "message": "m"})
        return producer.told()["messageId"] == "7"


@of(faults.CASE_BLIND)
def name_in_capitals_is_taken(server: Process) -> bool:
    with Queue.to(server) as queue:
        queue.topic("t")
        return queue.do("/topic/add-topic", topicName="T") == 404
