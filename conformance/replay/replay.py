"""Replay of a recorded failure: the same steps, and a comparison of the answers.

The assertion of the test is not run again. The failure comes again if the answer at the place of the failure is the
recorded one in its normal form (`conformance.replay.answers`), as are those that led to it.
"""

from __future__ import annotations

import enum
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.replay.answers import BEATS, END, SILENCE, Answer
from conformance.replay.connections import Connections
from conformance.replay.describing import cut, described, overlaps
from conformance.replay.script import Step, steps_of
from conformance.replay.substitution import Substitution, UnknownId
from conformance.wire.failures import PeerFailure, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.replay.record import FailureRecord
    from conformance.replay.script import Place
    from conformance.targets.target import Target

#: Seconds added to a recorded silence.
_MORE_SILENCE = 1.0
#: Shortest pause that is repeated, in seconds.
_SHORTEST_PAUSE = 0.002
#: Overlaps of requests on different connections from which the order of their answers is a matter of chance.
_FEW_OVERLAPS = 20
#: Seconds by which an answer must come sooner, or later, to be another answer.
_SOONER, _LATER = 0.5, 2.0
#: The same where the failure names a time: shares of the recorded time, and a tolerance in seconds. A busy machine only
#: makes an answer later.
_TIMER_SOONER, _TIMER_LATER, _TIMER_TOLERANCE = 0.8, 1.5, 0.05
_TIME = re.compile(r"\d s\b")
#: Share of the recorded longest time between heart-beats from which it is the same.
_SAME_RHYTHM = 0.7
#: Seconds by which a busy machine may have lengthened the recorded one.
_RHYTHM_TOLERANCE = 0.15


class Outcome(enum.Enum):
    """Results of a replay, with the exit status of each."""

    FAILS_AGAIN = ("FAILS AGAIN", 1)
    FAILS_NO_MORE = ("DOES NOT FAIL ANY MORE", 0)
    NOT_SENT = ("CAN'T BE SENT", 4)

    @property
    def words(self) -> str:
        """The result as it is printed."""
        return self.value[0]

    @property
    def status(self) -> int:
        """The exit status."""
        return self.value[1]


@dataclass(frozen=True)
class Ending:
    """Result of a replay, and what it follows from."""

    outcome: Outcome
    reason: str


