"""Who is registered, and for how long."""

from tests.history.cases.base import bad, good, settled
from tests.history.story import Story


@bad("evicted early", "LIVE-KEEP-1")
def it_is_refused_after_less_than_the_timeout() -> Story:
    story = settled("ann")
    story.wait(27.0)
    story.polled("ann", status=404)
    return story


@good("evicted early")
def it_is_refused_after_the_timeout() -> Story:
    story = settled("ann")
    story.wait(29.0)
    story.polled("ann", status=404)
    return story


@good("evicted early")
def it_may_have_left() -> Story:
    story = settled("ann")
    story.left("ann", status=None)
    story.polled("ann", status=404)
    return story


@good("evicted early")
def the_reply_took_so_long_that_it_may_have_been_time() -> Story:
    story = settled("ann")
    story.polled("ann", status=404, during=(story.now + 20.0, story.now + 31.0))
    return story


@bad("evicted late", "LIVE-EVICT-1")
def it_is_served_after_timeout_and_grace() -> Story:
    story = settled("ann")
    story.wait(31.0)
    story.beat("ann")
    return story


@bad("evicted late", "LIVE-EVICT-1")
def it_is_served_after_the_clock_has_passed_timeout_and_grace() -> Story:
    story = settled("ann")
    story.clock(31.0)
    story.beat("ann")
    return story


@good("evicted late")
def it_is_served_in_the_grace() -> Story:
    story = settled("ann")
    story.wait(29.5)
    story.beat("ann")
    return story


@good("evicted late")
def a_heartbeat_without_a_reply_may_have_come_late() -> Story:
    story = settled("ann")
    story.beat("ann", status=None)
    story.wait(40.0)
    story.beat("ann")
    return story


@good("evicted late")
def a_refused_operation_may_be_a_sign_of_life() -> Story:
    story = settled("ann")
    story.wait(20.0)
    story.acknowledged("ann", "x", status=409)
    story.wait(20.0)
    story.beat("ann")
    return story


@bad("delivery to an evicted consumer", "LIVE-GONE-1")
def it_was_refused_and_gets_a_record() -> Story:
    story = settled("ann")
    story.wait(31.0)
    story.beat("ann", status=404)
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    return story


@good("delivery to an evicted consumer")
def it_was_refused_and_has_come_back() -> Story:
    story = settled("ann")
    story.wait(31.0)
    story.beat("ann", status=404)
    story.joined("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    return story


@bad("served after eviction", "LIVE-GONE-1")
def it_was_refused_and_may_subscribe() -> Story:
    story = settled("ann")
    story.wait(31.0)
    story.beat("ann", status=404)
    story.subscribed("ann")
    return story


@bad("served after eviction", "LIVE-GONE-3")
def it_was_refused_and_may_acknowledge() -> Story:
    story = settled("ann")
    story.published("a", place=(0, 0))
    story.got("ann", "a")
    story.wait(31.0)
    story.beat("ann", status=404)
    story.acknowledged("ann", "a")
    return story


@good("served after eviction")
def it_was_served_before_it_was_refused() -> Story:
    story = settled("ann")
    story.wait(31.0)
    begun = story.now
    story.beat("ann", status=404)
    story.polled("ann", status=404, during=(begun, begun + 1.2))
    return story


@bad("served after leaving", "MEMBER-UNREGISTER-1")
def it_left_and_may_beat() -> Story:
    story = settled("ann")
    story.left("ann")
    story.beat("ann")
    return story


@good("served after leaving")
def it_left_and_has_come_back() -> Story:
    story = settled("ann")
    story.left("ann")
    story.registered("ann")
    story.beat("ann")
    return story


@good("served after leaving")
def nobody_knows_whether_it_left() -> Story:
    story = settled("ann")
    story.left("ann", status=None)
    story.beat("ann")
    return story


@bad("stranger served", "POLL-UNKNOWN-1")
def nobody_registered_the_one_who_polls() -> Story:
    story = Story()
    story.polled("ann")
    return story


@bad("stranger served", "LIVE-BEAT-2")
def nobody_registered_the_one_who_beats() -> Story:
    story = Story()
    story.beat("ann")
    return story


@bad("stranger served", "ACK-CONSUMER-1")
def nobody_registered_the_one_who_acknowledges() -> Story:
    story = Story()
    story.acknowledged("ann", "a")
    return story


@good("stranger served")
def no_reply_came_to_its_registration() -> Story:
    story = Story()
    story.registered("ann", status=None)
    story.polled("ann")
    return story


@good("stranger served")
def strangers_are_refused() -> Story:
    story = Story()
    story.polled("ann", status=404)
    story.registered("ann", status=404)
    return story


@bad("name taken twice", "MEMBER-REGISTER-4")
def a_name_is_registered_again() -> Story:
    story = settled("ann")
    story.registered("ann", group="h")
    return story


@good("name taken twice")
def a_name_is_registered_again_after_its_holder_may_be_gone() -> Story:
    story = settled("ann")
    story.wait(29.0)
    story.registered("ann")
    return story


@good("name taken twice")
def the_holder_of_the_name_may_have_left() -> Story:
    story = settled("ann")
    story.left("ann", status=None)
    story.registered("ann")
    return story
