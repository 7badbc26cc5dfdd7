"""Second pass over a failing program: drop calls, run the rest again, keep what fails with the same clause.

Hypothesis drops rules of a machine; a rule performs many operations, and most of them have nothing to do with the
failure. Here single operations are dropped (delta debugging, Zeller and Hildebrandt 2002). A program that does not
fail again is the work of a fault that shows rarely: then the part of it that concerns the last consumer is run again
and again, until it fails or the time is over.
"""

import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.models.driver import PerformedOperation, QueueDriver
from conformance.models.driver_calls import Deliveries, DriverCall
from conformance.wire.failures import PeerFailure, Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.models.queue_under_test import QueueUnderTest

#: Most calls of a program that is shrunk.
CALLS_LIMIT = 1_000
#: Calls whose first argument is a topic, or a group; calls that concern all; the others begin with a consumer.
_OF_TOPIC = frozenset({"add_topic", "remove_topic", "publish", "publish_badly"})
_OF_GROUP = frozenset({"add_group", "remove_group"})
_OF_ALL = frozenset({"take_forms", "lose_connection"})
_SETTLING = frozenset({"acknowledge", "negative_acknowledge"})


class Shrunk(NamedTuple):
    """A failing program: its failure, with the evidence of its run, its lines and its calls."""

    failure: Violation
    lines: list[str]
    calls: tuple[DriverCall, ...]


