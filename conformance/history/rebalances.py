"""Rebalances derived from a history: bounds on when each group was rebalancing.

A rebalance starts when a member subscribes, unsubscribes, leaves or is evicted. The instant of an eviction, and of
an operation without a reply, is known within bounds only. A group counts as settled only if it was settled for every
instant within these bounds.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from conformance.history.consumer_lifetimes import ConsumerLifetime, ConsumerLifetimes
from conformance.history.events import NEVER, ClockAdvanced, Cut, Event, Subscribe, Unregister, Unsubscribe
from conformance.history.extremes import LargestBelow
from conformance.history.server_parameters import ServerParameters


@dataclass(frozen=True, slots=True)
class RebalanceTrigger:
    """An event that may have started a rebalance, between `invoked` and `completed`.

    All times are in seconds; the last two are bounds on the group's clock at that event.
    """

    invoked: float
    completed: float
    group_time_began: float
    group_time_ended: float

    def may_be_past(self, interval: Event) -> bool:
        """True if the trigger may have happened before the interval ended."""
        return self.invoked <= interval.completed and self.group_time_began <= interval.group_time_ended


class _Triggers:
    """The triggers of one group, the latest first, with the earliest among the first ones."""

    def __init__(self, triggers: Iterable[RebalanceTrigger], limit: float) -> None:
        self.all = sorted(triggers, key=lambda trigger: -trigger.group_time_ended)
        self._settled_at = [-(trigger.group_time_ended + limit) for trigger in self.all]
        self._invoked = list(accumulate(self.all, _earlier))
        self._began = list(accumulate(self.all, _earlier_in_group))

    def any(self, since: float, interval: Event, hold: float) -> bool:
        """True if a rebalance may have been under way after `since` and begun `hold` before the interval ended.

        Times are in seconds of the group's clock.
        """
        count = bisect_right(self._settled_at, -since)
        if not count:
            return False
        earliest = (self._began[count - 1], self._invoked[count - 1])
        if any(_is_past(trigger, interval, hold) for trigger in earliest):
            return True
        if (
            earliest[0].group_time_began + hold > interval.group_time_ended
            or earliest[1].invoked > interval.completed
        ):
            return False
        # Only where a virtual clock and the real one disagree.
        return any(_is_past(trigger, interval, hold) for trigger in self.all[:count])


def _is_past(trigger: RebalanceTrigger, interval: Event, hold: float) -> bool:
    return trigger.may_be_past(interval) and trigger.group_time_began + hold <= interval.group_time_ended


def _earlier(one: RebalanceTrigger, other: RebalanceTrigger) -> RebalanceTrigger:
    return other if other.invoked < one.invoked else one


def _earlier_in_group(one: RebalanceTrigger, other: RebalanceTrigger) -> RebalanceTrigger:
    return other if other.group_time_began < one.group_time_began else one


class Rebalances:
    """The rebalance triggers of all groups of a history."""

    def __init__(
        self, events: Iterable[Event], lifetimes: ConsumerLifetimes, parameters: ServerParameters
    ) -> None:
        self._parameters = parameters
        advances: dict[str, list[ClockAdvanced]] = defaultdict(list)
        for event in events:
            if isinstance(event, ClockAdvanced):
                advances[event.group].append(event)
        self._advances = {
            group: LargestBelow((one.group_time_began, one.group_time_ended, one) for one in of_group)
            for group, of_group in advances.items()
        }
        self._of_group = {
            group: _Triggers(
                (trigger for lifetime in of_group for trigger in self._triggers(lifetime)),
                parameters.rebalance_limit,
            )
            for group, of_group in lifetimes.of_group.items()
        }

    def _triggers(self, lifetime: ConsumerLifetime) -> list[RebalanceTrigger]:
        triggers = [
            self._by_operation(lifetime, event)
            for event in lifetime.events
            if isinstance(event, Subscribe | Unsubscribe | Unregister) and event.possible
        ]
        if lifetime.subscriptions and not any(event.succeeded for event in lifetime.unregistrations):
            triggers.append(self._eviction(lifetime))
        return triggers

    def _by_operation(self, lifetime: ConsumerLifetime, event: Event) -> RebalanceTrigger:
        """The trigger of an operation; one without a reply has no effect after the consumer was proved gone."""
        completed, group_time_ended = event.completed, event.group_time_ended
        if lifetime.successor is None and lifetime.first_refusal is not None:
            completed = min(completed, lifetime.first_refusal.completed)
            group_time_ended = min(group_time_ended, lifetime.first_refusal.group_time_ended)
        if isinstance(event, Cut):
            # Unnoticed, it ends in an eviction.
            group_time_ended = min(group_time_ended, self._latest_eviction(lifetime))
        return RebalanceTrigger(
            event.invoked,
            max(completed, event.invoked),
            event.group_time_began,
            max(group_time_ended, event.group_time_began),
        )

    def _eviction(self, lifetime: ConsumerLifetime) -> RebalanceTrigger:
        """The trigger of an eviction, if there was one.

        It came heartbeat_timeout or more after the last sign of life, and before the consumer was proved gone.
        """
        timeout = self._parameters.heartbeat_timeout
        if not lifetime.unambiguous:
            return RebalanceTrigger(
                lifetime.registration.invoked, NEVER, lifetime.registration.group_time_began, NEVER
            )
        last = max(lifetime.signs_of_life, key=lambda sign: sign.group_time_began)
        latest = self._latest_eviction(lifetime)
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

    def _latest_eviction(self, lifetime: ConsumerLifetime) -> float:
        """Time, in seconds of the group's clock, by which a member that gives no further sign of life is evicted."""
        return lifetime.latest_sign + self._parameters.eviction_limit

    def _end_of_clock_advance(self, group: str, latest: float) -> float:
        """The end of the clock advance that passes `latest`: a server may count the rebalance from there (CLOCK-1)."""
        return max(latest, self._advances[group].below(latest)) if group in self._advances else latest

    def settled_throughout(self, group: str, interval: Event) -> bool:
        """True if no rebalance was under way at any instant of the interval (REBALANCE-1)."""
        return self.no_rebalance_between(group, interval, interval)

    def no_rebalance_between(self, group: str, first: Event, last: Event) -> bool:
        """True if no rebalance was under way at any instant from the start of `first` to the end of `last`."""
        triggers = self._of_group.get(group)
        return triggers is None or not triggers.any(first.group_time_began, last, 0.0)

    def may_have_revoked(self, group: str, poll: Event, interval: Event) -> bool:
        """True if a rebalance may have revoked, before the interval ended, a record handed out by `poll` (REBALANCE-5).

        A rebalance that must have been settled before the poll began cannot; nor can one that was not under way for
        rebalance_timeout when the interval ended.
        """
        triggers = self._of_group.get(group)
        hold = self._parameters.rebalance_timeout
        return triggers is not None and triggers.any(poll.group_time_began, interval, hold)
