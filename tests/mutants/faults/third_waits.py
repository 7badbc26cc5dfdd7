"""Faults of waiting polls in a third rewrite, and of operations that do more than they say.

Their models are public reports on blocked readers that others wake, end or keep alive by mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_server.queue.broker import QueueBroker
from reference_server.queue.long_polls import LongPolls
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import NOTHING, Outcome
from reference_server.server.application import Application
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from reference_server.queue.group import Consumer

# Waits


@fault("POLL-WAIT-5", "LIVE-KEEP-1", bindings=HTTP)
def a_wait_that_is_cut_ends_the_life_of_the_others() -> None:
    """When the connection of one waiting poll is cut, the consumer counts as waiting no more, though another waits."""

    @wrap(Application, "cancel")
    def cancel(original: Any, self: Application, waiter: Any) -> None:
        polls = self.operations.long_polls
        parked = polls._parked.get(waiter)
        original(self, waiter)
        if parked is not None:
            _forget_waits(self._broker, parked.consumer)

    @wrap(QueueBroker, "wait_no_more")
    def wait_no_more(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        original(self, consumer)
        consumer.waiting = max(consumer.waiting, 0)
        self._waiting = max(self._waiting, 0)


def _forget_waits(broker: QueueBroker, consumer: Consumer) -> None:
    broker._waiting -= consumer.waiting
    consumer.waiting = 0


@fault("POLL-WAIT-1", "MEMBER-UNREGISTER-1", bindings=HTTP)
def a_departure_wakes_one_member() -> None:
    """When a member leaves, of the members that wait and get its partitions the first one is woken."""

    @wrap(QueueBroker, "unregister")
    def unregister(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        original(self, consumer)
        waiting = [each for each in self._wakeable if each.group is consumer.group and each is not consumer]
        for each in waiting[1:]:
            del self._wakeable[each]


@fault("LIVE-EVICT-1", "POLL-WAIT-5", bindings=HTTP)
def who_unsubscribed_while_it_waited_lives_for_ever() -> None:
    """A consumer that unsubscribes while its poll waits is never evicted."""
    marked: set[Consumer] = set()

    @wrap(QueueBroker, "unsubscribe")
    def unsubscribe(original: Any, self: QueueBroker, consumer: Consumer, topics: Any) -> None:
        original(self, consumer, topics)
        if consumer.waiting and consumer not in marked:
            marked.add(consumer)
            consumer.waiting += 1


# Effects that a neighbour is blamed for


@fault("ACK-COMMIT-2", "LIVE-BEAT-1", bindings=HTTP)
def a_heartbeat_commits_what_is_held() -> None:
    """A heartbeat acknowledges what its consumer holds."""

    @wrap(Operations, "_heartbeat")
    def heartbeat(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        outcome: Outcome = original(self, request, now)
        for cursor in list(self.broker.consumers[request.consumer_name].held.values()):
            cursor.settle(commit=True)
        return outcome


@fault("ACK-OK-1", "DELIVER-3", bindings=STOMP)
def a_subscription_to_another_topic_frees_what_is_held() -> None:
    """Subscribing to one more topic frees what the consumer holds of the others."""

    @wrap(QueueBroker, "subscribe")
    def subscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Any) -> None:
        is_new = any(name not in consumer.topics for name in names)
        original(self, consumer, names)
        for number in list(consumer.held) if is_new else ():
            if consumer.held[number].partition.topic not in names:
                self.settle(consumer, number, commit=False)


@fault("GROUP-ADD-2", "DELIVER-3", bindings=HTTP)
def adding_a_group_again_frees_its_records() -> None:
    """Adding a group that exists frees what its members hold."""

    @wrap(QueueBroker, "add_group")
    def add(original: Any, self: QueueBroker, name: str, *, now: float) -> Any:
        group = original(self, name, now=now)
        for member in group.members.values():
            for number in list(member.held):
                self.settle(member, number, commit=False)
        return group


@fault("POLL-WAIT-2", "ISOLATE-1", bindings=HTTP)
def removing_a_group_ends_waits_of_others() -> None:
    """When a group is removed, polls that wait in other groups are answered as empty."""

    @wrap(LongPolls, "answered")
    def answered(original: Any, self: LongPolls) -> Any:
        known = vars(self).setdefault("known", set()) if hasattr(self, "__dict__") else set()
        groups = set(self._broker.groups)
        gone = known - groups
        known.clear()
        known.update(groups)
        answers = list(original(self))
        for waiter in list(self._parked) if gone else ():
            self.cancel(waiter)
            answers.append((waiter, NOTHING))
        return answers
