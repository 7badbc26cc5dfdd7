"""Faults during a concurrent run: a fault, a time with it, the heal, and the wait until the server answers again.

Each fault begins while a record is in flight, if one comes to be within AT_WORK_SECONDS. Faults come one at a time, in
an order that the seed decides, with longer and shorter times between a fault and its heal.
"""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from conformance.history.client_runner import EventRecorder
from conformance.history.events import NEVER, Fault, Heal
from conformance.history.workload.workload_state import WorkloadState

PROCESS = "faults"
#: Longest wait for a record in flight before a fault, in seconds.
AT_WORK_SECONDS = 5.0
#: Deliveries since the heal of one fault that the next one waits for: the clients work again.
DELIVERIES_BETWEEN = 5
#: Longest wait until every node answers after a heal, in seconds.
BACK_SECONDS = 120.0
#: Longest time between a fault and its heal, in seconds.
MOST_HELD = 10.0
_LOOK = 0.02


class NotBack(Exception):
    """The server did not answer after a heal."""


@dataclass(frozen=True)
class FaultTimes:
    """One fault: when its command began, when all nodes answered again, and the records in flight when it began.

    Times are in seconds of time.monotonic().
    """

    name: str
    began: float
    back: float
    in_flight: int


@dataclass(frozen=True)
class FaultPlan:
    """Faults by their names, each carried out by a call, and the call that undoes any of them, None without one.

    `is_back` asks every node whether it answers. Each fault comes `rounds` times. `long` is a time between a fault and
    its heal, in seconds, by which the server has evicted those that it did not hear. The calls raise what ends the run.
    `times` are those of the faults that are over.
    """

    faults: Mapping[str, Callable[[], None]]
    heal: Callable[[], None] | None
    is_back: Callable[[], bool]
    rounds: int = 1
    long: float = MOST_HELD
    seed: int = 0
    times: list[FaultTimes] = field(default_factory=list)


@dataclass
class FaultInjector:
    """Injects the faults of a plan while client programs run. `ended` is the end of the last, in monotonic seconds."""

    plan: FaultPlan
    state: WorkloadState
    recorder: EventRecorder
    ended: float = NEVER
    _stopped: threading.Event = field(default_factory=threading.Event)
    _done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Inject all faults, then let the producers end. Raises NotBack, and what the calls of the plan raise."""
        draw = random.Random(f"{self.plan.seed} faults")
        try:
            for number in range(self.plan.rounds):
                names = sorted(self.plan.faults)
                draw.shuffle(names)
                for name in names:
                    self._await_work()
                    if self._is_over:
                        return
                    is_long = (number + names.index(name)) % 2 == 0
                    self._inject(name, draw.uniform(0.8, 1.0) * self.plan.long if is_long else draw.random())
        finally:
            self.state.under_faults = False
            self.ended = time.monotonic()
            self._done.set()

    def stop(self, seconds: float) -> None:
        """Inject nothing further, and wait up to `seconds` for the end of a command that runs."""
        self._stopped.set()
        self._done.wait(seconds)

    @property
    def _is_over(self) -> bool:
        return self._stopped.is_set() or self.state.aborted

    def _await_work(self) -> None:
        """Wait until clients work again and a record is in flight."""
        began, before = time.monotonic(), self.state.deliveries
        while not self._is_over and time.monotonic() < began + AT_WORK_SECONDS:
            if self.state.deliveries >= before + DELIVERIES_BETWEEN and self.state.in_flight():
                return
            self._stopped.wait(_LOOK)

    def _inject(self, name: str, held: float) -> None:
        in_flight = self.state.in_flight()
        began = time.monotonic()
        try:
            self.plan.faults[name]()
        finally:
            self.recorder.add(
                Fault(process=PROCESS, invoked=began, completed=time.monotonic(), status=200, name=name)
            )
        if self.plan.heal is not None:
            self._stopped.wait(held)
            invoked = time.monotonic()
            self.plan.heal()
            self.recorder.add(Heal(process=PROCESS, invoked=invoked, completed=time.monotonic(), status=200))
        self._await_return(name)
        self.plan.times.append(FaultTimes(name, began, time.monotonic(), in_flight))

    def _await_return(self, name: str) -> None:
        deadline = time.monotonic() + BACK_SECONDS
        while not self.plan.is_back():
            if time.monotonic() > deadline or self._stopped.is_set():
                undone = "" if self.plan.heal else "; no command undid the fault: expected one as --heal"
                raise NotBack(f"{BACK_SECONDS:g} s after the fault {name}, not every node answers{undone}")
            self._stopped.wait(_LOOK * 5)


@contextlib.contextmanager
def healed(plan: FaultPlan) -> Iterator[None]:
    """Heal at the end of the context, whatever ends it."""
    try:
        yield
    finally:
        if plan.heal is not None:
            plan.heal()
