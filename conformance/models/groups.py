"""One consumer group: members, rebalances, and records in flight.

Condition of a settled group, at a time t: t > latest possible start of any rebalance + rebalance_timeout + slack
(REBALANCE-1). Condition of a record that a rebalance may have taken back (REBALANCE-5): some rebalance of its topic
may have started early enough to reach its timeout by now, and late enough to do so after the delivery.

No false alarm: an eviction in the grace counts as a possible rebalance until replies prove or disprove it, and every
comparison takes the end of the interval that is favourable to the server.
"""

from typing import TYPE_CHECKING

from conformance.models.cursors import Cursor, InFlightRecord
from conformance.models.members import Member, RebalanceTrigger, TimeInterval, Timings

if TYPE_CHECKING:
    from conformance.models.topics import Record, TopicModel

_ROUNDING = 1e-6
_TRIGGERS_KEPT = 12


class GroupModel:
    """State of one consumer group, as far as replies prove it.

    `was_removed_before`: True if a group of that name was removed. `polled_empty`: names of members whose last poll
    returned nothing, since anything became deliverable. `triggers`: rebalances that may still matter.
    """

    def __init__(self, name: str, timings: Timings, *, was_removed_before: bool = False) -> None:
        self.was_removed_before = was_removed_before
        self.name = name
        self.timings = timings
        self.members: dict[str, Member] = {}
        self.cursors: dict[str, Cursor] = {}
        self.triggers: list[RebalanceTrigger] = []
        self.polled_empty: set[str] = set()
        self.was_settled = True
        self._reached = float("-inf")

    def cursor(self, topic: "TopicModel") -> Cursor:
        """Return the group's progress in the topic, starting it if necessary."""
        cursor = self.cursors.get(topic.name)
        if cursor is None:
            cursor = self.cursors[topic.name] = Cursor(topic)
            if self.was_removed_before:
                cursor.suspect("GROUP-REMOVE-3")
            elif topic.was_removed_before:
                cursor.suspect("TOPIC-REMOVE-11")
            elif topic.was_added_again:
                cursor.suspect("TOPIC-ADD-2")
        return cursor

    # Membership

    def subscribers(self, topic: str) -> list[Member]:
        """Return the members subscribed to the topic, including those that may have been evicted."""
        return [member for member in self.members.values() if topic in member.topics]

    def membership_is_certain(self, topic: str) -> bool:
        """True if no subscriber of the topic may have been evicted."""
        return all(member.possible_eviction is None for member in self.subscribers(topic))

    def refresh(self, when: TimeInterval) -> None:
        """Advance to `when`: silent members are first possibly evicted, then evicted."""
        self._reached = max(self._reached, when.earliest)
        for member in list(self.members.values()):
            if member.must_be_alive(when, self.timings):
                continue
            if member.possible_eviction is None:
                member.possible_eviction = self.trigger(member.eviction_window(self.timings), possible=True)
            else:
                member.possible_eviction.when = member.eviction_window(self.timings)
            if member.must_be_evicted(when, self.timings):
                # A virtual clock that jumps past the window evicts the consumer at the new time.
                member.possible_eviction.when = TimeInterval(
                    member.possible_eviction.when.earliest, when.latest
                )
                self.end(member, "evicted")
        settled = self.is_settled(when)
        if settled != self.was_settled:
            self.was_settled = settled
            self.polled_empty.clear()

    def proved_alive(self, member: Member, when: TimeInterval, operation: str) -> None:
        """Note that the member was served: it had not been evicted, and gave a sign of life."""
        member.gave_sign_of_life(when, operation)
        if member.possible_eviction is not None:
            self.triggers.remove(member.possible_eviction)
            member.possible_eviction = None

    def proved_evicted(self, member: Member, when: TimeInterval) -> None:
        """Note that a reply proves the member's eviction, at `when` or before."""
        if member.possible_eviction is not None:
            window = member.possible_eviction.when
            member.possible_eviction.when = TimeInterval(
                window.earliest, max(window.earliest, min(window.latest, when.latest))
            )
        member.end_was_observed = True
        self.end(member, "evicted")

    def end(self, member: Member, reason: str, when: TimeInterval | None = None) -> None:
        """Remove a member: its records in flight are released, and the rest of the group rebalances.

        `reason`: "evicted", "left" or "removed". `when`: the time at which a rebalance starts; None if the possible
        eviction has noted it already, or if the whole group is removed.
        """
        member.end_reason = reason
        self.members.pop(member.name, None)
        if member.possible_eviction is not None:
            member.possible_eviction.possible = False
            member.possible_eviction = None
        elif when is not None and member.topics:
            self.trigger(when)
        for topic in list(member.topics):
            self.release(member, topic, reason)
        self.polled_empty.clear()

    def release(self, member: Member, topic: str, reason: str) -> None:
        """Release the member's records in flight of the topic, and remember their ids for late acknowledgements."""
        cursor = self.cursors.get(topic)
        if cursor is None:
            return
        for flight in cursor.held_by(member.name):
            member.released_ids[flight.message_id] = (topic, flight.record.number)
            cursor.release(flight, reason)

    # Rebalances

    def trigger(self, when: TimeInterval, *, possible: bool = False) -> RebalanceTrigger:
        """Start a rebalance at `when`: known owners are void. `possible`: True if it may not have started at all."""
        contended = frozenset(
            topic
            for topic in self.cursors
            if len([m for m in self.members.values() if topic in m.topics]) > 1
        )
        trigger = RebalanceTrigger(when, contended, possible)
        if len(self.triggers) >= _TRIGGERS_KEPT:
            self._forget_old_triggers()
        self.triggers.append(trigger)
        self.unsettle()
        return trigger

    def _forget_old_triggers(self) -> None:
        """Discard rebalances that ended before every delivery in flight and before every reply to come.

        The time of the newest trigger is no bound: that of a possible eviction may lie in the future.
        """
        in_flight = [flight.since for cursor in self.cursors.values() for flight in cursor.in_flight.values()]
        oldest = min(in_flight, default=self._reached)
        longest = self.timings.rebalance_timeout + self.timings.slack
        self.triggers = [
            t for t in self.triggers if t.possible or t.when.latest + longest >= min(oldest, self._reached)
        ]

    def unsettle(self) -> None:
        """Discard known owners and empty polls."""
        self.polled_empty.clear()
        for cursor in self.cursors.values():
            cursor.forget_owners()
            cursor.committed_since_rebalance = False

    def settled_at(self) -> float:
        """Return the group's time from which every rebalance so far must be settled, in seconds (REBALANCE-1)."""
        longest = self.timings.rebalance_timeout + self.timings.slack
        latest = float("-inf")
        for trigger in self.triggers:
            if trigger.when.latest > latest:
                latest = trigger.when.latest
        return latest + longest

    def is_settled(self, when: TimeInterval) -> bool:
        """True if every rebalance must be settled at every moment of `when`."""
        return when.earliest > self.settled_at() + _ROUNDING

    # Records in flight

    def must_be_in_flight(self, flight: InFlightRecord, when: TimeInterval) -> bool:
        """True if the record must still be in flight with its holder.

        False if the holder may have been evicted, or if a rebalance may have reached its timeout and taken the record
        back (REBALANCE-5).
        """
        member = self.members.get(flight.consumer)
        return (
            member is not None
            and member.possible_eviction is None
            and not self.may_be_taken_back(flight, when)
        )

    def may_be_taken_back(self, flight: InFlightRecord, when: TimeInterval) -> bool:
        """True if a rebalance may have taken the record back at its timeout, by the end of `when` (REBALANCE-5)."""
        timeout, slack = self.timings.rebalance_timeout, self.timings.slack
        topic = flight.record.topic
        return any(
            topic in trigger.contended
            and trigger.when.earliest + timeout <= when.latest + _ROUNDING
            and trigger.when.latest + timeout + slack >= flight.since - _ROUNDING
            for trigger in self.triggers
        )

    def may_be_moving(self, flight: InFlightRecord, when: TimeInterval) -> bool:
        """True if a rebalance that began after the delivery may be in progress."""
        topic = flight.record.topic
        return not self.is_settled(when) and any(
            topic in trigger.contended and trigger.when.latest >= flight.since for trigger in self.triggers
        )

    def due_record(self, topic: str, consumer: str | None) -> "Record | None":
        """Return a record of the topic that a poll must return once the group is settled, or None.

        With `consumer`, a record whose known owner it is; with None, one that some member must own.
        """
        cursor = self.cursors.get(topic)
        if cursor is None:
            return None
        for record in cursor.free_records():
            if consumer is None or cursor.owner(record) == consumer:
                return record
        return None
