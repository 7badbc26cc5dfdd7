"""Script of a replay: what is sent and what is waited for, in the order of the recorded events."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from websocket import ABNF

from conformance.replay.answers import BEATS, SILENCE, Answer
from conformance.replay.hiding import collapsed
from conformance.replay.streams import Stream
from conformance.wire.cutting import cut_octets
from conformance.wire.failures import PeerFailure, Violation
from conformance.wire.frames import FrameSplitter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.wire.trace import Event, Recording

#: Octets of an answer that the message of a failure shows.
_SHOWN = 500
#: Seconds from the last answer to a failure from which the wait itself was the failure.
_TELLING_WAIT = 0.25


@dataclass(frozen=True)
class Step:
    """One step: an event to repeat, or an answer to wait for on `connection`.

    `event` is the index of the recorded event, `gap` the seconds since the step before.
    """

    event: int
    connection: str
    gap: float
    act: Event | None = None
    answer: Answer | None = None


@dataclass(frozen=True)
class Place:
    """Place of the failure: the index of an event, the connection, and what came there.

    An `exact` place is one answer that the failed assertion names. If it is not, the assertion may be about several
    answers. `seconds` is the length of a silence.
    """

    event: int
    connection: str
    answer: Answer
    exact: bool = False
    seconds: float = 0.0


def steps_of(events: Sequence[Event], token: str) -> list[Step]:
    """Steps of recorded events; pongs, and the answer to a Close frame, are left to the WebSocket client."""
    streams: defaultdict[str, Stream] = defaultdict(lambda: Stream(token))
    pings: defaultdict[str, set[bytes]] = defaultdict(set)
    closing: set[str] = set()
    found: list[Step] = []
    before = events[0].at if events else 0.0
    last: dict[str, int] = {}

    def take(number: int, connection: str, gap: float) -> None:
        stream = streams[connection]
        while stream.answers:
            found.append(Step(number, connection, gap, answer=stream.answers.popleft()))
            gap = 0.0

    for number, event in enumerate(events):
        stream, gap = streams[event.connection], max(0.0, event.at - before)
        opcode = event.facts.get("opcode") if event.kind == "ws" else None
        if event.what in ("step", "nothing"):
            continue
        before = event.at
        if event.what in ("receive", "end", "upgraded"):
            if opcode == ABNF.OPCODE_PING:
                pings[event.connection].add(event.octets)
            elif opcode == ABNF.OPCODE_CLOSE:
                closing.add(event.connection)
            stream.feed(event)
            last[event.connection] = number
            take(number, event.connection, gap)
            continue
        if opcode == ABNF.OPCODE_PONG and event.octets in pings[event.connection]:
            continue
        if event.connection in closing and (opcode == ABNF.OPCODE_CLOSE or event.what == "close"):
            continue
        if event.what == "send":
            stream.sent(event)
        found.append(Step(number, event.connection, gap, act=event))
    for connection, number in last.items():
        streams[connection].flush()
        take(number, connection, 0.0)
    found.sort(key=lambda step: step.event)  # stable: answers of one event stay in order
    return found


def place_of(recording: Recording, steps: Sequence[Step], observed: str) -> Place | None:
    """Place of the failure with this `observed` text; None if the server was never asked for anything."""
    answers = [step for step in steps if step.answer is not None]
    named = _named_answer(answers, observed)
    if named is not None:
        return _at(named, exact=True)
    last = max((step.event for step in answers), default=-1)
    waited_for = _beats(recording, last) or _silence(recording, last)
    if waited_for is not None:
        return waited_for
    if answers:
        return _at(answers[-1], exact=False)
    sent = [step for step in steps if step.act is not None]
    if not sent:
        return None
    waited = recording.failed_at - recording.events[sent[-1].event].at
    return Place(sent[-1].event, sent[-1].connection, Answer(SILENCE), seconds=waited)


def _at(step: Step, *, exact: bool) -> Place:
    assert step.answer is not None
    return Place(step.event, step.connection, step.answer, exact)


def _silence(recording: Recording, last: int) -> Place | None:
    """Longest wait after the last answer in which nothing came."""
    waits = [
        (event.facts["seconds"], number)
        for number, event in enumerate(recording.events)
        if number > last and event.what == "nothing"
    ]
    seconds, number = max(waits, default=(0.0, 0))
    if seconds < _TELLING_WAIT:
        return None
    return Place(number, recording.events[number].connection, Answer(SILENCE), seconds=seconds)


def _beats(recording: Recording, last: int) -> Place | None:
    """Connection with heart-beats after the last answer; `seconds` is the longest time without any octets on it."""
    connections = {
        event.connection
        for event in recording.events[last + 1 :]
        if event.what == "receive" and event.kind == "stomp" and not event.octets.strip(b"\r\n")
    }
    if len(connections) != 1:
        return None
    [connection] = connections
    arrivals = [
        event.at
        for event in recording.events
        if event.connection == connection and event.what in ("receive", "upgraded")
    ]
    longest = longest_gap(arrivals, recording.failed_at)
    return Place(len(recording.events) - 1, connection, Answer(BEATS), seconds=longest)


def longest_gap(arrivals: Sequence[float], end: float) -> float:
    """Longest time without octets up to `end`, in seconds."""
    return max((after - before for before, after in itertools.pairwise([*arrivals, end])), default=0.0)


def _named_answer(answers: Sequence[Step], observed: str) -> Step | None:
    """Newest answer that is the observed one."""
    return next((step for step in reversed(answers) if observed in map(collapsed, _texts(step))), None)


def _texts(step: Step) -> list[str]:
    """Texts by which a failed assertion shows an answer: a reply or a frame."""
    answer = step.answer
    if answer is None or not answer.octets:
        return []
    if answer.octets.startswith(b"HTTP/"):
        body = answer.octets.partition(b"\r\n\r\n")[2]
        return [_reply_text(answer.kind, body)]
    texts: list[str] = []
    for version in (None, "1.1", "1.2"):
        try:
            frames = FrameSplitter(version).feed(answer.octets)
        except (Violation, PeerFailure):
            continue
        texts += [str(frame) for frame in frames]
        texts += [
            _reply_text(frame.get("status") or "", frame.body) for frame in frames if frame.get("status")
        ]
    return texts


def _reply_text(status: str, body: bytes) -> str:
    return f"{status} {cut_octets(body, _SHOWN)}".strip()
