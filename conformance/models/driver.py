"""Driver of a queue under test: performs operations, has the model judge each reply, and records the program.

The program is the list of operations with their replies that a failure report shows.
"""

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.models.consumer_registry import is_refusal, is_success
from conformance.models.driver_calls import DriverCall, recorded
from conformance.models.members import TimeInterval
from conformance.models.queue import QueueModel
from conformance.models.request_forms import ADD_TOPIC_ALIAS, PUBLISH, PUBLISH_ALIAS, RequestForms
from conformance.wire.failures import PeerFailure, WaitTooLong
from conformance.wire.operations import promise_of

if TYPE_CHECKING:
    from conformance.models.consumer_registry import OperationReply
    from conformance.models.cursors import InFlightRecord
    from conformance.models.deliveries import PollOutcome
    from conformance.models.queue_under_test import QueueUnderTest
    from conformance.models.topics import Record

_LINES_KEPT = 300
#: Most steps of a virtual clock in one wait.
MOST_STEPS = 2000
#: Seconds that a poll waits if nothing is to come, and if a record is published meanwhile.
IN_VAIN = 0.01
WHILE_PUBLISHING = 0.3
#: Seconds past a deadline; at the deadline itself a rounded time may fall on either side.
MARGIN = 0.001


class PerformedOperation(NamedTuple):
    """An operation and its reply; formatted only when a report needs it."""

    path: str
    body: dict[str, Any]
    reply: "OperationReply"

    def __str__(self) -> str:
        told = "" if self.reply.body is None else f" {self.reply.body}"
        return f"{self.path} {self.body} -> {self.reply.status}{told}"


