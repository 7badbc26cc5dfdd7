"""Faults in registering and leaving."""

from __future__ import annotations

from typing import Any

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.queue.operations import Operations
from reference_server.queue.refusal import Refusal
from tests.mutants.editing import accept_refused, answer_by, refuse_by
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, fault


@fault("MEMBER-REGISTER-1", bindings=HTTP)
def a_new_consumer_is_answered_created() -> None:
    """Registering is answered 201."""
    answer_by("_register", 201)


@fault("MEMBER-REGISTER-2", bindings=HTTP)
def registering_adds_the_group() -> None:
    """Registering a consumer in an unknown group adds the group."""

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group: str, name: str, *, now: float) -> Any:
        self.add_group(group, now=now)
        return original(self, group, name, now=now)


@fault("MEMBER-REGISTER-2", "REFUSE-1", bindings=STOMP)
def a_refused_registration_takes_the_name() -> None:
    """A registration in an unknown group is refused, but takes the name."""
    taken: set[str] = set()

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group: str, name: str, **named: Any) -> Any:
        if name in taken:
            raise Refusal("consumer-exists", f"there is a consumer {name}", "consumer_name")
        try:
            return original(self, group, name, **named)
        except Refusal as refusal:
            if refusal.cause == "group-unknown":
                taken.add(name)
                refusal.__init__("group-unknown", refusal.detail, refusal.member)  # type: ignore[misc]
            raise


@fault("MEMBER-REGISTER-3", bindings=HTTP)
def a_group_that_is_not_there_is_a_conflict() -> None:
    """Registering in an unknown group is refused by 409."""
    refuse_by(QueueBroker, "register", "group-unknown", 409)


@fault("MEMBER-REGISTER-4", bindings=HTTP)
def who_registers_last_has_the_name() -> None:
    """A registration with a taken name evicts the holder of the name."""

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group: str, name: str, *, now: float) -> Any:
        if group in self.groups and name in self.consumers:
            self.now = now
            self.unregister(self.consumers[name])
        return original(self, group, name, now=now)


@fault("MEMBER-REGISTER-4", bindings=STOMP)
def names_are_unique_in_a_group_only() -> None:
    """A name may be registered again in another group, which unregisters its present holder."""

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group: str, name: str, **named: Any) -> Any:
        holder = self.consumers.get(name)
        if holder is not None and group in self.groups and holder.group is not self.groups[group]:
            del self.consumers[name]
        return original(self, group, name, **named)


@fault("MEMBER-REGISTER-4", "REFUSE-1", bindings=HTTP)
def a_refused_registration_frees_what_the_holder_has() -> None:
    """A registration with a taken name is refused, but frees the records of the name's holder."""

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group: str, name: str, **named: Any) -> Any:
        try:
            return original(self, group, name, **named)
        except Refusal as refusal:
            if refusal.cause == "consumer-exists":
                for cursor in list(self.consumers[name].held.values()):
                    cursor.settle(commit=False)
            raise


@fault("MEMBER-REGISTER-5", bindings=HTTP)
def a_taken_name_is_a_bad_request() -> None:
    """A taken name is refused by 400."""
    refuse_by(QueueBroker, "register", "consumer-exists", 400)


@fault("MEMBER-UNREGISTER-1", bindings=HTTP)
def who_leaves_is_there_for_a_while() -> None:
    """Unregistering ends subscriptions, but the consumer stays registered until its eviction."""

    @wrap(QueueBroker, "unregister")
    def unregister(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        del original
        self.unsubscribe(consumer, sorted(consumer.topics))


@fault("MEMBER-UNREGISTER-1", bindings=STOMP)
def a_departure_is_answered_done() -> None:
    """Unregistering is answered 200."""
    answer_by("_unregister", 200)


@fault("MEMBER-UNREGISTER-2", bindings=HTTP)
def nobody_may_leave() -> None:
    """Unregistering an unknown consumer is answered 202."""
    accept_refused("_unregister", "consumer-unknown", 202)


@fault("MEMBER-UNREGISTER-3", bindings=HTTP)
def nobody_is_a_bad_request() -> None:
    """Unregistering an unknown consumer is refused by 400."""
    refuse_by(Operations, "_unregister", "consumer-unknown", 400)


@fault("MEMBER-UNSUBSCRIBE-4", "ACK-COMMIT-1", bindings=HTTP, hard=True)
def an_offset_goes_back_when_its_owner_is_evicted() -> None:
    """The last record of a partition that an evicted consumer acknowledged is delivered again."""

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        owned = {member: list(member.assigned) for member in self.members.values()}
        silent: list[Consumer] = original(self, now)
        for consumer in silent:
            for cursor in owned[consumer]:
                if cursor.in_flight is None:
                    cursor.committed = max(0, cursor.committed - 1)
        return silent


@fault("DELIVER-2", bindings=HTTP)
def who_leaves_takes_records_along() -> None:
    """Records in flight with a consumer that unregisters count as acknowledged."""
    _commit_when(lambda group, consumer: consumer.name not in group.members)


@fault("DELIVER-2", bindings=STOMP)
def who_unsubscribes_takes_records_along() -> None:
    """Records in flight with a consumer that unsubscribes count as acknowledged."""
    _commit_when(lambda group, consumer: consumer.name in group.members)


def _commit_when(holds: Any) -> None:
    @replace(Group, "_release")
    def release(self: Group, consumer: Consumer, topic: str) -> None:
        for cursor in self.cursors[topic]:
            if cursor.owner is consumer:
                if cursor.in_flight is not None:
                    cursor.settle(commit=holds(self, consumer))
                if cursor.owner is consumer:
                    cursor.pass_to(None)
            elif cursor.next_owner is consumer:
                Cursor.pass_to(cursor, cursor.owner)
