"""MESSAGEs that name no subscription: `Subscription.owns` tells by their destination to which one they belong."""

from __future__ import annotations

from typing import Any

from conformance.suite.stomp.destinations import Destination, Subscription
from conformance.wire.frames import Frame

CLIENT: Any = None
NAMES = ["/queue/a", "/queue/b"]
FIRST, SECOND = (
    Subscription(CLIENT, f"s{number}", Destination(name, is_queue=True), number == 0, siblings=NAMES)
    for number, name in enumerate(NAMES)
)


def message(*headers: tuple[str, str]) -> Frame:
    """MESSAGE with these headers."""
    return Frame("MESSAGE", headers)


def test_the_name_of_a_subscription_decides():
    named = message(("subscription", "s1"), ("destination", NAMES[0]))
    assert not FIRST.owns(named)
    assert SECOND.owns(named)


def test_without_a_name_the_destination_decides():
    """A server of 1.0 may write no `subscription`; its messages for several queues come in any order."""
    for mine, other, name in ((FIRST, SECOND, NAMES[0]), (SECOND, FIRST, NAMES[1])):
        assert mine.owns(message(("destination", name)))
        assert not other.owns(message(("destination", name)))


def test_the_first_subscription_has_what_names_neither():
    """A server may name a destination in its own way."""
    for unknown in (message(), message(("destination", "queue://a"))):
        assert FIRST.owns(unknown)
        assert not SECOND.owns(unknown)