class QueueDriver:
    """One run: a queue under test, its model, and the program so far.

    `actions`: the number of operations performed and of times that time was advanced. `calls`: the calls so far, from
    which the program can be run again. `published`: the number of records that were published. `forms`: forms of
    operations that mean the same, among which the program alternates.
    """

    def __init__(self, system: "QueueUnderTest") -> None:
        self.system = system
        self.model = QueueModel(
            system.judge,
            system.timings,
            partitions=system.partitions,
            positions="record-position" in system.extensions,
            frees="retention" in system.extensions,
        )
        self.program: deque[PerformedOperation | str] = deque(maxlen=_LINES_KEPT)
        self.calls: list[DriverCall] = []
        self.forms = RequestForms()
        self.is_within_call = False
        self.actions = 0
        self.published = 0

    # Calls

    @recorded
    def take_forms(self, seed: int) -> None:
        """Choose the forms of the operations that follow; 0 for one form of each."""
        self.forms = RequestForms(seed)

    def has_extension(self, extension: str) -> bool:
        """True if the server declares the extension."""
        return extension in self.system.extensions

    def group_name_of(self, consumer: str) -> str:
        """Return the group in which the consumer was last registered; "" if it never was."""
        member = self.model.registry.by_name.get(consumer)
        return member.group if member is not None else ""

    def _call(
        self, path: str, body: dict[str, Any], group: str = ""
    ) -> "tuple[OperationReply, TimeInterval]":
        started = self.system.now(group)
        try:
            reply = self.system.call(path, body)
        except PeerFailure as silence:
            silence.promise = silence.promise or promise_of(path)
            raise
        ended = self.system.now(group)
        self.actions += 1
        self.program.append(PerformedOperation(path, body, reply))
        return reply, TimeInterval(started, ended)

    # Topics

    @recorded
    def add_topic(self, name: str, partitions: int | None = None) -> None:
        """Add a topic, with `partitions` if the server has extension topic-partitions."""
        body: dict[str, Any] = {"topicName": name}
        if partitions is not None and self.has_extension("topic-partitions"):
            body["partitions"] = partitions
        path = self.forms.add_topic_path(len(self.model.topics))
        reply, _ = self._call(path, body)
        self.model.observe_add_topic(name, reply, body.get("partitions"), is_alias=path == ADD_TOPIC_ALIAS)

    @recorded
    def remove_topic(self, name: str) -> None:
        """Remove a topic (extension topic-removal)."""
        readers = [group.name for group in self.model.groups.values() if name in group.cursors]
        started = {group: self.system.now(group) for group in readers}
        reply, _ = self._call("/topic/remove-topic", {"topicName": name})
        when = {group: TimeInterval(started[group], self.system.now(group)) for group in readers}
        self.model.observe_remove_topic(name, reply, when)

    @recorded
    def publish(self, topic: str, key: str | None = None, label: str | int | None = None) -> "Record | None":
        """Publish a record with a unique text. Returns it, or None if the topic is unknown."""
        self.published += 1
        text = f"text {self.published}"
        body: dict[str, Any] = {
            "messageID": label or f"id-{self.published}",
            "message": text,
            "timestamp": 0,
        }
        if key is not None:
            body["key"] = key
        path = self._publish_path()
        reply, _ = self._call(f"{path}{topic}", body)
        is_alias = path == PUBLISH_ALIAS
        return self.model.observe_publish(topic, body["messageID"], key, text, reply, is_alias=is_alias)

    def _publish_path(self) -> str:
        return self.forms.publish_path(self.published) if self.system.has_both_publish_paths else PUBLISH

    @recorded
    def publish_badly(self, topic: str, body: dict[str, Any]) -> None:
        """Publish a body that lacks a required member or has one of a wrong type (PUB-BODY-1)."""
        reply, _ = self._call(f"{self._publish_path()}{topic}", body)
        self.model.observe_bad_publish(reply)

    # Groups and members

    @recorded
    def add_group(self, name: str) -> None:
        """Add a consumer group."""
        reply, when = self._call("/consumer-group/add", {"consumer_group_name": name}, name)
        self.model.observe_add_group(name, reply, when)

    @recorded
    def remove_group(self, name: str) -> None:
        """Remove a consumer group."""
        reply, when = self._call("/consumer-group/remove", {"consumer_group_name": name}, name)
        self.model.observe_remove_group(name, reply, when)

    @recorded
    def register(self, group: str, name: str) -> None:
        """Register a consumer in a group."""
        holder = self.group_name_of(name) or group
        started = self.system.now(holder)
        reply, when = self._call(
            "/consumer/register-consumer", {"consumer_group_name": group, "consumer_name": name}, group
        )
        at_holder = TimeInterval(started, self.system.now(holder))
        self.model.observe_register(group, name, reply, when, at_holder=at_holder)

    @recorded
    def unregister(self, name: str) -> None:
        """Unregister a consumer (extension unregister)."""
        reply, when = self._call(
            "/consumer/unregister-consumer", {"consumer_name": name}, self.group_name_of(name)
        )
        self.model.observe_unregister(name, reply, when)

    @recorded
    def subscribe(self, name: str, *topics: str) -> None:
        """Subscribe a consumer to topics."""
        body = {"consumer_name": name, "topic_list": ",".join(topics)}
        reply, when = self._call("/consumer/subscribe-topic", body, self.group_name_of(name))
        self.model.observe_subscribe(name, topics, reply, when)

    @recorded
    def unsubscribe(self, name: str, *topics: str) -> None:
        """Unsubscribe a consumer from topics."""
        body = {"consumer_name": name, "topic_list": ",".join(topics)}
        reply, when = self._call("/consumer/unsubscribe-topic", body, self.group_name_of(name))
        self.model.observe_unsubscribe(name, topics, reply, when)

    @recorded
    def heartbeat(self, name: str) -> None:
        """Send a consumer's heartbeat."""
        reply, when = self._call("/consumer/heartbeat", {"consumer_name": name}, self.group_name_of(name))
        self.model.observe_heartbeat(name, reply, when)

    # Deliveries

    @recorded
    def poll_once(
        self, name: str, max_messages: int | None = None, wait_seconds: float | None = None
    ) -> "PollOutcome":
        """Poll once, for a batch if `max_messages` is given, as a long poll if `wait_seconds` is."""
        body: dict[str, Any] = {"consumer_name": name}
        if wait_seconds is not None:
            body["wait_seconds"] = wait_seconds
        if max_messages is not None:
            body["max_messages"] = max_messages
        reply, when = self._call("/consumer/poll", body, self.group_name_of(name))
        if max_messages is not None and self.model.is_wrongly_empty(name, reply, when):
            self._judge_batches(body, reply)
        if not is_refusal(reply) or not self._may_be_there(name):
            return self.model.observe_poll(name, reply, when, max_messages=max_messages)
        # An empty poll may have any status but 200. The heartbeat shows whether 4xx means an empty poll or an eviction.
        beat, after = self._call("/consumer/heartbeat", {"consumer_name": name}, self.group_name_of(name))
        polled = self.model.observe_poll(
            name, reply, when, max_messages=max_messages, is_registered=is_success(beat)
        )
        self.model.observe_heartbeat(name, beat, after)
        return polled

    def _judge_batches(self, body: dict[str, Any], reply: "OperationReply") -> None:
        """Judge POLL-BATCH-1 behind an empty reply that breaks a clause: if batches stay empty while a single record
        comes, the fault is one of batches.
        """
        again, _ = self._call("/consumer/poll", body)
        if again.status == 200:
            return
        single, _ = self._call("/consumer/poll", {"consumer_name": body["consumer_name"]})
        self.system.judge(
            "POLL-BATCH-1",
            single.status != 200,
            expected="200 with a list of records: one is free, as a poll without `max_messages` shows",
            observed=f"{reply}, {again}, and then {single}",
        )

    @recorded
    def publish_to_waiting(
        self, name: str, topic: str, key: str | None = None, max_messages: int | None = None
    ) -> "list[InFlightRecord]":
        """Publish a record while a poll waits for it on a connection of its own (extension long-poll), for a batch if
        `max_messages` is given.

        The poll is judged only if it brings a record: it may have begun, or ended, too early for this one. Otherwise
        another poll follows.
        """
        group = self.group_name_of(name)
        body: dict[str, Any] = {"consumer_name": name, "wait_seconds": WHILE_PUBLISHING}
        if max_messages is not None:
            body["max_messages"] = max_messages
        started = self.system.now(group)
        awaited = self.system.start("/consumer/poll", body)
        self.publish(topic, key)
        reply = awaited()
        when = TimeInterval(started, self.system.now(group))
        self.program.append(PerformedOperation("/consumer/poll", body, reply))
        if reply.status != 200:
            return self.poll_once(name).in_flight
        return self.model.observe_poll(name, reply, when, max_messages=max_messages).in_flight

    @recorded
    def lose_connection(self) -> None:
        """Cut a connection; what consumers hold stays with them."""
        self.actions += 1
        self.program.append("a connection is cut")
        self.system.cut()

    def _may_be_there(self, name: str) -> bool:
        member = self.model.registry.by_name.get(name)
        return member is not None and not member.end_reason

    def poll(self, name: str, max_messages: int | None = None) -> "list[InFlightRecord]":
        """Poll, for a batch if `max_messages` is given or the program's forms say so; while the only subscriber is owed
        a record and its rebalance may be under way, wait and poll again.
        """
        polled = self.poll_once(name, max_messages or self.batch_size())
        while polled.due is not None and self._is_alone(name, polled.due.topic):
            self.wait_for_rebalance(self.group_name_of(name))
            polled = self.poll_once(name, max_messages or self.batch_size())
        return polled.in_flight

    def batch_size(self) -> int | None:
        """Size of the next poll by the program's forms; None for a single record."""
        return self.forms.batch_size() if self.has_extension("batch-poll") else None

    def _is_alone(self, name: str, topic: str) -> bool:
        group = self.model.groups.get(self.group_name_of(name))
        return group is not None and [m.name for m in group.subscribers(topic)] == [name]

    @recorded
    def acknowledge(self, name: str, message_id: int | str) -> bool:
        """Acknowledge a message id. Returns True if the server accepted it."""
        body = {"consumer_name": name, "message_id": message_id}
        reply, when = self._call("/consumer/acknowledgement", body, self.group_name_of(name))
        return self.model.observe_acknowledge(name, message_id, reply, when)

    @recorded
    def negative_acknowledge(self, name: str, message_id: int | str) -> bool:
        """Acknowledge a message id negatively (extension negative-acknowledgement). Returns True if the server
        accepted it.
        """
        body = {"consumer_name": name, "message_id": message_id}
        reply, when = self._call("/consumer/negative-acknowledgement", body, self.group_name_of(name))
        return self.model.observe_negative_acknowledge(name, message_id, reply, when)

    def in_flight_with(self, name: str) -> "list[InFlightRecord]":
        """Return the records in flight with a consumer, by topic, oldest delivery first."""
        group = self.model.groups.get(self.group_name_of(name))
        if group is None or name not in group.members:
            return []
        return [flight for cursor in group.cursors.values() for flight in cursor.held_by(name)]

    def lag(self, group: str, topic: str) -> int:
        """Return the number of records of a topic that a group has not acknowledged; 0 if no member ever subscribed
        to it.
        """
        model = self.model.groups.get(group)
        cursor = model.cursors.get(topic) if model is not None else None
        return len(cursor.uncommitted) if cursor is not None else 0

    def look(self, topic: str, group: str) -> None:
        """Read a topic and a group, which changes nothing (extension introspection)."""
        if self.has_extension("introspection"):
            self.actions += 1
            self.program.append(f"somebody looks at {topic} and {group}")
            self.system.look(topic, group)

    # Time, and whole groups

    @recorded
    def pass_time(self, seconds: float, group: str) -> None:
        """Advance the group's clock by `seconds`."""
        self.actions += 1
        self.program.append(f"{seconds:g} s pass for {group}")
        self.system.pass_time(seconds, group)

    def alive_members(self, group: str) -> list[str]:
        """Return the members of a group that cannot have been evicted."""
        model = self.model.groups[group]
        now = self.system.now(group)
        model.refresh(TimeInterval(now, now))
        return [member.name for member in model.members.values() if member.possible_eviction is None]

    def settle(self, group: str) -> None:
        """Advance time until all rebalances of the group must be settled; every live member sends heartbeats
        meanwhile.
        """
        model = self.model.groups[group]
        step = self.system.timings.heartbeat_timeout * 0.6
        while self.system.time_is_virtual:
            living = self.alive_members(group)
            missing = model.settled_at() + MARGIN - self.system.now(group)
            if missing <= 0:
                return
            if missing > MOST_STEPS * step:
                raise WaitTooLong(f"a model would send heartbeats every {step:g} s for {missing:g} s")
            self.pass_time(min(missing, step), group)
            for name in living:
                self.heartbeat(name)

    def is_settled(self, group: str) -> bool:
        """True if every rebalance of the group must be settled."""
        now = self.system.now(group)
        return self.model.groups[group].is_settled(TimeInterval(now, now))

    def wait_for_rebalance(self, group: str) -> None:
        """Advance a virtual clock past the rebalances of a group; on a real clock, pause briefly."""
        if self.system.time_is_virtual:
            self.settle(group)
        else:
            self.system.pause()

    def poll_all(self, group: str, *, acknowledge: bool = False) -> int:
        """Poll all members of a group until none gets a record. Returns the number of records.

        With `acknowledge`, every record is acknowledged. A free record that no member gets breaks a clause, once the
        rebalance must be settled; until then the method waits and polls again.
        """
        count = 0
        while True:
            due = False
            came = 0
            for name in self.alive_members(group):
                polled = self.poll_once(name, self.batch_size())
                while polled.in_flight:
                    came += len(polled.in_flight)
                    if acknowledge:
                        for flight in self.in_flight_with(name):
                            self.acknowledge(name, self.forms.id_of(flight.message_id))
                    polled = self.poll_once(name, self.batch_size())
                due = due or polled.due is not None
            count += came
            if due:
                self.wait_for_rebalance(group)
            elif not came or not acknowledge:
                return count
