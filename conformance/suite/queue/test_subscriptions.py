"""What consumers are subscribed to: MEMBER-SUBSCRIBE-*, MEMBER-UNSUBSCRIBE-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.suite.queue.queue_client import refused
from conformance.suite.queue.scene import ACKNOWLEDGE, SUBSCRIBE, UNSUBSCRIBE, Scene
from conformance.suite.queue.timeouts import one_silence, past_eviction, timed

if TYPE_CHECKING:
    from conformance.bench.bench import Bench


@clauses("MEMBER-SUBSCRIBE-1")
def test_subscriptions_add_up(bench: Bench) -> None:
    """Topics of one list, and those of a later one, are all delivered; a name that is listed twice counts once."""
    scene = Scene(bench)
    topics = [scene.topic() for _ in range(5)]
    consumer = scene.consumer(scene.group(), topics[0])
    scene.subscribe(consumer, topics[1], topics[2], topics[1], topics[3])
    scene.subscribe(consumer, topics[4])
    for topic in topics:
        scene.publish(topic, "m")
    seen = sorted(record.topic for record in scene.drain(consumer, len(topics), "MEMBER-SUBSCRIBE-1"))
    bench.judge("MEMBER-SUBSCRIBE-1", seen == sorted(topics), expected="one of each topic", observed=seen)


@clauses("MEMBER-SUBSCRIBE-2", "MEMBER-SUBSCRIBE-3")
@pytest.mark.parametrize("place", ["alone", "first", "last"])
def test_a_list_with_an_unknown_topic_subscribes_to_none(bench: Bench, place: str) -> None:
    """One topic that does not exist, wherever it stands in the list, and nothing is subscribed to."""
    scene = Scene(bench)
    topic, other, unknown = scene.topic(), scene.topic(), bench.fresh("unknown")
    consumer = scene.consumer(scene.group())
    scene.publish(topic, "m")
    names = {"alone": [unknown], "first": [unknown, topic], "last": [topic, unknown]}[place]
    reply = scene.call(SUBSCRIBE, {"consumer_name": consumer, "topic_list": ",".join(names)})
    bench.judge("MEMBER-SUBSCRIBE-2", refused(reply), expected="4xx: no such topic", observed=reply)
    bench.judge("MEMBER-SUBSCRIBE-3", reply.status == 404, expected="404: no such topic", observed=reply)
    scene.subscribe(consumer, other)
    scene.warm_up(other, consumer)
    scene.nothing(consumer, "MEMBER-SUBSCRIBE-2", f"no record of {topic}: only {other} was subscribed to")
    added = scene.queue.add_topic(unknown)
    bench.judge("MEMBER-SUBSCRIBE-2", added.status == 200, expected="200: it was not added", observed=added)


@clauses("MEMBER-SUBSCRIBE-2", "MEMBER-SUBSCRIBE-3", "MEMBER-UNSUBSCRIBE-2", "MEMBER-UNSUBSCRIBE-3")
@pytest.mark.parametrize(
    ("path", "clause", "status_clause"),
    [
        (SUBSCRIBE, "MEMBER-SUBSCRIBE-2", "MEMBER-SUBSCRIBE-3"),
        (UNSUBSCRIBE, "MEMBER-UNSUBSCRIBE-2", "MEMBER-UNSUBSCRIBE-3"),
    ],
    ids=["subscribe", "unsubscribe"],
)
def test_an_unknown_consumer_has_no_subscriptions(
    bench: Bench, path: str, clause: str, status_clause: str
) -> None:
    """Neither subscribing nor unsubscribing registers somebody."""
    scene = Scene(bench)
    name = bench.fresh("nobody")
    reply = scene.call(path, {"consumer_name": name, "topic_list": scene.topic()})
    bench.judge(clause, refused(reply), expected="4xx: no such consumer", observed=reply)
    bench.judge(status_clause, reply.status == 404, expected="404: no such consumer", observed=reply)
    beat = scene.heartbeat(name)
    bench.judge(clause, refused(beat), expected="4xx: it was not registered by that", observed=beat)


@clauses("MEMBER-SUBSCRIBE-4")
def test_subscribing_again_changes_nothing(bench: Bench) -> None:
    """No record in flight is freed and no offset moves, however often a consumer subscribes."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    for number in range(3):
        scene.publish(topic, f"m{number}")
    scene.drain(consumer, 1)
    held = scene.record(consumer)
    body = {"consumer_name": consumer, "topic_list": topic}
    for _ in range(2):
        reply = scene.call(SUBSCRIBE, body)
        bench.judge(
            "MEMBER-SUBSCRIBE-4", reply.status == 200, expected="200: subscribed already", observed=reply
        )
        scene.nothing(consumer, "MEMBER-SUBSCRIBE-4", "no record: m1 is in flight as before")
    mine = scene.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": held.message_id})
    bench.judge("MEMBER-SUBSCRIBE-4", mine.status == 202, expected="202: m1 is still its own", observed=mine)
    following = scene.next(consumer, "MEMBER-SUBSCRIBE-4")
    bench.judge("MEMBER-SUBSCRIBE-4", following.message == "m2", expected="m2", observed=following.whole)


@clauses("MEMBER-UNSUBSCRIBE-1")
def test_who_unsubscribes_gets_no_more_of_the_topic(bench: Bench) -> None:
    """Unsubscribing answers 202; the other topics go on."""
    scene = Scene(bench)
    given_up, kept = scene.topic(), scene.topic()
    consumer = scene.consumer(scene.group(), given_up, kept)
    scene.warm_up(given_up, consumer)
    for number in range(2):
        scene.publish(given_up, f"m{number}")
    scene.unsubscribe(consumer, given_up)
    scene.nothing(consumer, "MEMBER-UNSUBSCRIBE-1", f"no record of {given_up}")
    scene.publish(kept, "kept")
    record = scene.record(consumer, "MEMBER-UNSUBSCRIBE-1")
    bench.judge("MEMBER-UNSUBSCRIBE-1", record.topic == kept, expected=f"{kept}'s", observed=record.whole)


