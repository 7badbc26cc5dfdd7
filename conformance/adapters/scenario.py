"""The scenario that drives an engine: producers, consumers that fail in various ways, a late group, a final reader."""

import random
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from conformance.adapters.consumer import DrivenConsumer
from conformance.adapters.driver import Driver
from conformance.adapters.phases import Phases, durations, schedule
from conformance.adapters.protocol import Adapter, AdapterGone, announced
from conformance.adapters.state import DriveState
from conformance.history.events import History
from conformance.history.files import HistoryFile, with_restarts
from conformance.history.system_facts import SystemFacts

#: Seconds between two looks at the state, and two lines of progress.
LOOK, PROGRESS = 0.2, 5.0
#: Seconds between the first joins of two consumers, and between the begins of two publishes that fail.
ARRIVAL, FAILED_PUBLISH = 0.4, 0.3
#: Parts of the records after which the engine is restarted, and after which the late group comes.
BEFORE_RESTART, BEFORE_LATE_GROUP = 0.6, 0.75


@dataclass(frozen=True)
class DrivePlan:
    """Size of a scenario. `seconds` bounds its main part; the final reader may take as long again."""

    seed: int = 0
    records: int = 200
    partitions: int = 3
    keys: int = 6
    producers: int = 2
    consumers: int = 3
    seconds: float = 60.0
    restarts: int = 1


@dataclass(frozen=True)
class Driven:
    """A driven engine: its history, and why the adapter ended before the scenario, "" if it did not.

    `recorded` are the events for a file; those of `file` have the cuts that a restart stands for, too.
    """

    file: HistoryFile
    recorded: History
    broke_off: str = ""


def drive(adapter: Adapter, plan: DrivePlan, tell: Callable[[str], None] = lambda _text: None) -> Driven:
    """Run the scenario; the adapter is closed at the end. Raises NoAdapter before it begins.

    An adapter that ends early breaks the scenario off: what was recorded until then is returned.
    """
    try:
        announcement = announced(adapter)
        driver = Driver(adapter, announcement)
        scenario = _Scenario(driver, plan, tell)
        broke_off = scenario.run()
        facts = announcement.facts
        if scenario.made is not None:
            facts = _with_partitions(facts, scenario.state.topic, scenario.made)
        recorded = driver.events
        events = tuple(with_restarts(list(recorded)))
        return Driven(HistoryFile("adapter", facts, events, len(recorded)), recorded, broke_off)
    finally:
        adapter.close()


def _with_partitions(facts: SystemFacts, topic: str, partitions: int) -> SystemFacts:
    members = {name: getattr(facts, name) for name in facts.__dataclass_fields__}
    return SystemFacts(**{**members, "partitions": {**facts.partitions, topic: partitions}})


@dataclass
class _Scenario:
    """One scenario on one topic and two groups, the second of which comes late."""

    driver: Driver
    plan: DrivePlan
    tell: Callable[[str], None]
    made: int | None = None
    failure: Exception | None = None
    state: DriveState = field(init=False)

    def __post_init__(self) -> None:
        token = secrets.token_hex(3)
        self.state = DriveState(
            topic=f"orders-{token}",
            groups=(f"shop-{token}", f"audit-{token}"),
            token=token,
            records=self.plan.records,
            timings=self.driver.announcement.facts.timings,
            phases=Phases(
                self.plan.consumers,
                durations(self.driver.announcement.facts.timings, self.plan.seconds),
            ),
            deadline=time.monotonic() + self.plan.seconds,
            starts_at_newest=self.driver.announcement.facts.starts == "newest",
        )

    def run(self) -> str:
        """Run it to its end; returns the reason if the adapter ended before. Raises what a program raised."""
        try:
            self.made = self.driver.create_topic(self.state.topic, self.plan.partitions)
        except AdapterGone as error:
            return str(error)
        first, late = self.state.groups
        self._play(
            {
                **{f"producer {n}": self._produce(n) for n in range(self.plan.producers)},
                **{f"consumer {n}": self._consume(n, first) for n in range(self.plan.consumers)},
                "late consumer": self._consume(self.plan.consumers, late, late=True),
            }
        )
        for group in self.state.groups:
            if not self.state.gone:
                self.state.deadline = time.monotonic() + self.plan.seconds
                self._play({f"final reader of {group}": self._read_the_rest(group)})
        if self.failure is not None:
            raise self.failure
        return self.state.gone

    def _play(self, programs: dict[str, Callable[[], None]]) -> None:
        threads = [
            threading.Thread(target=self._guarded, args=(program,), name=name, daemon=True)
            for name, program in programs.items()
        ]
        for thread in threads:
            thread.start()
        told = time.monotonic()
        restarts = self.plan.restarts if self.driver.announcement.can("restart") and len(programs) > 1 else 0
        # A program ends after its current request, which is bounded as well.
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(LOOK / len(threads))
            if restarts and self.state.published > BEFORE_RESTART * self.plan.records:
                restarts -= 1
                self.tell("restarting the engine")
                self._guarded(self.driver.restart)
            if time.monotonic() > told + PROGRESS:
                told = time.monotonic()
                self.tell(self.state.describe())

    def _guarded(self, program: Callable[[], None]) -> None:
        try:
            program()
        except AdapterGone as error:
            self.state.gone = self.state.gone or str(error)
        except Exception as error:  # noqa: BLE001  raised again in the thread of the caller
            self.failure = self.failure or error
            self.state.gone = self.state.gone or f"the suite itself failed: {error}"

    def _produce(self, number: int) -> Callable[[], None]:
        draw = random.Random(f"{self.plan.seed} producer {number}")
        state = self.state

        def program() -> None:
            state.phases.wait_for_a_member(lambda: state.is_over)
            plan = schedule(self.plan.records // self.plan.producers, state.phases.lengths)
            for count, (phase, seconds) in enumerate(plan):
                state.phases.wait(phase, seconds, lambda: state.is_over)
                if state.is_over:
                    break
                if count >= BEFORE_LATE_GROUP * len(plan):
                    state.late_group_may_come.set()
                key = draw.randrange(self.plan.keys + 2)
                self._publish(number, f"{number}.{count}", f"key {key}" if key < self.plan.keys else None)
            state.late_group_may_come.set()
            state.note_producer_done(self.plan.producers)

        return program

    def _publish(self, number: int, text: str, key: str | None) -> None:
        began = time.monotonic()
        self.state.note_sent(text)
        answer = self.driver.publish(f"producer {number}", self.state.topic, text, key)
        stored = answer is not None and answer["outcome"] == "ok"
        self.state.note_published(text, stored=stored)
        if not stored:
            self.state.pause(began + FAILED_PUBLISH - time.monotonic())

    def _consume(self, number: int, group: str, *, late: bool = False) -> Callable[[], None]:
        consumer = DrivenConsumer(self.driver, self.state, group, number, seed=self.plan.seed, calm=late)

        def program() -> None:
            if late:
                self.state.late_group_may_come.wait(self.plan.seconds)
            else:
                self.state.pause(ARRIVAL * number)
            consumer.run()

        return program

    def _read_the_rest(self, group: str) -> Callable[[], None]:
        consumer = DrivenConsumer(self.driver, self.state, group, 99, seed=self.plan.seed, calm=True)
        return consumer.read_the_rest
