"""Who may be handed out what."""

from tests.history.cases.base import bad, good, settled
from tests.history.story import Story


@bad("two owners at once", "ASSIGN-1")
def two_members_get_records_of_one_partition() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.read("ann", "a")
    story.read("bob", "b")
    return story


@bad("two owners at once", "ASSIGN-1")
def two_members_get_records_of_one_key() -> Story:
    story = settled("ann", "bob", positions=False)
    story.published("a", key="k")
    story.published("b", key="k")
    story.read("ann", "a")
    story.read("bob", "b")
    return story


@good("two owners at once")
def a_rebalance_is_between() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.read("ann", "a")
    story.joined("cid")
    story.wait(10.0)
    story.read("bob", "b")
    return story


@good("two owners at once")
def a_rebalance_is_under_way() -> Story:
    story = Story()
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.joined("ann", "bob")
    story.read("ann", "a")
    story.read("bob", "b")
    return story


@good("two owners at once")
def an_eviction_may_be_between() -> Story:
    story = settled("ann", "bob", "cid", heartbeat_timeout=25.0)
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.read("ann", "a")
    for _ in range(3):
        story.wait(6.0)
        story.beat("ann")
        story.beat("bob")
    story.read("bob", "b")
    return story


@bad("unfair assignment", "ASSIGN-2")
def one_of_two_members_owns_both_partitions() -> Story:
    story = settled("ann", "bob")
    story.published("a", place=(0, 0))
    story.published("b", place=(1, 0))
    story.read("ann", "a", "b")
    story.beat("bob")
    return story


@good("unfair assignment")
def one_of_two_members_owns_two_of_three_partitions() -> Story:
    story = settled("ann", "bob", partitions={"t": 3})
    story.published("a", place=(0, 0))
    story.published("b", place=(1, 0))
    story.read("ann", "a", "b")
    story.beat("bob")
    return story


@good("unfair assignment")
def the_other_member_is_subscribed_to_something_else() -> Story:
    story = Story()
    story.joined("ann")
    story.joined("bob", topics=("u",))
    story.wait(10.0)
    story.published("a", place=(0, 0))
    story.published("b", place=(1, 0))
    story.read("ann", "a", "b")
    story.beat("bob")
    return story


@bad("delivery without subscription", "POLL-NONE-1")
def it_never_subscribed() -> Story:
    story = Story()
    story.registered("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    return story


@bad("delivery without subscription", "MEMBER-UNSUBSCRIBE-1")
def it_had_unsubscribed() -> Story:
    story = settled("ann")
    story.unsubscribed("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    return story


@good("delivery without subscription")
def no_reply_came_to_its_subscription() -> Story:
    story = Story()
    story.registered("ann")
    story.subscribed("ann", status=None)
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    return story


@good("delivery without subscription")
def it_subscribed_again() -> Story:
    story = settled("ann")
    story.unsubscribed("ann")
    story.subscribed("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    return story


@bad("moved under its holder", "REBALANCE-2")
def the_next_goes_to_a_newcomer_while_the_first_is_held() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.got("ann", "a")
    story.joined("bob")
    story.got("bob", "b")
    story.acknowledged("ann", "a")
    return story


@good("moved under its holder")
def the_next_goes_to_a_newcomer_when_the_first_is_acknowledged() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    story.got("ann", "a")
    story.joined("bob")
    story.acknowledged("ann", "a")
    story.got("bob", "b")
    return story
