"""What producers are told."""

from tests.history.cases.base import bad, good
from tests.history.story import Story


@bad("acknowledged twice", "PUB-ACK-4")
def one_publish_is_told_twice() -> Story:
    story = Story()
    story.listened()
    story.published("a", place=(0, 0))
    story.told("a")
    story.told("a")
    return story


@good("acknowledged twice")
def two_publishes_have_one_label() -> Story:
    story = Story()
    story.listened()
    story.published("a", place=(0, 0), label="same")
    story.published("b", place=(1, 0), label="same")
    story.told("same")
    story.told("same")
    return story


@good("acknowledged twice")
def two_subscriptions_hear_of_one_publish() -> Story:
    story = Story()
    story.listened("l")
    story.listened("m")
    story.published("a", place=(0, 0))
    story.told("a", listener="l")
    story.told("a", listener="m")
    return story


@bad("acknowledged and refused", "PUB-ACK-4")
def one_publish_is_told_both() -> Story:
    story = Story()
    story.listened()
    story.published("a", status=None)
    story.told("a")
    story.told("a", "FAILED")
    return story


@good("acknowledged and refused")
def of_two_publishes_one_is_refused() -> Story:
    story = Story()
    story.listened()
    story.published("a", place=(0, 0), label="same")
    story.published("b", label="same", status=507)
    story.told("same")
    story.told("same", "FAILED")
    return story


@bad("acknowledged wrongly", "PUB-ACK-5")
def a_refused_record_is_told_to_be_stored() -> Story:
    story = Story()
    story.listened()
    story.published("a", status=400)
    story.told("a")
    return story


@bad("acknowledged wrongly", "PUB-ACK-3")
def a_stored_record_is_told_to_be_refused() -> Story:
    story = Story()
    story.listened()
    story.published("a", place=(0, 0))
    story.told("a", "FAILED")
    return story


@good("acknowledged wrongly")
def without_a_reply_either_may_be_true() -> Story:
    story = Story()
    story.listened()
    story.published("a", status=None)
    story.published("b", status=None)
    story.told("a", "FAILED")
    story.told("b")
    return story


@bad("acknowledged to others", "PUB-ACK-7")
def the_label_belongs_to_another_topic() -> Story:
    story = Story()
    story.listened(topic="u")
    story.published("a", place=(0, 0))
    story.told("a")
    return story


@bad("acknowledged to others", "PUB-ACK-7")
def it_is_told_before_it_was_sent() -> Story:
    story = Story()
    story.listened()
    story.told("a")
    story.published("a", place=(0, 0))
    return story


@good("acknowledged to others")
def it_is_told_before_the_reply() -> Story:
    story = Story()
    story.listened()
    story.published("a", place=(0, 0), during=(5.0, 9.0))
    story.now = 5.0
    story.told("a")
    return story


@bad("never acknowledged", "PUB-ACK-1")
def a_stored_record_is_never_told() -> Story:
    story = Story()
    story.listened()
    story.published("a", place=(0, 0))
    story.fenced()
    return story


@good("never acknowledged")
def it_was_stored_before_anybody_listened() -> Story:
    story = Story()
    story.published("a", place=(0, 0))
    story.listened()
    story.fenced()
    return story


@good("never acknowledged")
def it_may_not_have_been_stored() -> Story:
    story = Story()
    story.listened()
    story.published("a", status=None)
    story.fenced()
    return story


@good("never acknowledged")
def it_may_still_be_on_its_way() -> Story:
    story = Story()
    story.listened()
    story.published("a", place=(0, 0))
    return story
