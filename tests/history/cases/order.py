"""Records out of their order, and where they lie."""

from tests.history.cases.base import bad, good, settled
from tests.history.story import Story


@bad("poll-skip", "ORDER-1")
def the_second_comes_before_the_first() -> Story:
    story = settled("ann")
    story.published("a", "k", place=(0, 0))
    story.published("b", "l", place=(0, 1))
    story.read("ann", "b", "a")
    return story


@good("poll-skip")
def they_are_in_two_partitions() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(1, 0))
    story.read("ann", "b", "a")
    return story


@good("poll-skip")
def the_acknowledgement_between_them_overlaps_the_second_poll() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.got("ann", "a")
    story.acknowledged("ann", "a", during=(30.0, 33.0))
    story.got("ann", "b", during=(31.0, 32.0))
    return story


@bad("key order broken", "ORDER-1")
def the_order_of_a_key_is_lost_over_a_rebalance() -> Story:
    story = settled("ann", positions=False)
    story.published("a", key="k")
    story.published("b", key="k")
    story.joined("bob")
    story.read("bob", "b")
    story.read("ann", "a")
    return story


@good("key order broken")
def the_order_of_two_keys_is_open() -> Story:
    story = settled("ann", positions=False)
    story.published("a", key="k")
    story.published("b", key="l")
    story.read("ann", "b")
    story.read("ann", "a")
    return story


@good("key order broken")
def the_order_of_a_key_is_open_where_its_records_were_sent_at_once() -> Story:
    story = settled("ann", positions=False)
    story.published("a", key="k", during=(20.0, 23.0))
    story.published("b", key="k", during=(21.0, 22.0))
    story.read("ann", "b")
    story.read("ann", "a")
    return story


@bad("more than one in flight", "ORDER-2")
def the_next_comes_while_the_first_is_held() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.got("ann", "a")
    story.got("ann", "b")
    return story


@good("more than one in flight")
def it_holds_one_of_each_partition() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(1, 0))
    story.got("ann", "a")
    story.got("ann", "b")
    return story


@bad("nonmonotonic poll", "ORDER-1")
def a_consumer_goes_back_to_the_first() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.read("ann", "a", "b")
    story.got("ann", "a")
    return story


@good("nonmonotonic poll")
def a_consumer_goes_back_to_what_it_gave_back() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.read("ann", "a")
    story.got("ann", "b")
    story.gave_back("ann", "b")
    story.got("ann", "b")
    return story


@bad("nonmonotonic send", "PUB-STORE-1")
def the_later_one_lies_in_front() -> Story:
    story = Story()
    story.published("a", place=(0, 1))
    story.published("b", place=(0, 0))
    return story


@good("nonmonotonic send")
def of_two_that_were_sent_at_once_any_lies_in_front() -> Story:
    story = Story()
    story.published("a", place=(0, 1), during=(1.0, 3.0))
    story.published("b", place=(0, 0), during=(2.0, 4.0))
    return story


@bad("inconsistent offsets", "PUB-POSITION-1")
def two_records_lie_at_one_place() -> Story:
    story = Story()
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 0))
    return story


@bad("inconsistent offsets", "PUB-POSITION-1")
def a_record_comes_from_another_place_than_was_told() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a", (1, 0))
    return story


@good("inconsistent offsets")
def one_offset_is_there_in_two_partitions() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(1, 0))
    story.got("ann", "a", (0, 0))
    return story


@bad("offset gap", "PUB-POSITION-1")
def an_offset_is_left_out() -> Story:
    story = Story()
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 2))
    return story


@good("offset gap")
def a_record_without_a_reply_may_lie_there() -> Story:
    story = Story()
    story.published("a", place=(0, 0))
    story.published("x", status=None)
    story.published("b", place=(0, 2))
    return story


@bad("key moved to another partition", "PART-KEY-1")
def a_key_has_two_partitions() -> Story:
    story = Story()
    story.published("a", key="k", place=(0, 0))
    story.published("b", key="k", place=(1, 0))
    return story


@good("key moved to another partition")
def a_key_has_a_partition_in_each_topic() -> Story:
    story = Story()
    story.published("a", key="k", place=(0, 0))
    story.published("b", key="k", place=(1, 0), topic="u")
    return story


@good("key moved to another partition")
def records_without_a_key_lie_anywhere() -> Story:
    story = Story()
    story.published("a", key="", place=(0, 0))
    story.published("b", key="", place=(1, 0))
    return story


@bad("uneven spread", "PART-RR-1")
def two_keyless_records_in_a_row_lie_in_one_of_two_partitions() -> Story:
    story = Story()
    story.published("a", "", place=(0, 0))
    story.published("b", "", place=(0, 1))
    return story


@good("uneven spread")
def a_record_with_a_key_is_between() -> Story:
    story = Story()
    story.published("a", "", place=(0, 0))
    story.published("x", key="k", place=(0, 1))
    story.published("b", "", place=(0, 2))
    return story


@good("uneven spread")
def a_record_that_overlaps_may_be_between() -> Story:
    story = Story()
    story.published("a", "", place=(0, 0), during=(1.0, 2.0))
    story.published("b", "", place=(0, 1), during=(3.0, 6.0))
    story.published("c", "", place=(1, 0), during=(4.0, 5.0))
    return story


@good("uneven spread")
def a_record_without_a_reply_may_be_between() -> Story:
    story = Story()
    story.published("x", "", status=None)
    story.published("a", "", place=(0, 0))
    story.published("b", "", place=(0, 1))
    return story
