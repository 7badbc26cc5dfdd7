"""A consumer of the scenario: joins, reads, fails in various ways, and joins again under a new name."""

import random
import time
from collections.abc import Callable
from typing import Any

from conformance.adapters.driver import Driver
from conformance.adapters.phases import Phase
from conformance.adapters.protocol import Answer
from conformance.adapters.state import DriveState

#: Seconds that a poll waits for a record.
POLL_WAIT = 0.5
#: Records that a consumer holds at most before it acknowledges.
MOST_HELD = 4
#: Turns between two planned troubles, the chance of another at each turn, and the most troubles of one consumer.
TURNS, TROUBLE, MOST_TROUBLES = 4, 0.04, 10
#: Turns between two records that are given back while all members stay, and the most of them of one consumer.
GIVE_BACK_TURNS, MOST_GIVEN_BACK = 3, 6
#: Times that one consumer falls silent, and polls for a record to hold.
MOST_SILENCES, MOST_POLLS = 2, 3
#: Seconds before another try to join, and tries in a row.
JOIN_PAUSE, MOST_JOINS = 0.3, 20
#: Seconds between the begins of two polls that fail, and of two that bring nothing: an adapter may answer at once.
FAILED_POLL, EMPTY_POLL = 0.3, 0.1


class DrivenConsumer:
    """One client, which uses one consumer name after another. With `calm` it only reads."""

    def __init__(
        self, driver: Driver, state: DriveState, group: str, number: int, *, seed: int, calm: bool
    ) -> None:
        self._driver = driver
        self._state = state
        self._group = group
        self._client = f"consumer {number} of {group}"
        self._draw = random.Random(f"{seed} consumer {number}")
        self._calm = calm
        # Each consumer begins with another kind, so that a short scenario has all of them.
        planned = self._planned()
        self._plan = planned[number % len(planned) :] + planned[: number % len(planned)]
        self._name = ""
        self._held: list[dict[str, Any]] = []
        self._troubles = 0
        self._silences = 0
        self._failed_joins = 0
        self._given_back = 0

    def run(self) -> None:
        """Read until the group has everything, or time is up. Raises AdapterGone."""
        turns = 0
        while not self._state.is_over and not self._state.has_read_all(self._group):
            if not self._name:
                if not self._join():
                    return
                continue
            turns += 1
            if self._state.phases.now is not Phase.FAILING and not self._calm:
                self._stay(turns)
            elif self._plan and turns % TURNS == 0 and not self._calm:
                self._hold()
                if self._name:
                    self._plan.pop(0)()
            elif self._troubles < MOST_TROUBLES and self._draw.random() < TROUBLE and not self._calm:
                self._troubles += 1
                self._draw.choice(self._planned())()
            elif self._held and (len(self._held) >= MOST_HELD or self._draw.random() < 0.6):
                self._settle("acknowledge", self._held.pop(0))
            else:
                self._poll()
        self._depart()

    def _stay(self, turns: int) -> None:
        """A turn while all members stay: read, acknowledge, and give back now and then.

        Nothing is acknowledged after it was given back, before it comes again: where a commit is a position, that would
        commit the record. The latest record that is held is given back, so that none behind it is in flight.
        """
        may_give_back = self._driver.announcement.can("give-back") and self._given_back < MOST_GIVEN_BACK
        if self._held and may_give_back and turns % GIVE_BACK_TURNS == 0:
            self._given_back += 1
            self._settle("give-back", self._held.pop())
        elif self._held and (len(self._held) >= MOST_HELD or self._draw.random() < 0.6):
            self._settle("acknowledge", self._held.pop(0))
        else:
            self._poll()

    def read_the_rest(self) -> None:
        """Read until the group has everything, or nothing has come for long enough. Raises AdapterGone."""
        quiet_since = time.monotonic()
        while not self._state.is_over and time.monotonic() < quiet_since + self._state.settling:
            if not self._name:
                if not self._join():
                    return
                continue
            if self._state.has_read_all(self._group):
                break
            if self._poll():
                quiet_since = time.monotonic()
            while self._held and self._name:
                self._settle("acknowledge", self._held.pop(0))
        self._depart()

    def _join(self) -> bool:
        """Join under a new name; returns False if that failed too often."""
        name = self._state.fresh("c")
        answer = self._driver.join(self._client, name, self._group, self._state.topic)
        if answer is not None and answer["outcome"] == "ok":
            self._name, self._failed_joins = name, 0
            self._state.note_member(self._group, self._client)
            return True
        self._failed_joins += 1
        if answer is None or answer["outcome"] == "failed":
            self._driver.cut(self._client, name)
        self._state.pause(JOIN_PAUSE)
        return self._failed_joins < MOST_JOINS

    def _poll(self) -> bool:
        """Poll once; returns True if a record came."""
        began = time.monotonic()
        answer, records = self._driver.poll(self._client, self._name, POLL_WAIT)
        if not records:
            least = EMPTY_POLL if answer is not None and answer["outcome"] == "ok" else FAILED_POLL
            self._state.pause(began + least - time.monotonic())
        for record in records:
            self._state.note_delivery()
            self._held.append(record)
        if answer is not None and (answer["outcome"] == "refused" or answer.get("closed")):
            self._forget()
        elif answer is None:
            self._abandon()
        return bool(records)

    def _settle(self, op: str, record: dict[str, Any]) -> Answer | None:
        answer = self._driver.settle(self._client, op, self._name, record)
        if op == "acknowledge" and (answer is None or answer["outcome"] != "refused"):
            self._state.note_acknowledged(self._group, record["text"])
        if answer is None:
            self._abandon()
        elif answer.get("closed"):
            self._forget()
        return answer

    def _planned(self) -> list[Callable[[], object]]:
        """All kinds of trouble that the engine allows."""
        announcement = self._driver.announcement
        kinds: list[Callable[[], object]] = [self._acknowledge_twice]
        if announcement.can("cut"):
            kinds.append(self._abandon)
        if self._state.eviction_limit is not None:
            kinds.append(self._fall_silent)
        if announcement.can("leave"):
            kinds.append(self._leave)
        if announcement.can("give-back"):
            kinds.append(self._give_back)
        if announcement.can("heartbeat"):
            kinds.append(self._heartbeat)
        return [*kinds, self._stay_away]

    def _hold(self) -> None:
        """Poll until the consumer holds a record, or none comes."""
        for _ in range(MOST_POLLS):
            if self._held or not self._name:
                return
            self._poll()

    def _give_back(self) -> None:
        """Give a record back, and acknowledge it all the same, which comes too late."""
        if self._held:
            record = self._held.pop()
            if self._settle("give-back", record) is not None and self._name:
                self._settle("acknowledge", record)

    def _stay_away(self) -> None:
        """Ask for nothing for a moment, well below every timeout."""
        self._state.pause(min(0.5, 0.4 * self._state.timings.get("heartbeat_timeout", 0.5)))

    def _heartbeat(self) -> None:
        answer = self._driver.operation(self._client, "heartbeat", self._name)
        if answer is None:
            self._abandon()
        elif answer["outcome"] == "refused" or answer.get("closed"):
            self._forget()

    def _acknowledge_twice(self) -> None:
        if not self._held:
            return
        record = self._held.pop(0)
        if self._settle("acknowledge", record) is not None and self._name:
            self._settle("acknowledge", record)

    def _fall_silent(self) -> None:
        """Stay silent for longer than the engine allows; then acknowledge what was held, late, and poll."""
        limit = self._state.eviction_limit
        if limit is None or self._silences == MOST_SILENCES:
            return
        self._silences += 1
        self._hold()
        if not self._name or not self._driver.silence(self._client, self._name):
            return
        self._state.pause(1.05 * limit + 0.3)
        if self._held:
            self._settle("acknowledge", self._held.pop(0))
        if self._name:
            self._poll()

    def _leave(self) -> None:
        answer = self._driver.operation(self._client, "leave", self._name)
        if answer is None or answer["outcome"] == "failed":
            self._abandon()
        self._forget()

    def _depart(self) -> None:
        """Leave, or else cut the connection."""
        if not self._name or self._state.gone:
            return
        if self._driver.announcement.can("leave"):
            self._leave()
        else:
            self._abandon()

    def _abandon(self) -> None:
        """Cut the connection, and never use the name again."""
        if self._name:
            self._driver.cut(self._client, self._name)
        self._forget()

    def _forget(self) -> None:
        self._name = ""
        self._held.clear()
