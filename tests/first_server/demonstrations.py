"""Demonstrations of the faults, each by plain octets: True if the server shows the fault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.first_server import faults
from tests.first_server.clients import Producer, Queue, comes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.first_server.conftest import Process
    from tests.first_server.faults import Fault

    Shows = Callable[[Process], bool]

#: Longest time, in seconds, of an action that a server without faults completes and one with the fault never does.
WITHIN = 5.0
#: Seconds of silence that show that an answer is held back.
SILENCE = 0.3


@dataclass(frozen=True)
class Demonstration:
    """Check for a fault, and the options by which the fault shows soon."""

    shows: Shows
    options: tuple[str, ...]


ALL: dict[Fault, list[Demonstration]] = {}


def of(fault: Fault, *options: str) -> Callable[[Shows], Shows]:
    """Register the function as a demonstration of the fault."""

    def register(shows: Shows) -> Shows:
        ALL.setdefault(fault, []).append(Demonstration(shows, options))
        return shows

    return register


def _owner_of_all(server: Process, queue: Queue) -> dict[int, str]:
    """A topic with two records in each partition, and alice, who owns and holds all: messages by id."""
    queue.topic("t")
    queue.group("g")
    queue.consumer("g", "alice", "t")
    with Producer.of(server, "t") as producer:
        producer.store(*(f"m{number}" for number in range(8)))
    held = queue.sweep("alice")
    assert list(held.values()) == ["m0", "m1", "m2", "m3"]
    return held


def _hangs(server: Process, path: str, topics: str) -> bool:
    """True if the reply to bob's request comes only after alice has settled the records that she holds."""
    with Queue.to(server) as queue, Queue.to(server) as asking:
        held = _owner_of_all(server, queue)
        queue.consumer("g", "bob")
        queue.topic("other")
        if path.endswith("unsubscribe-topic"):
            queue.consumer("g", "carol", "other")
            with Queue.to(server) as joining:
                joining.put("/consumer/subscribe-topic", consumer_name="bob", topic_list="t")
                # Bob's own reply may hang as well; he has joined then, and the rebalance waits for alice.
                joining.is_silent(SILENCE)
                asking.put(path, consumer_name="carol", topic_list=topics)
                hangs = asking.is_silent(SILENCE)
                queue.settle("alice", held)
                assert joining.answer().status == 200
        else:
            asking.put(path, consumer_name="bob", topic_list=topics)
            hangs = asking.is_silent(SILENCE)
            assert queue.heartbeat("bob") == 202
            queue.settle("alice", held)
        assert asking.answer().status in {200, 202}
    return hangs


@of(faults.HANGING_SUBSCRIPTIONS, "--rebalance-timeout", "60")
def subscription_hangs(server: Process) -> bool:
    return _hangs(server, "/consumer/subscribe-topic", "t")


@of(faults.HANGING_SUBSCRIPTIONS, "--rebalance-timeout", "60")
def unsubscription_hangs(server: Process) -> bool:
    return _hangs(server, "/consumer/unsubscribe-topic", "other")


@of(
    faults.STUCK_SWEEPER,
    "--heartbeat-timeout",
    "2",
    "--eviction-grace",
    "0.2",
    "--rebalance-timeout",
    "60",
)
def nobody_is_evicted(server: Process) -> bool:
    with Queue.to(server) as queue:
        _owner_of_all(server, queue)
        queue.consumer("g", "bob", "t")
        queue.group("elsewhere")
        queue.consumer("elsewhere", "carol")
        return not comes(lambda: queue.register("elsewhere", "carol") == 200, WITHIN)


@of(faults.LOST_PARTITION, "--rebalance-timeout", "60")
def partition_is_lost(server: Process) -> bool:
    with Queue.to(server) as queue:
        held = _owner_of_all(server, queue)
        queue.consumer("g", "bob", "t")
        assert queue.unsubscribe("bob", "t") == 202
        queue.settle("alice", held)
        rest = queue.drain("alice")
        assert queue.subscribe("bob", "t") == 200
        rest += queue.drain("bob") + queue.drain("alice")
    return sorted(rest) != ["m4", "m5", "m6", "m7"]


