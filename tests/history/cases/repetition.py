"""Records that come again without a reason."""

from tests.history.cases.base import bad, good, settled
from tests.history.story import Story


@bad("duplicate", "DELIVER-3")
def the_holder_gets_it_twice() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.got("ann", "a")
    return story


@bad("duplicate", "DELIVER-3")
def two_polls_at_the_same_time_bring_one_record() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.got("ann", "a", during=(30.0, 32.0))
    story.got("bob", "a", during=(31.0, 33.0))
    story.beat("ann")
    story.beat("bob")
    return story


@good("duplicate")
def it_was_given_back_between() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.gave_back("ann", "a")
    story.got("ann", "a")
    return story


@good("duplicate")
def it_may_have_been_given_back_between() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.gave_back("ann", "a", status=None)
    story.got("ann", "a")
    return story


@good("duplicate")
def its_holder_unsubscribed_between() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.unsubscribed("ann")
    story.subscribed("ann")
    story.got("ann", "a")
    return story


@good("duplicate")
def its_holder_was_silent_and_may_have_been_evicted() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    for _ in range(4):
        story.wait(9.0)
        story.beat("bob")
    story.got("bob", "a")
    return story


@good("duplicate")
def a_rebalance_may_have_taken_it_back() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.joined("bob")
    story.wait(6.0)
    story.beat("ann")
    story.got("bob", "a")
    story.beat("ann")
    return story


@good("duplicate")
def two_groups_get_it() -> Story:
    story = settled("ann")
    story.joined("bob", group="h")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.got("bob", "a")
    return story


@bad("redelivery after acknowledgement", "ACK-COMMIT-1")
def it_comes_again_though_it_was_acknowledged() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.read("ann", "a")
    story.got("ann", "a")
    return story


@good("redelivery after acknowledgement")
def no_reply_came_to_the_acknowledgement_and_its_holder_left() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.acknowledged("ann", "a", status=None)
    story.left("ann")
    story.got("bob", "a")
    return story


@good("redelivery after acknowledgement")
def another_group_acknowledged_it() -> Story:
    story = settled("ann")
    story.joined("bob", group="h")
    story.published("a", place=(0, 0))
    story.read("bob", "a")
    story.got("ann", "a")
    return story


@bad("stored twice", "DELIVER-4")
def it_comes_from_two_places() -> Story:
    story = settled("ann")
    story.published("a")
    story.got("ann", "a", (0, 0))
    story.acknowledged("ann", "a")
    story.got("ann", "a", (0, 1))
    return story


@good("stored twice")
def it_comes_twice_from_one_place() -> Story:
    story = settled("ann")
    story.published("a")
    story.got("ann", "a", (0, 0))
    story.gave_back("ann", "a")
    story.got("ann", "a", (0, 0))
    return story


@bad("mismarked redelivery", "POLL-REDELIVERED-1")
def the_second_time_is_told_to_be_the_first() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a", redelivered=False)
    story.gave_back("ann", "a")
    story.got("ann", "a", redelivered=False)
    return story


@bad("mismarked redelivery", "POLL-REDELIVERED-1")
def the_first_time_is_told_to_be_the_second() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a", redelivered=True)
    return story


@good("mismarked redelivery")
def a_poll_of_which_no_reply_came_may_have_been_the_first() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.polled("bob", status=None)
    story.left("bob")
    story.got("ann", "a", redelivered=True)
    return story


@good("mismarked redelivery")
def which_of_two_polls_was_the_first_is_open() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.got("ann", "a", redelivered=True, during=(30.0, 34.0))
    story.got("bob", "a", redelivered=False, during=(31.0, 32.0))
    story.left("bob", during=(32.5, 33.0))
    return story


@bad("id in use", "POLL-OK-2")
def two_records_in_flight_have_one_id() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(1, 0))
    story.got("ann", "a", number=7)
    story.got("ann", "b", number=7)
    return story


@good("id in use")
def an_id_is_used_again_when_it_is_free() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.ids.update(a=7, b=7)
    story.read("ann", "a", "b")
    return story


@good("id in use")
def one_record_has_one_id_in_two_groups() -> Story:
    story = settled("ann")
    story.joined("bob", group="h")
    story.published("a", place=(0, 0))
    story.got("ann", "a", number=7)
    story.got("bob", "a", number=7)
    return story


@bad("not delivered again", "DELIVER-2")
def what_a_leaver_held_is_left_out() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.got("ann", "a")
    story.left("ann")
    story.got("bob", "b")
    return story


@good("not delivered again")
def what_a_leaver_held_comes_first() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.got("ann", "a")
    story.left("ann")
    story.read("bob", "a", "b")
    return story


@good("not delivered again")
def the_leaver_may_have_acknowledged_it() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.got("ann", "a")
    story.acknowledged("ann", "a", status=None)
    story.left("ann")
    story.got("bob", "b")
    return story


@bad("given back and skipped", "NACK-AGAIN-1")
def what_was_given_back_is_left_out() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.got("ann", "a")
    story.gave_back("ann", "a")
    story.got("ann", "b")
    return story


@good("given back and skipped")
def what_was_given_back_comes_first() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.got("ann", "a")
    story.gave_back("ann", "a")
    story.read("ann", "a", "b")
    return story