@clauses("MEMBER-UNSUBSCRIBE-2", "MEMBER-UNSUBSCRIBE-3")
@pytest.mark.parametrize("place", ["alone", "first", "last"])
def test_a_list_with_an_unknown_topic_unsubscribes_from_none(bench: Bench, place: str) -> None:
    """One topic that does not exist, wherever it stands in the list, and no subscription changes."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    for number in range(2):
        scene.publish(topic, f"m{number}")
    held = scene.record(consumer)
    unknown = bench.fresh("unknown")
    names = {"alone": [unknown], "first": [unknown, topic], "last": [topic, unknown]}[place]
    reply = scene.call(UNSUBSCRIBE, {"consumer_name": consumer, "topic_list": ",".join(names)})
    bench.judge("MEMBER-UNSUBSCRIBE-2", refused(reply), expected="4xx: no such topic", observed=reply)
    bench.judge("MEMBER-UNSUBSCRIBE-3", reply.status == 404, expected="404: no such topic", observed=reply)
    mine = scene.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": held.message_id})
    bench.judge("MEMBER-UNSUBSCRIBE-2", mine.status == 202, expected="202: m0 is its own", observed=mine)
    following = scene.next(consumer, "MEMBER-UNSUBSCRIBE-2")
    bench.judge("MEMBER-UNSUBSCRIBE-2", following.message == "m1", expected="m1", observed=following.whole)


@clauses("MEMBER-UNSUBSCRIBE-4")
@pytest.mark.parametrize("how", ["unsubscribed", "unregistered"])
def test_offsets_stay_when_nobody_is_left(bench: Bench, how: str) -> None:
    """The next one that subscribes in the group goes on where the last one stopped."""
    if how == "unregistered" and not bench.declares("unregister"):
        bench.skip("MEMBER-UNSUBSCRIBE-4", "nobody can leave (extension unregister)")
        return
    scene = Scene(bench)
    topic, group, (consumer,) = scene.readers()
    for number in range(4):
        scene.publish(topic, f"m{number}")
    scene.drain(consumer, 2)
    if how == "unsubscribed":
        scene.unsubscribe(consumer, topic)
        scene.subscribe(consumer, topic)
    else:
        scene.queue.unregister(consumer)
        consumer = scene.consumer(group, topic)
    observed = [record.message for record in scene.drain(consumer, 2, "MEMBER-UNSUBSCRIBE-4")]
    bench.judge("MEMBER-UNSUBSCRIBE-4", observed == ["m2", "m3"], expected="m2, m3", observed=observed)


@clauses("MEMBER-UNSUBSCRIBE-4")
@waits(one_silence)
def test_offsets_stay_when_the_last_member_is_evicted(bench: Bench) -> None:
    """Who comes after an eviction goes on where the group stood, in partitions with and without a record in flight."""
    scene = Scene(bench)
    idle, busy, group = scene.topic(), scene.topic(), scene.group()
    consumer = scene.consumer(group, idle)
    for topic in (idle, busy):
        for number in range(3):
            scene.publish(topic, f"m{number}")
    scene.drain(consumer, 2)
    scene.unsubscribe(consumer, idle)
    scene.subscribe(consumer, busy)
    scene.drain(consumer, 2)
    scene.record(consumer)
    scene.subscribe(consumer, idle)
    sign = timed(scene, group, lambda: scene.heartbeat(consumer))
    past_eviction(scene, group, sign, consumer)
    scene.members[group].remove(consumer)
    heir = scene.consumer(group, idle, busy)
    observed = [(record.topic, record.message) for record in scene.drain(heir, 2, "MEMBER-UNSUBSCRIBE-4")]
    bench.judge(
        "MEMBER-UNSUBSCRIBE-4",
        sorted(observed) == sorted([(idle, "m2"), (busy, "m2")]),
        expected="m2 of each topic, the only one that was not acknowledged",
        observed=observed,
    )


@clauses("MEMBER-SUBSCRIBE-2", "MEMBER-UNSUBSCRIBE-2")
@pytest.mark.parametrize(
    ("path", "clause"),
    [(SUBSCRIBE, "MEMBER-SUBSCRIBE-2"), (UNSUBSCRIBE, "MEMBER-UNSUBSCRIBE-2")],
    ids=["subscribe", "unsubscribe"],
)
def test_an_empty_name_in_a_list_is_no_topic(bench: Bench, path: str, clause: str) -> None:
    """A list without a name, or with an empty one, is refused, and no subscription changes."""
    scene = Scene(bench)
    kept, other = scene.topic(), scene.topic()
    consumer = scene.consumer(scene.group(), kept)
    scene.warm_up(kept, consumer)
    scene.publish(other, "m")
    named = other if path == SUBSCRIBE else kept
    for listed in ("", ",", f",{named}", f"{named},", f"{named},,{named}"):
        reply = scene.call(path, {"consumer_name": consumer, "topic_list": listed})
        bench.judge(clause, refused(reply), expected=f"4xx for the list {listed!r}", observed=reply)
    scene.nothing(consumer, clause, f"no record of {other}: nothing was subscribed to")
    scene.publish(kept, "m")
    record = scene.next(consumer, clause)
    bench.judge(clause, record.topic == kept, expected=f"{kept}'s record", observed=record.whole)
