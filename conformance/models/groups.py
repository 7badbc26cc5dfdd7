"""One consumer group: its members, its rebalances, and who is known to own what."""

from typing import TYPE_CHECKING

from conformance.models.cursors import Cursor, InFlightRecord
from conformance.models.members import Member, RebalanceTrigger, TimeInterval, Timings

if TYPE_CHECKING:
    from conformance.models.topics import Record, TopicModel

_ROUNDING = 1e-6
_TRIGGERS_KEPT = 12


class GroupModel:
    """The state of one consumer group, as far as it is certain.

    `was_removed_before`: a group of that name was removed before.
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
        """The group's progress in the topic."""
        cursor = self.cursors.get(topic.name)
        if cursor is None:
            cursor = self.cursors[topic.name] = Cursor(topic)
            if self.was_removed_before:
                cursor.suspect("GROUP-REMOVE-3")
            elif topic.was_added_again:
                cursor.suspect("TOPIC-ADD-2")
        return cursor

    # Membership

    def subscribers(self, topic: str) -> list[Member]:
        """Members subscribed to the topic, those included that may have been evicted meanwhile."""
        return [member for member in self.members.values() if topic in member.topics]

    def membership_is_certain(self, topic: str) -> bool:
        """Whether no subscriber of the topic may have been evicted unnoticed."""
        return all(member.possible_eviction is None for member in self.subscribers(topic))

    def refresh(self, when: TimeInterval) -> None:
        """Let time pass up to `when`: silent members become doubtful, then are gone for certain."""
        self._reached = max(self._reached, when.earliest)
        for member in list(self.members.values()):
            if member.must_be_alive(when, self.timings):
                continue
            if member.possible_eviction is None:
                member.possible_eviction = self.trigger(member.eviction_window(self.timings), possible=True)
            else:
                member.possible_eviction.when = member.eviction_window(self.timings)
            if member.must_be_evicted(when, self.timings):
                # A clock that jumps past the window finds the consumer silent only where it lands.
                member.possible_eviction.when = TimeInterval(
                    member.possible_eviction.when.earliest, when.latest
                )
                self.end(member, "evicted")
        settled = self.is_settled(when)
        if settled != self.was_settled:
            self.was_settled = settled
            self.polled_empty.clear()

    def proved_alive(self, member: Member, when: TimeInterval, operation: str) -> None:
        """The member was served: it had not been evicted, and this was a sign of life."""
        member.gave_sign_of_life(when, operation)
        if member.possible_eviction is not None:
            self.triggers.remove(member.possible_eviction)
            member.possible_eviction = None

    def proved_evicted(self, member: Member, when: TimeInterval) -> None:
        """A reply shows that the member was evicted, at `when` or before."""
        if member.possible_eviction is not None:
            window = member.possible_eviction.when
            member.possible_eviction.when = TimeInterval(
                window.earliest, max(window.earliest, min(window.latest, when.latest))
            )
        member.end_was_observed = True
        self.end(member, "evicted")

    def end(self, member: Member, reason: str, when: TimeInterval | None = None) -> None:
        """The member is out: its records in flight are free again, the rest of the group rebalances."""
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
        """The member gives up its records in flight of the topic; late acknowledgements of them are
        remembered.
        """
        cursor = self.cursors.get(topic)
        if cursor is None:
            return
        for flight in cursor.held_by(member.name):
            member.released_ids[flight.message_id] = (topic, flight.record.number)
            cursor.release(flight, reason)

    # Rebalances

    def trigger(self, when: TimeInterval, *, possible: bool = False) -> RebalanceTrigger:
        """A rebalance starts at `when`: what was known about owners is void."""
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
        """Forget the rebalances that were over before anything that is in flight, and before any reply to come.

        Not by the time of the newest trigger: that of an eviction may lie in the future.
        """
        in_flight = [flight.since for cursor in self.cursors.values() for flight in cursor.in_flight.values()]
        oldest = min(in_flight, default=self._reached)
        longest = self.timings.rebalance_timeout + self.timings.slack
        self.triggers = [
            t for t in self.triggers if t.possible or t.when.latest + longest >= min(oldest, self._reached)
        ]

    def unsettle(self) -> None:
        """Forget who owns what, and who polled in vain."""
        self.polled_empty.clear()
        for cursor in self.cursors.values():
            cursor.forget_owners()
            cursor.committed_since_rebalance = False

    def settled_at(self) -> float:
        """The group's time from which on every rebalance so far must be settled, in seconds: REBALANCE-1."""
        longest = self.timings.rebalance_timeout + self.timings.slack
        latest = float("-inf")
        for trigger in self.triggers:
            if trigger.when.latest > latest:
                latest = trigger.when.latest
        return latest + longest

    def is_settled(self, when: TimeInterval) -> bool:
        """Whether every rebalance must be settled, whenever in `when` the server looked."""
        return when.earliest > self.settled_at() + _ROUNDING

    # Records in flight

    def must_be_in_flight(self, flight: InFlightRecord, when: TimeInterval) -> bool:
        """Whether the record is certainly still in flight with its holder.

        It may not be where the holder may have been evicted, or where a rebalance ran into its timeout and
        took the record back (REBALANCE-5).
        """
        member = self.members.get(flight.consumer)
        return (
            member is not None
            and member.possible_eviction is None
            and not self.may_be_taken_back(flight, when)
        )

    def may_be_taken_back(self, flight: InFlightRecord, when: TimeInterval) -> bool:
        """Whether a rebalance that began before or after the delivery may have ended by taking the record
        back.
        """
        timeout, slack = self.timings.rebalance_timeout, self.timings.slack
        topic = flight.record.topic
        return any(
            topic in trigger.contended
            and trigger.when.earliest + timeout <= when.latest + _ROUNDING
            and trigger.when.latest + timeout + slack >= flight.since - _ROUNDING
            for trigger in self.triggers
        )

    def may_be_moving(self, flight: InFlightRecord, when: TimeInterval) -> bool:
        """Whether a rebalance that began after the delivery may be under way."""
        topic = flight.record.topic
        return not self.is_settled(when) and any(
            topic in trigger.contended and trigger.when.latest >= flight.since for trigger in self.triggers
        )

    def due_record(self, topic: str, consumer: str | None) -> "Record | None":
        """A record of the topic that a poll must return once the group is settled, or None.

        With `consumer`, one that this consumer is known to own; else one that somebody must own.
        """
        cursor = self.cursors.get(topic)
        if cursor is None:
            return None
        for record in cursor.free_records():
            if consumer is None or cursor.owner(record) == consumer:
                return record
        return None
