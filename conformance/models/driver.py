"""Performs operations on a world, lets the model judge each reply, and writes down what was done.

`program` is what a reader of a failure sees: one line for each operation and what came of it.
"""

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.models.consumer_registry import refused, served
from conformance.models.members import When
from conformance.models.queue import QueueModel
from conformance.wire.failures import WaitTooLong

if TYPE_CHECKING:
    from conformance.models.consumer_registry import Answer
    from conformance.models.cursors import Flight
    from conformance.models.deliveries import Polled
    from conformance.models.system_under_test import World
    from conformance.models.topics import Record

_LINES_KEPT = 300
#: Most steps of a virtual clock in one wait.
MOST_STEPS = 2000
#: Just past a deadline, in seconds: at the deadline itself a float may fall on either side.
MARGIN = 0.001


class Step(NamedTuple):
    """One operation and what came of it; made into a line only where somebody reads it."""

    path: str
    body: dict[str, Any]
    reply: "Answer"

    def __str__(self) -> str:
        told = "" if self.reply.body is None else f" {self.reply.body}"
        return f"{self.path} {self.body} -> {self.reply.status}{told}"


class Driver:
    """One run: a world, a model of it, and the program so far.

    `done` counts the operations, and the times that time was made to pass.
    """

    def __init__(self, world: "World") -> None:
        self.world = world
        self.model = QueueModel(
            world.judge,
            world.timings,
            partitions=world.partitions,
            positions="record-position" in world.extensions,
        )
        self.program: deque[Step | str] = deque(maxlen=_LINES_KEPT)
        self.done = 0
        self._published = 0

    # The plumbing

    def has(self, extension: str) -> bool:
        """Whether the server declares the extension."""
        return extension in self.world.extensions

    def group_name_of(self, consumer: str) -> str:
        """The group in which the consumer was last registered; empty for one that never was."""
        member = self.model.consumers.by_name.get(consumer)
        return member.group if member is not None else ""

    def _call(self, path: str, body: dict[str, Any], group: str = "") -> "tuple[Answer, When]":
        started = self.world.now(group)
        reply = self.world.call(path, body)
        ended = self.world.now(group)
        self.done += 1
        self.program.append(Step(path, body, reply))
        return reply, When(started, ended)

    # Topics

    def add_topic(self, name: str, partitions: int | None = None) -> None:
        """Add a topic, with `partitions` where the server lets one choose."""
        body: dict[str, Any] = {"topicName": name}
        if partitions is not None and self.has("topic-partitions"):
            body["partitions"] = partitions
        reply, _ = self._call("/topic/add-topic", body)
        self.model.observe_add_topic(name, reply, body.get("partitions"))

    def publish(self, topic: str, key: str | None = None, label: str | int | None = None) -> "Record | None":
        """Publish a record with a text of its own."""
        self._published += 1
        text = f"text {self._published}"
        body: dict[str, Any] = {
            "messageID": label or f"id-{self._published}",
            "message": text,
            "timestamp": 0,
        }
        if key is not None:
            body["key"] = key
        reply, _ = self._call(f"/producer/publish/{topic}", body)
        return self.model.observe_publish(topic, body["messageID"], key, text, reply)

    def publish_badly(self, topic: str, body: dict[str, Any]) -> None:
        """Publish a body that lacks what is required."""
        reply, _ = self._call(f"/producer/publish/{topic}", body)
        self.model.observe_bad_publish(reply)

    # Groups and members

    def add_group(self, name: str) -> None:
        """Add a consumer group."""
        reply, when = self._call("/consumer-group/add", {"consumer_group_name": name}, name)
        self.model.observe_add_group(name, reply, when)

    def remove_group(self, name: str) -> None:
        """Remove a consumer group."""
        reply, when = self._call("/consumer-group/remove", {"consumer_group_name": name}, name)
        self.model.observe_remove_group(name, reply, when)

    def register(self, group: str, name: str) -> None:
        """Register a consumer in a group."""
        holder = self.group_name_of(name) or group
        started = self.world.now(holder)
        reply, when = self._call(
            "/consumer/register-consumer", {"consumer_group_name": group, "consumer_name": name}, group
        )
        at_holder = When(started, self.world.now(holder))
        self.model.observe_register(group, name, reply, when, at_holder=at_holder)

    def unregister(self, name: str) -> None:
        """Let a consumer leave (extension unregister)."""
        reply, when = self._call(
            "/consumer/unregister-consumer", {"consumer_name": name}, self.group_name_of(name)
        )
        self.model.observe_unregister(name, reply, when)

    def subscribe(self, name: str, *topics: str) -> None:
        """Subscribe a consumer to topics."""
        body = {"consumer_name": name, "topic_list": ",".join(topics)}
        reply, when = self._call("/consumer/subscribe-topic", body, self.group_name_of(name))
        self.model.observe_subscribe(name, topics, reply, when)

    def unsubscribe(self, name: str, *topics: str) -> None:
        """Let a consumer give up topics."""
        body = {"consumer_name": name, "topic_list": ",".join(topics)}
        reply, when = self._call("/consumer/unsubscribe-topic", body, self.group_name_of(name))
        self.model.observe_unsubscribe(name, topics, reply, when)

    def heartbeat(self, name: str) -> None:
        """Send a consumer's heartbeat."""
        reply, when = self._call("/consumer/heartbeat", {"consumer_name": name}, self.group_name_of(name))
        self.model.observe_heartbeat(name, reply, when)

    # Deliveries

    def poll_once(self, name: str, max_messages: int | None = None) -> "Polled":
        """One poll, a batch where `max_messages` is given."""
        body: dict[str, Any] = {"consumer_name": name}
        if max_messages is not None:
            body["max_messages"] = max_messages
        reply, when = self._call("/consumer/poll", body, self.group_name_of(name))
        if not refused(reply) or not self._may_be_there(name):
            return self.model.observe_poll(name, reply, when, max_messages=max_messages)
        # An empty poll may be answered by any status but 200: is it empty, or is the consumer gone?
        beat, after = self._call("/consumer/heartbeat", {"consumer_name": name}, self.group_name_of(name))
        polled = self.model.observe_poll(name, reply, when, max_messages=max_messages, is_there=served(beat))
        self.model.observe_heartbeat(name, beat, after)
        return polled

    def _may_be_there(self, name: str) -> bool:
        member = self.model.consumers.by_name.get(name)
        return member is not None and not member.fate

    def poll(self, name: str, max_messages: int | None = None) -> "list[Flight]":
        """Poll; where the consumer is alone and its rebalance may still be under way, until that must be
        settled.
        """
        polled = self.poll_once(name, max_messages)
        while polled.due is not None and self._is_alone(name, polled.due.topic):
            self.wait_for_rebalance(self.group_name_of(name))
            polled = self.poll_once(name, max_messages)
        return polled.flights

    def _is_alone(self, name: str, topic: str) -> bool:
        group = self.model.groups.get(self.group_name_of(name))
        return group is not None and [m.name for m in group.subscribers(topic)] == [name]

    def acknowledge(self, name: str, message_id: int | str) -> bool:
        """Acknowledge a message id; whether that was accepted."""
        body = {"consumer_name": name, "message_id": message_id}
        reply, when = self._call("/consumer/acknowledgement", body, self.group_name_of(name))
        return self.model.observe_acknowledge(name, message_id, reply, when)

    def give_back(self, name: str, message_id: int | str) -> bool:
        """Acknowledge a message id negatively (extension negative-acknowledgement); whether that was
        accepted.
        """
        body = {"consumer_name": name, "message_id": message_id}
        reply, when = self._call("/consumer/negative-acknowledgement", body, self.group_name_of(name))
        return self.model.observe_return(name, message_id, reply, when)

    def flights_of(self, name: str) -> "list[Flight]":
        """The records in flight with a consumer, oldest delivery first."""
        group = self.model.groups.get(self.group_name_of(name))
        if group is None or name not in group.members:
            return []
        return [flight for cursor in group.cursors.values() for flight in cursor.held_by(name)]

    def waiting(self, group: str, topic: str) -> int:
        """How many records of a topic a group has not acknowledged; 0 while nobody in it ever subscribed to it."""
        model = self.model.groups.get(group)
        cursor = model.cursors.get(topic) if model is not None else None
        return len(cursor.waiting) if cursor is not None else 0

    # Time, and whole groups

    def pass_time(self, seconds: float, group: str) -> None:
        """Let time pass for a group."""
        self.done += 1
        self.program.append(f"{seconds:g} s pass for {group}")
        self.world.pass_time(seconds, group)

    def alive(self, group: str) -> list[str]:
        """The members of a group that are alive for certain."""
        model = self.model.groups[group]
        now = self.world.now(group)
        model.refresh(When(now, now))
        return [member.name for member in model.members.values() if member.doubt is None]

    def settle(self, group: str) -> None:
        """Pass the time in which the group must have settled its rebalances; every member sends
        heartbeats meanwhile.
        """
        model = self.model.groups[group]
        step = self.world.timings.heartbeat_timeout * 0.6
        while self.world.time_is_virtual:
            living = self.alive(group)
            missing = model.settled_at() + MARGIN - self.world.now(group)
            if missing <= 0:
                return
            if missing > MOST_STEPS * step:
                raise WaitTooLong(f"a model would send heartbeats every {step:g} s for {missing:g} s")
            self.pass_time(min(missing, step), group)
            for name in living:
                self.heartbeat(name)

    def is_settled(self, group: str) -> bool:
        """Whether every rebalance of the group must be over."""
        now = self.world.now(group)
        return self.model.groups[group].is_settled(When(now, now))

    def wait_for_rebalance(self, group: str) -> None:
        """Give the rebalances of a group time: all that they may take where time is virtual, else some."""
        if self.world.time_is_virtual:
            self.settle(group)
        else:
            self.world.pause()

    def sweep(self, group: str, *, acknowledge: bool = False) -> int:
        """Poll all members of a group until none gets anything, with or without acknowledging; how many
        records came.

        What nobody gets though it is free breaks a clause; before the rebalance must be settled, it is
        waited for.
        """
        count = 0
        while True:
            due = False
            came = 0
            for name in self.alive(group):
                polled = self.poll_once(name)
                while polled.flights:
                    came += 1
                    if acknowledge:
                        for flight in self.flights_of(name):
                            self.acknowledge(name, flight.message_id)
                    polled = self.poll_once(name)
                due = due or polled.due is not None
            count += came
            if due:
                self.wait_for_rebalance(group)
            elif not came or not acknowledge:
                return count