class ProgramShrinker:
    """Shrinks one program against a system under test, until a monotonic time."""

    def __init__(
        self,
        system: "QueueUnderTest",
        failure: Violation,
        lines: "Sequence[str]",
        calls: "Sequence[DriverCall]",
        replies: "Sequence[object]",
        until: float,
        *,
        has_run_ended: "Callable[[], bool]" = lambda: False,
        begin: "Callable[[], object]" = lambda: None,
        recurring_seconds: float = float("inf"),
    ) -> None:
        """`replies` are the bodies of the program's replies. `recurring_seconds` bounds the time for a program that
        fails each time; `begin` is called before each run.
        """
        self.best = Shrunk(failure, list(lines), tuple(calls))
        self._system = system
        self._clause = failure.clause
        self._until = until
        self._recurring_seconds = recurring_seconds
        self._has_run_ended = has_run_ended
        self._begin = begin
        self._recorded = Deliveries()
        for reply in replies:
            self._recorded.note(reply)

    def run(self) -> Shrunk:
        """Return the shortest failing program found."""
        if self._is_over() or not 1 < len(self.best.calls) <= CALLS_LIMIT:
            return self.best
        if self._fails(self.best.calls):
            self._until = min(self._until, time.monotonic() + self._recurring_seconds)
            self._minimize(tries=1)
        else:
            self._repeat_slices()
        return self.best

    def _is_over(self) -> bool:
        return time.monotonic() >= self._until or self._has_run_ended()

    def _minimize(self, tries: int) -> None:
        """Drop chunks of the best program, halving their size, as long as something can be dropped."""
        size = max(1, len(self.best.calls) // 2)
        while not self._is_over():
            dropped = False
            at = 0
            while at < len(self.best.calls) and not self._is_over():
                calls = self.best.calls
                rest = (*calls[:at], *calls[at + size :])
                if rest and any(self._fails(rest) for _ in range(tries) if not self._is_over()):
                    dropped = True
                else:
                    at += size
            if size == 1 and not dropped:
                return
            size = max(1, size // 2)

    def _repeat_slices(self) -> None:
        """Run slices of a program that did not fail again, the shortest most of the time, until one fails."""
        started = time.monotonic()
        narrow, wide = (self._slice(all_records=every) for every in (False, True))
        attempts = 0
        while not self._is_over():
            attempts += 1
            calls = wide if attempts % 4 == 0 else narrow
            if 1 < len(calls) < len(self.best.calls) and self._fails(calls):
                break
        else:
            return
        # A rare failure may take as many attempts again after a call that it does not need is gone.
        if (time.monotonic() - started) * 4 < self._until - started:
            self._minimize(tries=2 * attempts)

    def _slice(self, *, all_records: bool) -> tuple[DriverCall, ...]:
        """Calls that concern the last consumer, its groups and topics; of the records only the last one, or all."""
        calls = self.best.calls
        consumer = str(calls[-1].arguments[0]) if calls[-1].arguments else ""
        groups = {
            call.arguments[0] for call in calls if call.name == "register" and call.arguments[1] == consumer
        }
        text = self._last_text()
        topics = {call.arguments[0] for call in calls if call.name == "publish" and _text(call) == text}
        kept = []
        for call in calls:
            name, arguments = call.name, call.arguments
            if name in _OF_TOPIC:
                wanted = arguments[0] in topics and (
                    name in ("add_topic", "remove_topic") or all_records or _text(call) == text
                )
            elif name in _OF_GROUP or name == "register":
                wanted = arguments[0] in groups and (name != "register" or arguments[1] == consumer)
            elif name == "pass_time":
                wanted = arguments[1] in groups
            elif name in _OF_ALL:
                wanted = True
            elif name in _SETTLING:
                wanted = arguments[0] == consumer and (
                    all_records or self._recorded.text_of(arguments[1]) == text
                )
            elif name == "subscribe" and arguments[0] == consumer:
                call = call._replace(arguments=(consumer, *(t for t in arguments[1:] if t in topics)))
                wanted = len(call.arguments) > 1
            else:
                wanted = arguments[0] == consumer
            if wanted:
                kept.append(call)
        return tuple(kept)

    def _last_text(self) -> str:
        """Text of the record that the failure names, or of the one published last."""
        found = re.findall(r"\btext \d+\b", f"{self.best.failure.observed} {self.best.lines[-1:]}")
        published = [_text(call) for call in self.best.calls if call.name == "publish"]
        return next((text for text in found if text in published), published[-1] if published else "")

    def _fails(self, calls: "Sequence[DriverCall]") -> bool:
        """Run calls on a new driver; True, and `best` is set, if they fail with the same clause."""
        self._begin()
        driver = QueueDriver(self._system)
        names: dict[str, str] = {}
        here = Deliveries()
        done = 0
        try:
            for call in calls:
                done += 1
                before = len(driver.program)
                driver.published = call.published
                getattr(driver, call.name)(*self._arguments(call, names, here))
                for step in list(driver.program)[before:]:
                    if isinstance(step, PerformedOperation):
                        here.note(step.reply.body)
        except Violation as failure:
            lines = [str(step) for step in driver.program]
            if failure.clause != self._clause or len(lines) > len(self.best.lines):
                return False
            self.best = Shrunk(failure, lines, tuple(calls[:done]))
            return True
        except (PeerFailure, LookupError):
            # A call that needs another one that was dropped.
            return False
        return False

    def _arguments(self, call: DriverCall, names: dict[str, str], here: Deliveries) -> list[Any]:
        """Arguments with names that are new on the server, and with the ids that it gives now."""
        arguments = list(call.arguments)
        if call.name in _SETTLING:
            arguments[1] = self._recorded.counterpart(arguments[1], here)
        places = _name_places(call)
        for place in places:
            name = arguments[place]
            if isinstance(name, str) and name not in names:
                stem = re.match(r"[A-Za-z]+", name)
                names[name] = self._system.fresh(stem.group()) if stem else name
            arguments[place] = names.get(name, name)
        if call.name == "publish" and len(arguments) > 2 and isinstance(arguments[2], str):
            for old, new in names.items():
                arguments[2] = arguments[2].replace(old, new)
        return arguments


def _name_places(call: DriverCall) -> "Sequence[int]":
    """Positions of the arguments that are names of topics, groups and consumers."""
    if call.name == "pass_time":
        return [1]
    if call.name == "register":
        return [0, 1]
    return range(len(call.arguments)) if call.name in ("subscribe", "unsubscribe") else [0]


def _text(call: DriverCall) -> str:
    return f"text {call.published + 1}"
