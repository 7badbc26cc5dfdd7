"""Acknowledgements of consumers."""

from tests.history.cases.base import bad, good, settled
from tests.history.story import Story


@bad("accepted from a non-owner", "ACK-OTHER-1")
def it_acknowledges_what_another_one_holds() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.acknowledged("bob", "a")
    story.beat("ann")
    return story


@bad("accepted from a non-owner", "ACK-OTHER-1")
def it_acknowledges_what_has_gone_to_another_one() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.gave_back("ann", "a")
    story.got("bob", "a")
    story.acknowledged("ann", "a")
    return story


@good("accepted from a non-owner")
def it_is_refused() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.acknowledged("bob", "a", status=409)
    story.acknowledged("ann", "a")
    return story


@good("accepted from a non-owner")
def a_poll_without_a_reply_may_have_brought_it() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.gave_back("ann", "a")
    story.polled("bob", status=None)
    story.acknowledged("bob", "a")
    return story


@good("accepted from a non-owner")
def it_got_the_same_record_in_another_group() -> Story:
    story = settled("ann")
    story.joined("bob", group="h")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.got("bob", "a")
    story.acknowledged("bob", "a")
    return story


@bad("accepted for nothing", "ACK-UNKNOWN-1")
def nobody_ever_got_that_id() -> Story:
    story = settled("ann")
    story.acknowledged("ann", "a")
    return story


@good("accepted for nothing")
def the_poll_that_brings_it_overlaps() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a", during=(30.0, 32.0))
    story.acknowledged("ann", "a", during=(31.0, 33.0))
    return story


@bad("accepted twice", "ACK-UNKNOWN-1")
def it_acknowledges_twice() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.read("ann", "a")
    story.acknowledged("ann", "a")
    return story


@good("accepted twice")
def the_second_time_is_refused() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.read("ann", "a")
    story.acknowledged("ann", "a", status=409)
    return story


@good("accepted twice")
def no_reply_came_to_the_first_time() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.acknowledged("ann", "a", status=None)
    story.acknowledged("ann", "a")
    return story


@bad("accepted late", "ACK-UNKNOWN-1")
def it_acknowledges_what_it_gave_back() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.gave_back("ann", "a")
    story.acknowledged("ann", "a")
    return story


@bad("accepted late", "ACK-UNKNOWN-1")
def it_acknowledges_what_it_lost_with_the_topic() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.unsubscribed("ann")
    story.acknowledged("ann", "a")
    return story


@good("accepted late")
def it_got_it_again_after_it_gave_it_back() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.gave_back("ann", "a")
    story.got("ann", "a")
    story.acknowledged("ann", "a")
    return story


@good("accepted late")
def no_reply_came_when_it_gave_it_back() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.gave_back("ann", "a", status=None)
    story.acknowledged("ann", "a")
    return story


@bad("holder refused", "ACK-OK-1")
def it_holds_a_record_and_may_not_acknowledge() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.acknowledged("ann", "a", status=409)
    return story


@bad("holder refused", "REBALANCE-2")
def it_holds_a_record_in_a_rebalance_and_may_not_acknowledge() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.joined("bob")
    story.acknowledged("ann", "a", status=409)
    return story


@good("holder refused")
def the_rebalance_may_have_taken_it_back() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.joined("bob")
    story.wait(5.0)
    story.acknowledged("ann", "a", status=409)
    return story


@good("holder refused")
def it_acknowledges_while_it_polls() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a", during=(30.0, 32.0))
    story.acknowledged("ann", "a", status=409, during=(31.0, 33.0))
    return story


@bad("committed by a zombie", "LIVE-GONE-3")
def the_refused_acknowledgement_of_one_who_is_gone_commits() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.got("ann", "a")
    for _ in range(4):
        story.wait(9.0)
        story.beat("bob")
    story.acknowledged("ann", "a", status=404)
    story.got("bob", "b")
    return story


@good("committed by a zombie")
def what_one_who_is_gone_held_comes_again() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.got("ann", "a")
    for _ in range(4):
        story.wait(9.0)
        story.beat("bob")
    story.acknowledged("ann", "a", status=404)
    story.read("bob", "a", "b")
    return story


@bad("committed though refused", "REFUSE-1")
def the_refused_acknowledgement_of_another_commits() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.got("ann", "a")
    story.gave_back("ann", "a")
    story.acknowledged("ann", "a", status=409)
    story.got("ann", "b")
    return story


@good("committed though refused")
def what_was_refused_comes_again() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.got("ann", "a")
    story.gave_back("ann", "a")
    story.acknowledged("ann", "a", status=409)
    story.read("ann", "a", "b")
    return story
