"""Long histories of a few kinds, in which a careless checker compares everything with everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.history.story import Story

if TYPE_CHECKING:
    from collections.abc import Callable


def read_in_order(events: int, partitions: int = 6, consumers: int = 4) -> Story:
    """Records that are sent, read and acknowledged, with empty polls between."""
    story, names = _settled(partitions, consumers)
    for number in range(events // 5):
        place = number % partitions, number // partitions
        name = names[place[0] % consumers]
        story.published(f"r{number}", place=place)
        story.read(name, f"r{number}")
        story.polled(name)
        story.polled(name)
    return story


def read_in_the_end(events: int) -> Story:
    """Records that are all sent first, and then read with empty polls between."""
    story, names = _settled(6, 4)
    count = events // 4
    for number in range(count):
        story.published(f"r{number}", place=(number % 6, number // 6))
    for number in range(count):
        name = names[number % 6 % 4]
        story.got(name, f"r{number}")
        story.polled(name)
        story.acknowledged(name, f"r{number}")
    return story


def one_record_again(events: int) -> Story:
    """One record that comes again and again, given back or acknowledged, and its successor beside it."""
    story, names = _settled(1, 4)
    story.published("a", place=(0, 0))
    story.published("b", place=(0, 1))
    for number in range(events // 5):
        name = names[number % 4]
        story.got(name, "a")
        (story.gave_back if number % 3 else story.acknowledged)(name, "a")
        story.got(name, "b", number=number % 7)
        story.acknowledged(name, "b")
        story.acknowledged(names[(number + 1) % 4], "a")
    return story


def joining_and_leaving(events: int) -> Story:
    """A new consumer for each record, which joins, reads, finds nothing, and leaves."""
    story, _ = _settled(6, 1)
    for number in range(events // 7):
        name = f"c{number}"
        story.joined(name)
        if number % 5 == 0:
            story.wait(12.0)
        story.published(f"r{number}", place=(number % 6, number // 6))
        story.read(name, f"r{number}")
        story.polled(name)
        story.left(name)
    return story


def subscribing_again(events: int) -> Story:
    """One consumer that unsubscribes and subscribes again for each record."""
    story, (name, *_) = _settled(1, 1)
    for number in range(events // 5):
        story.unsubscribed(name)
        story.subscribed(name)
        story.published(f"r{number}", place=(0, number))
        story.read(name, f"r{number}")
    return story


def without_positions(events: int) -> Story:
    """Records of one key without positions, whose order follows from their times."""
    story, (name, *_) = _settled(1, 1, positions=False)
    for number in range(events // 3):
        story.published(f"r{number}", key="k")
        story.read(name, f"r{number}")
    return story


def without_answers(events: int) -> Story:
    """No publish, acknowledgement or second poll has an answer."""
    story, names = _settled(6, 4)
    for number in range(events // 4):
        name = names[number % 4]
        story.published(f"r{number}", key="k", status=None)
        story.got(name, f"r{number}")
        story.acknowledged(name, f"r{number}", status=None)
        story.polled(name, status=None)
    return story


def _settled(partitions: int, consumers: int, **parameters: object) -> tuple[Story, list[str]]:
    story = Story(partitions={"t": partitions}, heartbeat_timeout=1e6, **parameters)
    names = [f"c-{number}" for number in range(consumers)]
    story.joined(*names)
    story.wait(10.0)
    for name in names:
        story.beat(name)
    return story, names


KINDS: dict[str, Callable[[int], Story]] = {
    "read in order": read_in_order,
    "a thousand partitions": lambda events: read_in_order(events, 1000, 100),
    "one consumer of a thousand partitions": lambda events: read_in_order(events, 1000, 1),
    "read in the end": read_in_the_end,
    "one record again": one_record_again,
    "joining and leaving": joining_and_leaving,
    "subscribing again": subscribing_again,
    "without positions": without_positions,
    "without answers": without_answers,
}