@of(faults.TWO_OWNERS)
def two_owners_move_the_offset_by_two(server: Process) -> bool:
    with Queue.to(server) as queue, Producer.of(server, "t") as producer:
        queue.topic("t")
        queue.group("g")
        queue.consumer("g", "alice", "t")
        producer.store("m0", "m1", "m2", key="k")
        assert queue.unsubscribe("alice", "t") == 202
        queue.consumer("g", "bob", "t")
        first, second = queue.poll("bob"), queue.poll("alice")
        if second is None:
            return False
        assert first == second
        assert first is not None
        assert queue.acknowledge("bob", first[0]) == queue.acknowledge("alice", second[0]) == 202
        following = queue.poll("bob")
        assert following is not None
        return following[1] == "m2"


@of(faults.SHARED_HASH)
def burst_of_one_key_spreads(server: Process) -> bool:
    with Queue.to(server) as queue, Producer.of(server, "t") as producer:
        queue.topic("t")
        queue.group("g")
        queue.consumer("g", "alice", "t")
        records = [{"messageID": n, "message": f"m{n}", "key": "k"} for n in range(400)]
        told = producer.burst(records)
        assert [one["messageId"] for one in told] == list(range(400))
        strays = 0
        while len(held := queue.sweep("alice")) == 2:
            strays += 1
            # The later of the two is out of order: the records before it are long acknowledged.
            queue.settle("alice", held)
        return strays > 0


@of(faults.OUT_OF_ORDER)
def burst_is_stored_out_of_order(server: Process) -> bool:
    with Queue.to(server) as queue, Producer.of(server, "t") as producer:
        queue.topic("t")
        queue.group("g")
        queue.consumer("g", "alice", "t")
        sent = [f"m{number}" for number in range(30)]
        producer.burst([{"messageID": text, "message": text, "key": "k"} for text in sent])
        delivered = queue.drain("alice")
    assert sorted(delivered) == sorted(sent)
    return delivered != sent


@of(faults.IDS_BY_CONSUMER)
def two_records_in_flight_share_an_id(server: Process) -> bool:
    ids: list[int] = []
    with Queue.to(server) as queue:
        queue.group("g")
        for topic, consumer in (("t", "alice"), ("u", "bob")):
            queue.topic(topic)
            queue.consumer("g", consumer, topic)
            with Producer.of(server, topic) as producer:
                producer.store("m")
            ids += queue.sweep(consumer)
    assert len(ids) == 2
    return ids[0] == ids[1]


@of(faults.UNSEEN_TOPIC)
def topic_is_not_seen_at_first(server: Process) -> bool:
    told = []
    with Queue.to(server) as queue:
        for number in range(10):
            with Producer.of(server, f"t{number}") as producer:
                queue.topic(f"t{number}")
                told.append(producer.publish("m")["acknowledgementMessage"])
    return "FAILED" in told


@of(faults.PAUSED_TOPIC, "--rebalance-timeout", "60")
def owner_gets_nothing_of_what_stays(server: Process) -> bool:
    with Queue.to(server) as queue:
        held = _owner_of_all(server, queue)
        queue.consumer("g", "bob", "t")
        came = 0
        for message_id in held:
            assert queue.acknowledge("alice", message_id) == 202
            came += queue.poll("alice") is not None
    return came < 2


@of(faults.NEVER_TAKEN_BACK, "--rebalance-timeout", "0.3")
def held_record_is_never_taken_back(server: Process) -> bool:
    with Queue.to(server) as queue:
        _owner_of_all(server, queue)
        queue.consumer("g", "bob", "t")
        return not comes(lambda: queue.poll("bob") is not None, WITHIN)


@of(faults.KEPT_MEMBERS)
def member_outlives_its_group(server: Process) -> bool:
    with Queue.to(server) as queue:
        queue.group("g")
        queue.consumer("g", "alice")
        assert queue.do("/consumer-group/remove", consumer_group_name="g") == 202
        return queue.heartbeat("alice") == 202