def replay(
    record: FailureRecord,
    target: Target,
    *,
    login: str | None = None,
    host_header: str | None = None,
    patience: float | None = None,
    tell: Callable[[str], object] = lambda _line: None,
) -> Ending:
    """Send a recorded failure to a server, with the access and the secrets of the target.

    `login` and `host_header` replace the recorded ones; `patience` is in seconds; `tell` gets a line per step.
    """
    steps = steps_of(record.recording.events, record.token)
    if why := _unfit(record, steps):
        return Ending(Outcome.NOT_SENT, why)
    token = secrets.token_hex(len(record.token) // 2)
    substitution = Substitution(
        (record.token, token),
        (record.url, target.url),
        http=(record.http, target.http_host.authority),
        known=target.secrets.known,
        access=target.access,
        login=login,
        host_header=host_header,
    )
    seconds = record.patience if patience is None else patience
    connections = Connections(target, record, substitution, token, seconds)
    try:
        return _Replay(record, steps, connections, substitution, seconds, tell).run()
    finally:
        connections.close()


def _unfit(record: FailureRecord, steps: list[Step]) -> str:
    """Reason why a record can't be replayed; "" if it can."""
    if not record.is_whole:
        return f"the {record.recording.dropped} oldest events of the test were too many to be recorded"
    if record.place is None:
        return "nothing was sent to the server before the failure"
    for step in steps:
        if step.act is not None and step.act.size > len(step.act.octets):
            return f"of the {step.act.size} octets of event {step.event} only the first were recorded"
    return ""


class _Replay:
    """One replay."""

    def __init__(
        self,
        record: FailureRecord,
        steps: list[Step],
        connections: Connections,
        substitution: Substitution,
        patience: float,
        tell: Callable[[str], object],
    ) -> None:
        assert record.place is not None
        self._record = record
        self._place: Place = record.place
        self._connections = connections
        self._ids = substitution.ids
        self._patience = patience
        self._tell = tell
        events = record.recording.events
        is_http = {event.connection for event in events if event.kind == "http"}
        # A server may close a kept-alive connection or not.
        self._steps = [
            step
            for step in steps
            if step.event <= self._place.event
            and not (step.answer and step.answer.kind == END and step.connection in is_http)
        ] + [
            step
            for step in steps
            if step.event == self._place.event
            and step.connection in is_http
            and self._place.answer.kind == END
            if step.answer and step.answer.kind == END
        ]
        self._beats = any(
            event.what == "receive" and event.kind == "stomp" and not event.octets.strip(b"\r\n")
            for event in events
            if event.connection == self._place.connection
        )
        self._duration = record.recording.failed_at - (events[0].at if events else 0.0)
        self._is_concurrent = overlaps(steps) > _FEW_OVERLAPS
        self._is_timed = _TIME.search(record.observed) is not None
        self._last_act: dict[str, str] = {}
        self._last_kind: dict[str, str] = {}
        self._last_act_event = max((step.event for step in self._steps if step.act), default=0)
        self._differences: list[str] = []

    def run(self) -> Ending:
        """Perform the steps."""
        done = began = time.monotonic()
        for step in self._steps:
            if step.act is None:
                ending = self._await(step, done)
            else:
                if step.gap > _SHORTEST_PAUSE:
                    self._connections.pause(done + step.gap)
                ending = self._act(step)
            done = time.monotonic()
            if ending is not None:
                return ending
        if self._place.answer.kind == SILENCE:
            return self._hear_nothing()
        if self._place.answer.kind == BEATS:
            return self._hear_beats(began + self._duration)
        return self._same()

    def _act(self, step: Step) -> Ending | None:
        assert step.act is not None
        act = described(step)
        self._last_act[step.connection] = act
        self._tell(f"{step.event:5} {step.connection} > {act}")
        try:
            self._connections.repeat(step.act)
        except Unreachable as error:
            return Ending(Outcome.NOT_SENT, f"event {step.event}, {act}: {error}")
        except UnknownId as error:
            return Ending(
                Outcome.NOT_SENT,
                f"event {step.event}, {act}, names the id {error} of the recorded run, and the server gave "
                "no counterpart",
            )
        except PeerFailure as failure:
            if self._connections.has_ended(step.connection):
                return None  # the server was sooner to end it than in the record: the answers decide
            return Ending(Outcome.NOT_SENT, f"event {step.event}, {act}: {failure.observed}")
        return None

    def _await(self, step: Step, since: float) -> Ending | None:
        recorded = step.answer
        assert recorded is not None
        octets = len(recorded.octets) if recorded.kind == "octets" else 0
        until = time.monotonic() + step.gap + self._patience
        came = self._connections.wait(step.connection, until, octets) or Answer(SILENCE)
        took = time.monotonic() - since
        self._tell(f"{step.event:5} {step.connection} < {came}")
        fits = self._ids.learn(recorded.ids, came.ids)
        at_place = step.event == self._place.event and (recorded.kind, recorded.form) == (
            self._place.answer.kind,
            self._place.answer.form,
        )
        if came.kind != recorded.kind:
            return self._other_kind(step, recorded, came, at_place=at_place)
        self._last_kind[step.connection] = came.kind
        if came.form == recorded.form and fits:
            if at_place and self._is_another_time(step.gap, took):
                return Ending(
                    Outcome.FAILS_NO_MORE,
                    f"{self._where(step)} the same answer came after {took:.3f} s, in the record after "
                    f"{step.gap:.3f} s",
                )
            return None
        difference = f"{self._where(step)} came {came}; in the record {recorded}"
        if at_place:
            return Ending(Outcome.FAILS_NO_MORE, difference)
        if step.event >= self._record.recording.held.get(self._record.clause, 0):
            self._differences.append(difference)
        return None

    def _other_kind(self, step: Step, recorded: Answer, came: Answer, *, at_place: bool) -> Ending:
        difference = f"{self._where(step)} came {came}; in the record {recorded}"
        is_near = step.event > self._last_act_event
        in_question = step.event >= self._record.recording.held.get(self._record.clause, 0)
        # Silence and ends call for no answer: a server that gives one there does better.
        is_better = recorded.is_end and not came.is_end
        # Behind an ERROR the server has to end the connection (STOMP-ERROR-001).
        is_better = is_better or (came.is_end and self._last_kind.get(step.connection) == "ERROR")
        certain = in_question and (is_near or not came.is_refusal) and not self._is_concurrent
        if at_place or is_better or certain:
            return Ending(Outcome.FAILS_NO_MORE, difference)
        return Ending(
            Outcome.NOT_SENT,
            f"{difference}. The failure came later, at event {self._place.event}{self._advice()}",
        )

    def _hear_nothing(self) -> Ending:
        place = self._place
        until = time.monotonic() + place.seconds + _MORE_SILENCE
        came = self._connections.hear(place.connection, until, beats=not self._beats)
        if came is not None:
            return Ending(
                Outcome.FAILS_NO_MORE,
                f"{self._after(place.connection)} came {came}; in the record nothing for {place.seconds:.1f} s",
            )
        if not self._beats and self._connections.streams[place.connection].beats:
            return Ending(Outcome.FAILS_NO_MORE, f"a heart-beat came {self._after(place.connection)}")
        return self._same()

    def _hear_beats(self, until: float) -> Ending:
        place = self._place
        came, longest = self._connections.listen(place.connection, until)
        # A replay that was delayed may be refused for its own silence.
        if came is not None and not came.is_refusal:
            return Ending(
                Outcome.FAILS_NO_MORE,
                f"{self._after(place.connection)} came {came}; in the record heart-beats only",
            )
        if not self._connections.streams[place.connection].beats:
            return Ending(Outcome.FAILS_NO_MORE, "no heart-beat came; in the record there was one")
        told = f"the longest time without octets was {longest:.2f} s, in the record {place.seconds:.2f} s"
        outcome = (
            Outcome.FAILS_AGAIN
            if longest > _SAME_RHYTHM * place.seconds - _RHYTHM_TOLERANCE
            else Outcome.FAILS_NO_MORE
        )
        return Ending(outcome, f"heart-beats came, and {told}")

    def _is_another_time(self, recorded: float, took: float) -> bool:
        if self._is_timed:
            return (
                took > _TIMER_LATER * recorded + _TIMER_TOLERANCE
                or took < _TIMER_SOONER * recorded - _TIMER_TOLERANCE
            )
        return recorded - took > _SOONER or took - recorded > _LATER

    def _same(self) -> Ending:
        place = self._place
        if self._differences and not place.exact and self._is_concurrent:
            return Ending(Outcome.NOT_SENT, f"{self._differences[0]}{self._advice()}")
        if self._differences and not place.exact:
            return Ending(Outcome.FAILS_NO_MORE, self._differences[0])
        if place.answer.kind == SILENCE:
            told = f"nothing came {self._after(place.connection)} for {place.seconds:.1f} s"
        else:
            told = f"at event {place.event}, {self._after(place.connection)}, the answer is the recorded one"
        return Ending(Outcome.FAILS_AGAIN, f"{told}: {cut(self._record.observed)}")

    def _advice(self) -> str:
        return ". The recorded clients were concurrent: --times may help" if self._is_concurrent else ""

    def _where(self, step: Step) -> str:
        return f"at event {step.event}, {self._after(step.connection)},"

    def _after(self, connection: str) -> str:
        act = self._last_act.get(connection)
        return f"after {act}" if act else f"on {connection}"
