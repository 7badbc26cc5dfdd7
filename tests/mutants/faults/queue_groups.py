"""Faults in groups, and in the isolation of groups and topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.queue.operations import Operations
from reference_server.queue.refusal import Refusal
from tests.mutants.editing import accept_refused, answer_by, open_cursors, refuse_by
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from reference_server.queue.outcomes import Outcome
    from reference_server.queue.topic import Partition, Topic


@fault("GROUP-ADD-1", bindings=HTTP)
def a_new_group_is_answered_created() -> None:
    """Adding a new group is answered 201, adding an existing one 200."""

    @wrap(Operations, "_add_group")
    def add(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        is_new = request.consumer_group_name not in self.broker.groups
        outcome: Outcome = original(self, request, now)
        return msgspec.structs.replace(outcome, status=201) if is_new else outcome


@fault("GROUP-ADD-2", bindings=HTTP)
def a_group_that_exists_is_refused() -> None:
    """Adding a group again is refused."""

    @wrap(QueueBroker, "add_group")
    def add(original: Any, self: QueueBroker, name: str, **named: Any) -> Any:
        if name in self.groups:
            raise Refusal("too-many", f"there is a group {name}", "consumer_group_name")
        return original(self, name, **named)


@fault("GROUP-ADD-2", bindings=STOMP)
def a_group_that_is_added_again_begins_anew() -> None:
    """Adding an existing group removes the old one first."""

    @wrap(QueueBroker, "add_group")
    def add(original: Any, self: QueueBroker, name: str, *, now: float) -> Any:
        if name in self.groups:
            self.remove_group(name, now=now)
        return original(self, name, now=now)


@fault("GROUP-ADD-2", "ACK-COMMIT-1", bindings=HTTP)
def a_group_that_is_added_again_reads_again() -> None:
    """Adding an existing group puts its idle partitions back to the oldest record; the members stay."""

    @wrap(QueueBroker, "add_group")
    def add(original: Any, self: QueueBroker, name: str, **named: Any) -> Any:
        if name in self.groups:
            for cursor in self.groups[name].all_cursors():
                if cursor.in_flight is None:
                    cursor.committed = 0
        return original(self, name, **named)


@fault("GROUP-REMOVE-1", bindings=HTTP)
def a_removal_is_answered_done() -> None:
    """Removing a group is answered 200."""
    answer_by("_remove_group", 200)


@fault("GROUP-REMOVE-2", bindings=HTTP)
def names_outlive_their_group() -> None:
    """The names of a removed group's members stay taken."""

    @wrap(QueueBroker, "remove_group")
    def remove(original: Any, self: QueueBroker, name: str, **named: Any) -> None:
        members = dict(self.groups[name].members) if name in self.groups else {}
        original(self, name, **named)
        reserved.update(members)

    reserved: dict[str, Consumer] = {}

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group: str, name: str, **named: Any) -> Any:
        if name in reserved:
            raise Refusal("consumer-exists", f"there is a consumer {name}", "consumer_name")
        return original(self, group, name, **named)


@fault("GROUP-REMOVE-2", bindings=STOMP)
def idle_members_outlive_their_group() -> None:
    """Members of a removed group stay registered if they have no subscription."""

    @wrap(QueueBroker, "remove_group")
    def remove(original: Any, self: QueueBroker, name: str, **named: Any) -> None:
        members = self.groups[name].members.values() if name in self.groups else ()
        idle = [member for member in members if not member.topics]
        original(self, name, **named)
        self.consumers.update((member.name, member) for member in idle)


@fault("GROUP-REMOVE-3", bindings=HTTP)
def offsets_outlive_their_group() -> None:
    """A group that is added again after its removal has its old offsets."""
    kept: dict[tuple[str, Partition], int] = {}

    @wrap(Group, "dissolve")
    def dissolve(original: Any, self: Group) -> None:
        kept.update(((self.name, cursor.partition), cursor.committed) for cursor in self.all_cursors())
        original(self)

    @wrap(Group, "_open")
    def open_topic(original: Any, self: Group, topic: Topic) -> None:
        original(self, topic)
        for cursor in self.cursors[topic.name]:
            cursor.committed = kept.get((self.name, cursor.partition), 0)


@fault("GROUP-REMOVE-4", bindings=HTTP)
def removing_nothing_succeeds() -> None:
    """Removing an unknown group is answered 202."""
    accept_refused("_remove_group", "group-unknown", 202)


@fault("GROUP-REMOVE-5", bindings=HTTP)
def a_missing_group_is_a_bad_request() -> None:
    """Removing an unknown group is refused by 400."""
    refuse_by(QueueBroker, "remove_group", "group-unknown", 400)


@fault("ISOLATE-1", "POLL-START-1", bindings=HTTP, hard=True)
def groups_share_their_offsets() -> None:
    """An acknowledgement in one group commits the record in all groups that read the partition."""
    cursors = open_cursors()

    @wrap(Cursor, "settle")
    def settle(original: Any, self: Cursor, *, commit: bool) -> None:
        original(self, commit=commit)
        for other in cursors[self.partition]:
            if other.in_flight is None:
                other.committed = max(other.committed, self.committed)

    @wrap(Group, "_open")
    def open_topic(original: Any, self: Group, topic: Topic) -> None:
        original(self, topic)
        for cursor in self.cursors[topic.name]:
            cursor.committed = max(other.committed for other in cursors[cursor.partition])


@fault("ISOLATE-1", bindings=STOMP)
def a_record_is_in_flight_in_all_groups() -> None:
    """While one group has a record in flight, no other group gets it."""
    cursors = open_cursors()

    @wrap(Cursor, "is_ready")
    def is_ready(original: Any, self: Cursor) -> bool:
        if not original(self):
            return False
        wanted = self.partition.ids[self.committed]
        return all(other.in_flight != wanted for other in cursors[self.partition])


@fault("ISOLATE-1", bindings=HTTP)
def a_group_that_goes_resets_the_others() -> None:
    """When a group is removed, other groups that read its partitions lose their records in flight."""
    cursors = open_cursors()

    @wrap(Group, "dissolve")
    def dissolve(original: Any, self: Group) -> None:
        partitions = [cursor.partition for cursor in self.all_cursors()]
        original(self)
        for partition in partitions:
            for other in cursors[partition]:
                if other.in_flight is not None:
                    other.settle(commit=False)


@fault("ISOLATE-2", "POLL-FAIR-1", bindings=HTTP)
def a_busy_topic_holds_up_the_others() -> None:
    """A consumer that holds the only available record of a topic gets nothing from its other topics."""

    @wrap(Consumer, "next_cursor")
    def next_cursor(original: Any, self: Consumer) -> Cursor | None:
        held = {cursor.partition.topic for cursor in self.held.values()}
        ready = {cursor.partition.topic for cursor in self.assigned if cursor.is_ready()}
        found: Cursor | None = original(self) if held <= ready else None
        return found


@fault("ISOLATE-2", bindings=STOMP)
def offsets_are_kept_by_index_alone() -> None:
    """A commit in one topic is repeated in the group's other topics that have as many records."""

    @wrap(Cursor, "settle")
    def settle(original: Any, self: Cursor, *, commit: bool) -> None:
        owner = self.owner
        original(self, commit=commit)
        if not commit or owner is None:
            return
        for cursors in owner.group.cursors.values():
            if self.partition.index < len(cursors):
                other = cursors[self.partition.index]
                if other.in_flight is None and other.committed < self.committed <= other.partition.end:
                    other.committed = self.committed