def _acknowledges(server: Process, message_id: object) -> int:
    """The status of an acknowledgement by a consumer that holds another record; that one stays in flight."""
    with Queue.to(server) as queue, Producer.of(server, "t") as producer:
        queue.topic("t")
        queue.group("g")
        queue.consumer("g", "alice", "t")
        producer.store("m")
        held = queue.sweep("alice")
        status = queue.acknowledge("alice", message_id)
        queue.settle("alice", held)
    return status


@of(faults.UNKNOWN_ID)
def unknown_id_is_acknowledged(server: Process) -> bool:
    return _acknowledges(server, 987_654) == 202


@of(faults.FOREIGN_ID)
def foreign_id_is_acknowledged(server: Process) -> bool:
    with Queue.to(server) as queue, Producer.of(server, "t") as producer:
        queue.topic("t")
        queue.group("g")
        queue.consumer("g", "alice", "t")
        queue.consumer("g", "bob")
        producer.store("m")
        held = queue.sweep("alice")
        status = queue.acknowledge("bob", next(iter(held)))
        queue.settle("alice", held)
    return status == 202


@of(faults.NEGATIVE_ID)
def negative_id_is_acknowledged(server: Process) -> bool:
    return _acknowledges(server, -1) == 202


@of(faults.TEXT_ID)
def server_falls_over_an_id_that_is_text(server: Process) -> bool:
    return _acknowledges(server, "abc") == 500


def _is_taken(server: Process, path: str, body: bytes) -> bool:
    with Queue.to(server) as queue:
        answer = queue.send_octets(path, body)
    assert answer.status in {200, 404}
    return answer.status == 200


@of(faults.EMPTY_NAME)
def empty_name_is_taken(server: Process) -> bool:
    return _is_taken(server, "/topic/add-topic", b'{"topicName": ""}')


@of(faults.MISSING_TEXT)
def missing_name_is_taken(server: Process) -> bool:
    return _is_taken(server, "/consumer-group/add", b"{}")


@of(faults.SLASHED_NAME)
def slashed_name_is_taken(server: Process) -> bool:
    return _is_taken(server, "/topic/add-topic", b'{"topicName": "a/b"}')


@of(faults.NUMBER_FOR_TEXT)
def number_is_taken_for_a_name(server: Process) -> bool:
    return _is_taken(server, "/consumer-group/add", b'{"consumer_group_name": 7}')


@of(faults.TRAILING_OCTETS)
def what_follows_the_object_is_ignored(server: Process) -> bool:
    return all(
        _is_taken(server, "/consumer-group/add", b'{"consumer_group_name": "g"}' + more)
        for more in (b" x", b"{}", b"]")
    )


def _is_stored(server: Process, record: object) -> bool:
    with Queue.to(server) as queue, Producer.of(server, "t") as producer:
        queue.topic("t")
        producer.put(record)
        return bool(producer.told()["acknowledgementMessage"] == "ACK")


@of(faults.MISSING_TEXT)
def missing_message_is_stored(server: Process) -> bool:
    return _is_stored(server, {"messageID": "1"})


@of(faults.NUMBER_FOR_TEXT)
def numbers_are_stored_for_texts(server: Process) -> bool:
    return _is_stored(server, {"messageID": "1", "message": 7, "key": 8})


@of(faults.TRAILING_OCTETS)
def record_with_more_behind_it_is_stored(server: Process) -> bool:
    return _is_stored(server, b'{"messageID": "1", "message": "m"} x')


@of(faults.EMPTY_AT_END)
def empty_name_at_the_end_is_dropped(server: Process) -> bool:
    with Queue.to(server) as queue:
        queue.topic("t")
        queue.group("g")
        queue.consumer("g", "alice")
        assert queue.subscribe("alice", ",t") == 404
        return queue.subscribe("alice", "t,") == 200
