"""For each anomaly a smallest history that has it, and one that nearly has it and is legal.

Where a history without a reply, or with operations that overlap, is what makes it legal, there is one for each.
"""

from collections.abc import Callable
from typing import NamedTuple

from tests.history.story import Story

Tell = Callable[[], Story]


class Case(NamedTuple):
    """A story about an anomaly: with it, on a clause, or without any."""

    anomaly: str
    clause: str
    tell: Tell


BAD: list[Case] = []
GOOD: list[Case] = []


def bad(anomaly: str, clause: str) -> Callable[[Tell], Tell]:
    """The story has the anomaly."""

    def register(tell: Tell) -> Tell:
        BAD.append(Case(anomaly, clause, tell))
        return tell

    return register


def good(anomaly: str) -> Callable[[Tell], Tell]:
    """The story nearly has the anomaly, and has none."""

    def register(tell: Tell) -> Tell:
        GOOD.append(Case(anomaly, "", tell))
        return tell

    return register


def settled(*names: str, **parameters: object) -> Story:
    """Consumers have joined group g, and their rebalance is over; the last thing are their heartbeats."""
    story = Story(**parameters)
    story.joined(*names)
    story.wait(10.0)
    for name in names:
        story.beat(name)
    return story
