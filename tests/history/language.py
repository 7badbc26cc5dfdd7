"""The language in which the stories of the case tables are written.

    ann settles; send a@0.0; ann gets a; returns a; bob polls -> 404

A story is a list of steps, separated by semicolons. Each step takes one second and a half, unless it has an interval.
A step without a subject has that of the step before it; one with several subjects is performed by each in turn.

    story     = ["given" {option} ";"] step {";" step}
    step      = [{consumer}] verb {argument} {option} ["->" status] [interval]
              | number "x" "(" step {";" step} ")"
    record    = text ["/" key] ["@" partition "." offset]
    option    = name "=" value           value: a number, a word, "yes", "no", or "none"
    status    = number | "?"             "?": no reply came
    interval  = "[" seconds "-" seconds "]"

Without a status an operation succeeds. `given` sets server parameters; `partitions` is the number for topic t.

    CONSUMER settles             registers, subscribes, waits until the group is settled, and sends a heartbeat
    CONSUMER joins               registers and subscribes; group=, topic=
    CONSUMER registers           group=
    CONSUMER subscribes, unsubscribes, leaves, beats, polls       to or from topic t; a poll brings nothing
    CONSUMER gets RECORD…        polls and gets a record, each by one poll; key=, id=, redelivered=
    CONSUMER acks TEXT…          acknowledges records, each by the id of its latest delivery
    CONSUMER returns TEXT…       gives records back
    CONSUMER reads TEXT…         gets and acknowledges records, one after another
    send RECORD…                 publishes records; label=, topic=
    listen                       subscribes to producer acknowledgements; on=, topic=
    ACK LABEL, FAILED LABEL      a producer acknowledgement arrives; on=
    fence                        all producer acknowledgements that were sent have arrived
    wait SECONDS                 nothing happens
    advance SECONDS              the virtual clock of group g is moved
    at SECONDS                   the next step begins at this time or later

The group is g and the topic t, unless an option says otherwise. A record that is published with a position, and
without a key, has a key of its partition.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.history.story import Story

REPEATED = re.compile(r"(\d+) x \(([^()]*)\)")
RECORD = re.compile(r"(?P<text>\w+)(?P<key>/\w*)?(@(?P<partition>\d+)\.(?P<offset>\d+))?")
INTERVAL = re.compile(r"\[([\d.]+)-([\d.]+)\]")
#: Options that have another name in `Story`.
OPTIONS = {"id": "number", "on": "listener"}
WORDS = {"yes": True, "no": False, "none": None}


@dataclass
class Step:
    """One step; `options` are keyword arguments of the method of `Story` that performs it."""

    subjects: list[str]
    verb: str
    arguments: list[str]
    options: dict[str, Any]


def told(text: str) -> Story:
    """The story that a text tells.

    Raises ValueError where the text breaks the grammar, and TypeError for an option that the verb doesn't have.
    """
    steps = [step.strip() for step in REPEATED.sub(_repeated, text).split(";")]
    parameters: dict[str, Any] = {}
    if steps[0].startswith("given "):
        parameters = _options(steps.pop(0).split()[1:])
        if "partitions" in parameters:
            parameters["partitions"] = {"t": parameters["partitions"]}
    story = Story(**parameters)
    subjects: list[str] = []
    for words in steps:
        step = _step(words)
        subjects = step.subjects = step.subjects or subjects
        VERBS[step.verb](story, step)
    return story


def _repeated(match: re.Match[str]) -> str:
    return "; ".join([match[2]] * int(match[1]))


def _step(text: str) -> Step:
    body, _, status = text.partition(" -> ")
    words = body.split()
    reply = status.split()
    options = _options(word for word in words if "=" in word)
    if reply:
        options["status"] = None if reply[0] == "?" else int(reply[0])
    for word in [*words, *reply[1:]]:
        if interval := INTERVAL.fullmatch(word):
            options["during"] = (float(interval[1]), float(interval[2]))
    words = [word for word in words if "=" not in word and not INTERVAL.fullmatch(word)]
    for number, word in enumerate(words):
        verb = word.removesuffix("s")
        if verb in VERBS:
            return Step(words[:number], verb, words[number + 1 :], options)
    raise ValueError(f"no verb in {text!r}")


def _options(words: Iterable[str]) -> dict[str, Any]:
    found = {}
    for word in words:
        name, _, value = word.partition("=")
        found[OPTIONS.get(name, name)] = WORDS[value] if value in WORDS else _value(value)
    return found


def _value(text: str) -> float | str:
    if text.isdigit():
        return int(text)
    return float(text) if re.fullmatch(r"\d+\.\d+", text) else text


def _record(text: str) -> dict[str, Any]:
    match = RECORD.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no record")
    found: dict[str, Any] = {"text": match["text"]}
    if match["key"] is not None:
        found["key"] = match["key"][1:]
    if match["partition"] is not None:
        found["place"] = (int(match["partition"]), int(match["offset"]))
    return found


def _by_each(perform: Callable[..., None]) -> Callable[[Story, Step], None]:
    """Each subject performs the operation once, or once for each argument."""

    def run(story: Story, step: Step) -> None:
        for name in step.subjects:
            for arguments in [[argument] for argument in step.arguments] or [[]]:
                perform(story, name, *arguments, **step.options)

    return run


def _settle(story: Story, step: Step) -> None:
    story.joined(*step.subjects)
    story.wait(10.0)
    for name in step.subjects:
        story.beat(name)


def _join(story: Story, step: Step) -> None:
    topic = step.options.pop("topic", "t")
    story.joined(*step.subjects, topics=(topic,), **step.options)


def _send(story: Story, step: Step) -> None:
    for argument in step.arguments:
        story.published(**_record(argument), **step.options)


def _get(story: Story, name: str, argument: str, **options: Any) -> None:
    story.got(name, **(_record(argument) | options))


def _at(story: Story, step: Step) -> None:
    story.now = float(step.arguments[0])


def _producer_ack(story: Story, step: Step) -> None:
    story.told(step.arguments[0], step.verb, **step.options)


VERBS: dict[str, Callable[[Story, Step], None]] = {
    "settle": _settle,
    "join": _join,
    "register": _by_each(Story.registered),
    "subscribe": _by_each(Story.subscribed),
    "unsubscribe": _by_each(Story.unsubscribed),
    "leave": _by_each(Story.left),
    "beat": _by_each(Story.beat),
    "poll": _by_each(Story.polled),
    "get": _by_each(_get),
    "ack": _by_each(Story.acknowledged),
    "return": _by_each(Story.gave_back),
    "read": _by_each(Story.read),
    "send": _send,
    "listen": lambda story, step: story.listened(**step.options),
    "ACK": _producer_ack,
    "FAILED": _producer_ack,
    "fence": lambda story, _step: story.fenced(),
    "wait": lambda story, step: story.wait(float(step.arguments[0])),
    "advance": lambda story, step: story.clock(float(step.arguments[0])),
    "at": _at,
}
