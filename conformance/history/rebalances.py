"""When a group may have been rebalancing.

A rebalance starts when a member subscribes, unsubscribes, leaves or is evicted. When an eviction happened is only
known within bounds, and so is everything of which no reply came; what is concluded from a group at rest must hold
wherever in these bounds it happened.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from conformance.history.consumer_lifetimes import Life, Lives
from conformance.history.events import NEVER, ClockAdvanced, Event, Subscribe, Unregister, Unsubscribe
from conformance.history.server_parameters import Facts


@dataclass(frozen=True, slots=True)
class Trigger:
    """What may have started a rebalance: between `invoked` and `completed`, at a queue's time from `at` to `until`."""

    invoked: float
    completed: float
    group_time_began: float
    group_time_ended: float

    def may_be_past(self, moment: Event) -> bool:
        """Whether it may have happened before the moment ended."""
        return self.invoked <= moment.completed and self.group_time_began <= moment.group_time_ended


class Rebalances:
    """The triggers of all groups of a history."""

    def __init__(self, events: Iterable[Event], lives: Lives, facts: Facts) -> None:
        self._facts = facts
        self._jumps: dict[str, list[ClockAdvanced]] = defaultdict(list)
        for event in events:
            if isinstance(event, ClockAdvanced):
                self._jumps[event.group].append(event)
        self.of_group: dict[str, list[Trigger]] = defaultdict(list)
        for group, of_group in lives.of_group.items():
            triggers = [trigger for life in of_group for trigger in self._triggers(life)]
            # The latest first: what is asked for is whether any of them may still be under way.
            self.of_group[group] = sorted(triggers, key=lambda trigger: -trigger.group_time_ended)

    def _triggers(self, life: Life) -> list[Trigger]:
        triggers = [
            self._by_operation(life, event)
            for event in life.events
            if isinstance(event, Subscribe | Unsubscribe | Unregister) and event.possible
        ]
        if life.subscriptions and not any(end.succeeded for end in life.ends):
            triggers.append(self._eviction(life))
        return triggers

    def _by_operation(self, life: Life, event: Event) -> Trigger:
        """An operation of which no reply came can't start anything after its consumer was found to be gone."""
        completed, group_time_ended = event.completed, event.group_time_ended
        if life.successor is None:
            for farewell in life.farewells:
                completed, group_time_ended = (
                    min(completed, farewell.completed),
                    min(group_time_ended, farewell.group_time_ended),
                )
        return Trigger(
            event.invoked,
            max(completed, event.invoked),
            event.group_time_began,
            max(group_time_ended, event.group_time_began),
        )

    def _eviction(self, life: Life) -> Trigger:
        """When it was evicted, if it was: after its last sign of life, before it was found to be gone."""
        timeout = self._facts.heartbeat_timeout
        if not life.clear:
            return Trigger(life.register.invoked, NEVER, life.register.group_time_began, NEVER)
        last = max(life.signs, key=lambda sign: sign.group_time_began)
        latest = max(event.group_time_ended for event in [life.register, *life.events]) + self._facts.silence
        completed = NEVER
        proofs = list(life.farewells)
        if life.successor is not None and life.successor.register.succeeded:
            proofs.append(life.successor.register)
        for proof in proofs:
            latest, completed = min(latest, proof.group_time_ended), min(completed, proof.completed)
        return Trigger(
            last.invoked, completed, last.group_time_began + timeout, self._landed(life.group, latest)
        )

    def _landed(self, group: str, latest: float) -> float:
        """Where a jump of the clock passes the time, its end: a server may count from there (CLOCK-1)."""
        ends = [
            jump.group_time_ended
            for jump in self._jumps.get(group, ())
            if jump.group_time_began < latest <= jump.group_time_ended
        ]
        return max(ends, default=latest)

    def settled(self, group: str, moment: Event) -> bool:
        """Whether every rebalance that may have started must be over, all through the moment: REBALANCE-1."""
        return self.quiet(group, moment, moment)

    def quiet(self, group: str, first: Event, last: Event) -> bool:
        """Whether no rebalance can have been under way at any time from the first moment to the last."""
        settling = self._facts.settling
        for trigger in self.of_group.get(group, ()):
            if trigger.group_time_ended + settling < first.group_time_began:
                return True
            if trigger.may_be_past(last):
                return False
        return True

    def may_take_back(self, group: str, handed_out: Event, moment: Event) -> bool:
        """Whether a rebalance may have taken back, by the moment, what was handed out before: REBALANCE-5."""
        for trigger in self.of_group.get(group, ()):
            if trigger.group_time_ended + self._facts.settling < handed_out.group_time_began:
                return False
            if (
                trigger.may_be_past(moment)
                and trigger.group_time_began + self._facts.rebalance_timeout <= moment.group_time_ended
            ):
                return True
        return False
