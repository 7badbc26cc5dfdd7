"""Records that don't come, or that nobody published."""

from tests.history.cases.base import bad, good, settled
from tests.history.story import Story


@bad("lost", "DELIVER-1")
def the_second_of_three_never_comes() -> Story:
    story = settled("ann")
    for offset, text in enumerate("abc"):
        story.published(text, place=(0, offset))
    story.read("ann", "a", "c")
    return story


@bad("lost", "DELIVER-1")
def the_first_of_a_key_never_comes_where_no_positions_are_told() -> Story:
    story = settled("ann", positions=False)
    story.published("a", key="k")
    story.published("b", key="k")
    story.read("ann", "b")
    return story


@good("lost")
def the_second_of_three_is_in_another_partition() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(1, 0))
    story.published("c", place=(0, 1))
    story.read("ann", "a", "c")
    return story


@good("lost")
def nobody_knows_whether_the_first_was_stored() -> Story:
    story = settled("ann", positions=False)
    story.published("a", key="k", status=None)
    story.published("b", key="k")
    story.read("ann", "b")
    return story


@good("lost")
def two_of_a_key_were_sent_at_the_same_time() -> Story:
    story = settled("ann", positions=False)
    story.published("a", key="k", during=(20.0, 22.0))
    story.published("b", key="k", during=(21.0, 23.0))
    story.got("ann", "b")
    return story


@bad("unseen", "DELIVER-1")
def the_only_reader_comes_up_empty_for_ever() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.polled("ann")
    return story


@bad("unseen", "DELIVER-1")
def an_acknowledgement_to_the_producer_is_enough() -> Story:
    story = settled("ann")
    story.listened()
    story.published("a", status=None)
    story.told("a")
    story.polled("ann")
    return story


@good("unseen")
def the_poll_was_sent_before_the_record_was_stored() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0), during=(20.0, 22.0))
    story.polled("ann", during=(21.0, 23.0))
    return story


@good("unseen")
def the_group_may_still_be_rebalancing() -> Story:
    story = Story()
    story.joined("ann")
    story.published("a", place=(0, 0))
    story.polled("ann")
    return story


@good("unseen")
def another_poll_of_which_no_reply_came_may_have_brought_it() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.polled("ann", status=None)
    story.polled("ann")
    return story


@good("unseen")
def a_record_of_its_partition_is_in_flight() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.got("ann", "a")
    story.polled("ann")
    return story


@good("unseen")
def another_member_may_own_its_partition() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.polled("ann")
    return story


@good("unseen")
def an_eviction_may_have_started_a_rebalance() -> Story:
    story = settled("ann", "bob", heartbeat_timeout=20.0)
    story.wait(10.0)
    story.beat("ann")
    story.wait(8.5)
    story.beat("bob", status=404)
    story.published("a", place=(0, 0))
    story.polled("ann")
    return story


@good("unseen")
def the_clock_may_have_jumped_over_the_eviction() -> Story:
    story = settled("ann", "bob")
    story.clock(25.0)
    story.beat("ann")
    story.clock(25.0)
    story.published("a", place=(0, 0))
    story.polled("ann")
    return story


@bad("stale", "POLL-OK-1")
def the_record_comes_only_with_a_later_poll() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.polled("ann")
    story.read("ann", "a")
    return story


@good("stale")
def the_acknowledgement_of_its_predecessor_is_on_its_way() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.got("ann", "a")
    story.acknowledged("ann", "a", during=(30.0, 32.0))
    story.polled("ann", during=(31.0, 33.0))
    story.read("ann", "b")
    return story


@bad("phantom", "DELIVER-4")
def nobody_published_it() -> Story:
    story = settled("ann")
    story.got("ann", "a")
    return story


@bad("phantom", "PUB-BODY-2")
def it_was_refused() -> Story:
    story = settled("ann")
    story.published("a", status=400)
    story.got("ann", "a")
    return story


@bad("phantom", "DELIVER-4")
def it_came_before_it_was_sent() -> Story:
    story = settled("ann")
    story.got("ann", "a", (0, 0))
    story.published("a", place=(0, 0))
    return story


@good("phantom")
def no_reply_came_when_it_was_published() -> Story:
    story = settled("ann")
    story.published("a", status=None)
    story.read("ann", "a")
    return story


@bad("changed", "PUB-TEXT-1")
def it_comes_with_another_key() -> Story:
    story = settled("ann")
    story.published("a", key="K", place=(0, 0))
    story.got("ann", "a", key="k")
    return story


@good("changed")
def no_key_and_the_empty_key_are_one() -> Story:
    story = settled("ann")
    story.published("a", key="", place=(0, 0))
    story.got("ann", "a", key=None)
    return story


@bad("owned by none", "REBALANCE-1")
def both_members_come_up_empty() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.polled("ann")
    story.polled("bob")
    return story


@good("owned by none")
def a_third_one_may_be_subscribed() -> Story:
    story = Story()
    story.joined("ann", "bob")
    story.registered("cid")
    story.subscribed("cid", status=None)
    story.wait(10.0)
    story.beat("ann")
    story.beat("bob")
    story.published("a", place=(0, 0))
    story.polled("ann")
    story.polled("bob")
    return story


@good("owned by none")
def one_of_them_polled_before_it_was_stored() -> Story:
    story = settled("ann", "bob")
    story.polled("ann")
    story.published("a", place=(0, 0))
    story.polled("bob")
    return story
