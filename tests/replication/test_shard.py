"""Groups in a log: records by offset, claims of names, topics that come and go, and the log's time."""

from __future__ import annotations

import pytest

from reference_server.kafka import commands as c
from reference_server.kafka.shard import CLAIM_SECONDS, Nothing, Stale
from reference_server.queue.refusal import Refusal
from tests.replication.machines import NEWS, SPORT, TIMEOUT, Feed, shard


@pytest.fixture
def feed() -> Feed:
    return Feed(shard())


def test_a_poll_hands_out_what_its_ends_say(feed: Feed) -> None:
    """A record exists for a group once a command tells its partition's end, and has an id of its own."""
    feed.member("a", NEWS)
    nothing = feed(c.Poll("a", 0, []))
    assert isinstance(nothing, Nothing)
    assert [(free.partition, free.committed, free.end) for free in nothing.looked_at] == [
        (0, 0, 0),
        (1, 0, 0),
    ]
    (given,) = feed(c.Poll("a", 0, [(NEWS.serial, 1, 2)]))
    assert (given.topic.store, given.partition, given.offset) == (NEWS.store, 1, 0)
    feed(c.Settle("a", given.message_id, commit=True))
    (following,) = feed(c.Poll("a", 0, []))
    assert following.offset == 1
    assert following.message_id != given.message_id


def test_an_older_end_takes_nothing_back(feed: Feed) -> None:
    """A node that knows less than another one changes nothing."""
    feed.member("a", NEWS)
    feed(c.Poll("a", 0, [(NEWS.serial, 0, 5)]))
    feed(c.Poll("a", 0, [(NEWS.serial, 0, 1)]))
    assert [each.end for each in feed.machine.by_serial[NEWS.serial].partitions] == [5, 0]


def test_ids_of_all_partitions_differ(feed: Feed) -> None:
    """No two records in flight have the same messageId, whatever their topic (POLL-OK-2)."""
    feed.member("a", NEWS, SPORT)
    ends = [(ref.serial, index, 3) for ref in (NEWS, SPORT) for index in range(ref.partitions)]
    given = feed(c.Poll("a", 10, ends))
    assert len({each.message_id for each in given}) == len(given) == 5


def test_a_claim_that_was_revoked_never_becomes_a_consumer(feed: Feed) -> None:
    """A name that was found free goes to one node: the other's registration comes too late."""
    feed(c.AddGroup("g"))
    assert feed(c.Revoke("a", 7)) is False
    with pytest.raises(Stale):
        feed(c.Register("g", "a", 7, feed.now))
    feed(c.Register("g", "a", 8, feed.now))
    assert feed(c.Revoke("a", 8)) is True


def test_a_claim_that_is_old_never_becomes_a_consumer(feed: Feed) -> None:
    """A revocation need not be kept forever."""
    feed(c.AddGroup("g"))
    claimed = feed.now
    feed.now += CLAIM_SECONDS + 1
    with pytest.raises(Stale):
        feed(c.Register("g", "a", 7, claimed))


def test_what_is_kept_about_the_past_is_bounded(feed: Feed) -> None:
    """Revoked claims and removed topics are forgotten after a while."""
    for number in range(100):
        feed(c.Revoke(f"a{number}", number))
        feed(c.Forget(number))
    feed.now += 3 * CLAIM_SECONDS
    feed(c.Tick())
    assert not feed.machine.revoked
    assert not feed.machine.forgotten


def test_a_refused_registration_is_a_sign_of_life(feed: Feed) -> None:
    """MEMBER-REGISTER-5: another node that wants the name asks whether its holder lives, which keeps it alive."""
    feed.member("a")
    feed.now += TIMEOUT - 1
    assert feed(c.Revoke("a", 7)) is True
    feed.now += TIMEOUT - 1
    feed(c.Touch("a"))


def test_time_is_that_of_the_log(feed: Feed) -> None:
    """A silent consumer is evicted by the first command that is late enough, and its name is free."""
    feed.member("a", NEWS)
    feed.now += TIMEOUT
    feed(c.Tick())
    assert feed.machine.broker.freed == [("a", 7)]
    with pytest.raises(Refusal, match="evicted"):
        feed(c.Poll("a", 0, []))


def test_an_eviction_is_done_at_once(feed: Feed) -> None:
    """Nothing is left for a later command, which a snapshot would have to hold: partitions have their new owner."""
    for number in range(40):
        feed.member(f"a{number}", NEWS, SPORT, claim=number)
    feed.now += TIMEOUT - 1
    feed(c.Touch("a0"))
    feed.now += 2
    feed(c.Tick())
    (group,) = feed.machine.broker.groups.values()
    assert not group.leaving
    assert {cursor.owner.name for cursor in group.all_cursors() if cursor.owner} == {"a0"}


def test_a_subscription_to_a_removed_topic_is_stale(feed: Feed) -> None:
    """A node that has not heard of the removal reads on (TOPIC-REMOVE-2)."""
    feed.member("a")
    feed(c.Forget(NEWS.serial))
    with pytest.raises(Stale):
        feed(c.Subscribe("a", [NEWS]))


def test_a_topic_of_the_same_name_is_a_new_one(feed: Feed) -> None:
    """TOPIC-REMOVE-11: the group is at the beginning of the new topic, whichever comes first, it or the removal."""
    feed.member("a", NEWS)
    (given,) = feed(c.Poll("a", 0, [(NEWS.serial, 0, 9)]))
    again = c.TopicRef("news", 9, 50, 2, "stompliance-news-9")
    feed(c.Subscribe("a", [again]))
    feed(c.Forget(NEWS.serial))
    with pytest.raises(Refusal, match="not in flight"):
        feed(c.Settle("a", given.message_id, commit=True))
    feed(c.Subscribe("a", [again]))
    (first,) = feed(c.Poll("a", 0, [(again.serial, 0, 1)]))
    assert first.topic == again
    with pytest.raises(Stale):
        feed(c.Subscribe("a", [NEWS]))


def test_a_member_without_its_last_topic_is_told(feed: Feed) -> None:
    """TOPIC-REMOVE-9: its polls that wait have to end."""
    feed.member("a", NEWS)
    feed.member("b", NEWS, SPORT, claim=8)
    feed(c.Forget(NEWS.serial))
    assert feed.machine.broker.stranded == ["a"]
