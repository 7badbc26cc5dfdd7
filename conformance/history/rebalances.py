"""When a group may have been rebalancing.

A rebalance starts when a member subscribes, unsubscribes, leaves or is evicted. When an eviction happened is only
known within bounds, and so is everything of which no reply came; what is concluded from a group at rest must hold
wherever in these bounds it happened.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from conformance.history.consumer_lifetimes import ConsumerLifetime, ConsumerLifetimes
from conformance.history.events import NEVER, ClockAdvanced, Event, Subscribe, Unregister, Unsubscribe
from conformance.history.server_parameters import ServerParameters


@dataclass(frozen=True, slots=True)
class RebalanceTrigger:
    """What may have started a rebalance: between `invoked` and `completed`, at a queue's time from `at` to `until`."""

    invoked: float
    completed: float
    group_time_began: float
    group_time_ended: float

    def may_be_past(self, interval: Event) -> bool:
        """Whether it may have happened before the moment ended."""
        return self.invoked <= interval.completed and self.group_time_began <= interval.group_time_ended


class Rebalances:
    """The triggers of all groups of a history."""

    def __init__(
        self, events: Iterable[Event], lifetimes: ConsumerLifetimes, parameters: ServerParameters
    ) -> None:
        self._parameters = parameters
        self._jumps: dict[str, list[ClockAdvanced]] = defaultdict(list)
        for event in events:
            if isinstance(event, ClockAdvanced):
                self._jumps[event.group].append(event)
        self.of_group: dict[str, list[RebalanceTrigger]] = defaultdict(list)
        for group, of_group in lifetimes.of_group.items():
            triggers = [trigger for lifetime in of_group for trigger in self._triggers(lifetime)]
            # The latest first: what is asked for is whether any of them may still be under way.
            self.of_group[group] = sorted(triggers, key=lambda trigger: -trigger.group_time_ended)

    def _triggers(self, lifetime: ConsumerLifetime) -> list[RebalanceTrigger]:
        triggers = [
            self._by_operation(lifetime, event)
            for event in lifetime.events
            if isinstance(event, Subscribe | Unsubscribe | Unregister) and event.possible
        ]
        if lifetime.subscriptions and not any(end.succeeded for end in lifetime.unregistrations):
            triggers.append(self._eviction(lifetime))
        return triggers

    def _by_operation(self, lifetime: ConsumerLifetime, event: Event) -> RebalanceTrigger:
        """An operation of which no reply came can't start anything after its consumer was found to be gone."""
        completed, group_time_ended = event.completed, event.group_time_ended
        if lifetime.successor is None:
            for farewell in lifetime.refusals:
                completed, group_time_ended = (
                    min(completed, farewell.completed),
                    min(group_time_ended, farewell.group_time_ended),
                )
        return RebalanceTrigger(
            event.invoked,
            max(completed, event.invoked),
            event.group_time_began,
            max(group_time_ended, event.group_time_began),
        )

    def _eviction(self, lifetime: ConsumerLifetime) -> RebalanceTrigger:
        """When it was evicted, if it was: after its last sign of life, before it was found to be gone."""
        timeout = self._parameters.heartbeat_timeout
        if not lifetime.unambiguous:
            return RebalanceTrigger(
                lifetime.registration.invoked, NEVER, lifetime.registration.group_time_began, NEVER
            )
        last = max(lifetime.signs_of_life, key=lambda sign: sign.group_time_began)
        latest = (
            max(event.group_time_ended for event in [lifetime.registration, *lifetime.events])
            + self._parameters.eviction_limit
        )
        completed = NEVER
        proofs = list(lifetime.refusals)
        if lifetime.successor is not None and lifetime.successor.registration.succeeded:
            proofs.append(lifetime.successor.registration)
        for proof in proofs:
            latest, completed = min(latest, proof.group_time_ended), min(completed, proof.completed)
        return RebalanceTrigger(
            last.invoked,
            completed,
            last.group_time_began + timeout,
            self._end_of_clock_advance(lifetime.group, latest),
        )

    def _end_of_clock_advance(self, group: str, latest: float) -> float:
        """Where a jump of the clock passes the time, its end: a server may count from there (CLOCK-1)."""
        unregistrations = [
            jump.group_time_ended
            for jump in self._jumps.get(group, ())
            if jump.group_time_began < latest <= jump.group_time_ended
        ]
        return max(unregistrations, default=latest)

    def settled_throughout(self, group: str, interval: Event) -> bool:
        """Whether every rebalance that may have started must be over, all through the moment: REBALANCE-1."""
        return self.no_rebalance_between(group, interval, interval)

    def no_rebalance_between(self, group: str, first: Event, last: Event) -> bool:
        """Whether no rebalance can have been under way at any time from the first moment to the last."""
        rebalance_limit = self._parameters.rebalance_limit
        for trigger in self.of_group.get(group, ()):
            if trigger.group_time_ended + rebalance_limit < first.group_time_began:
                return True
            if trigger.may_be_past(last):
                return False
        return True

    def may_have_revoked(self, group: str, handed_out: Event, interval: Event) -> bool:
        """Whether a rebalance may have taken back, by the moment, what was handed out before: REBALANCE-5."""
        for trigger in self.of_group.get(group, ()):
            if trigger.group_time_ended + self._parameters.rebalance_limit < handed_out.group_time_began:
                return False
            if (
                trigger.may_be_past(interval)
                and trigger.group_time_began + self._parameters.rebalance_timeout <= interval.group_time_ended
            ):
                return True
        return False
