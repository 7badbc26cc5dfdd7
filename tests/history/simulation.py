"""Simulation of a concurrent run: the client programs against a queue in memory, in one thread, from one seed.

Requests and replies are delayed at random, so that operations overlap in all possible ways. Some requests and replies
are lost, and some requests are carried out long after the client has closed its connection. A conforming queue
produces legal histories only.
"""

import heapq
import itertools
import math
import random
from collections.abc import Callable
from typing import Any

from conformance.history.events import (
    AckSubscription,
    ClockAdvanced,
    Event,
    Fence,
    History,
    ProducerAck,
    Publish,
)
from conformance.history.operations import (
    AdvanceClock,
    ClientOperation,
    ClientProgram,
    OperationTimes,
    Pause,
    event_from,
)
from conformance.history.server_parameters import ServerParameters
from conformance.history.workload.consumers import ConsumerClient
from conformance.history.workload.programs import clock, drain, producer
from conformance.history.workload.workload_state import WorkloadPlan, WorkloadState
from tests.models.toy_queue import ToyQueue, ToyReply

EXTENSIONS = frozenset({"negative-acknowledgement", "unregister", "batch-poll", "record-position"})
#: Seconds between a reply and the next request of a client, so that no two instants are equal.
NO_TIME = 1e-6
#: Longest delays of a message, in seconds, and how many of a hundred messages take no longer.
DELAYS, DELAYS_UP_TO = (0.001, 0.005, 0.03), (80, 98, 100)
#: Simulated seconds that the consumers may take, and then the final readers.
LONGEST = 2.0


class Simulation:
    """One simulated run; with `virtual` the clock program alone moves the clocks of the groups."""

    def __init__(
        self,
        queue: ToyQueue,
        plan: WorkloadPlan,
        parameters: ServerParameters,
        *,
        virtual: bool,
        longest: float = LONGEST,
    ) -> None:
        self.longest = longest
        self.queue = queue
        self.plan = plan
        self.parameters = parameters
        self.virtual = virtual
        self.random = random.Random(f"wire {plan.seed}")
        self.events: list[Event] = []
        self.now = 0.0
        self.moved: dict[str, float] = {}
        self.ahead: dict[str, float] = {}
        self.order = itertools.count()
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.topics = [f"topic-{n}" for n in range(1 + plan.seed % 2)]
        self.groups = [f"group-{n}" for n in range(1 + plan.seed // 2 % 2)]
        self.names = itertools.count()
        self.listeners = [f"{spelling}/{topic}" for topic in self.topics for spelling in ("a", "b")]

    # Time

    def schedule(self, delay: float, action: Callable[[], None]) -> None:
        """Call `action` after a delay in seconds."""
        heapq.heappush(self.agenda, (self.now + delay, next(self.order), action))

    def earliest(self, group: str) -> float:
        return self.moved.get(group, 0.0) if self.virtual else self.now

    def latest(self, group: str) -> float:
        return self.earliest(group) + (self.ahead.get(group, 0.0) if self.virtual else 0.0)

    def run_until_idle(self) -> None:
        while self.agenda:
            self.now, _, action = heapq.heappop(self.agenda)
            action()

    def tick(self) -> None:
        """Bring the queue up to the present; in real time it evicts members when they are due."""
        if self.virtual:
            return
        past = math.nextafter(self.now, 0.0)
        for group in self.queue.groups.values():
            while due := [
                self.queue.due(member) for member in group.members.values() if self.queue.is_due(member, past)
            ]:
                group.now = max(group.now, min(due))
                members = len(group.members)
                self.queue.tick(group)
                if len(group.members) == members:
                    break  # this queue does not evict
            group.now = self.now

    # Programs

    def start(self, process: str, program: ClientProgram) -> None:
        """Start a program after a delay."""
        self.schedule(self.delay(), lambda: self.step(process, program, None, first=True))

    def step(
        self, process: str, program: ClientProgram, answer: ToyReply | None, *, first: bool = False
    ) -> None:
        try:
            asked = next(program) if first else program.send(answer)
        except StopIteration:
            return
        if isinstance(asked, Pause):
            self.schedule(asked.seconds, lambda: self.step(process, program, None))
        elif isinstance(asked, AdvanceClock):
            self.advance_clock(asked, lambda: self.step(process, program, None))
        else:
            self.operation(process, asked, lambda answer: self.step(process, program, answer))

    def delay(self) -> float:
        """The delay of one message, in seconds: mostly short, sometimes much longer."""
        longest = self.random.choices(DELAYS, cum_weights=DELAYS_UP_TO)[0]
        return self.random.uniform(0.0, longest)

    def advance_clock(self, passing: AdvanceClock, then: Callable[[], None]) -> None:
        group, before, invoked = passing.group, self.earliest(passing.group), self.now
        self.ahead[group] = passing.seconds

        def carry_out() -> None:
            self.queue.advance(group, passing.seconds)
            self.schedule(self.delay(), reply)

        def reply() -> None:
            self.moved[group] = before + passing.seconds
            self.ahead[group] = 0.0
            self.events.append(
                ClockAdvanced(
                    process="clock",
                    invoked=invoked,
                    completed=self.now,
                    group_time_began=before,
                    group_time_ended=self.moved[group],
                    status=200,
                    group=group,
                )
            )
            then()

        self.schedule(self.delay(), carry_out)

    def operation(
        self, process: str, operation: ClientOperation, then: Callable[[ToyReply | None], None]
    ) -> None:
        invoked, group_time_began = self.now, self.earliest(operation.group)

        def record(answer: ToyReply | None) -> None:
            times = OperationTimes(invoked, group_time_began, self.now, self.latest(operation.group))
            self.events.append(event_from(operation, process, times, answer))
            self.schedule(NO_TIME, lambda: then(answer))

        if operation.cut:
            fate = self.random.choice(["lost", "soon", "late", "much later"])
            if fate != "lost":
                late = {"soon": 0.0, "late": 0.2, "much later": 5.0}[fate]
                self.schedule(self.delay() + late * self.random.random(), lambda: self.carry_out(operation))
            self.schedule(self.delay(), lambda: record(None))
            return

        def carry_out() -> None:
            reply = self.carry_out(operation)
            self.schedule(self.delay(), lambda: record(reply))

        self.schedule(self.delay(), carry_out)

    def carry_out(self, operation: ClientOperation) -> ToyReply:
        self.tick()
        reply = self.queue.perform(operation.path, operation.body)
        self.tick()
        topic = operation.path.removeprefix("/producer/publish/")
        if topic != operation.path:
            self.send_acks(topic, operation.body, reply)
        return reply

    def send_acks(self, topic: str, body: dict[str, Any], reply: ToyReply) -> None:
        """Send the outcome of a publish to every subscription of the topic, each with a delay."""
        outcome = "ACK" if reply.status == 200 else "FAILED"
        for listener in self.listeners:
            if listener.endswith(f"/{topic}"):
                self.schedule(
                    self.delay(), lambda one=listener: self.receive_ack(one, body["messageID"], outcome)
                )

    def receive_ack(self, listener: str, label: str | int, outcome: str) -> None:
        self.events.append(
            ProducerAck(
                process="listener",
                invoked=self.now,
                completed=self.now,
                status=200,
                subscription=listener,
                label=label,
                outcome=outcome,
            )
        )

    # The run

    def set_up(self) -> None:
        for topic in self.topics:
            body: dict[str, Any] = {"topicName": topic}
            if topic in self.parameters.partitions:
                body["partitions"] = self.parameters.partitions[topic]
            self.queue.perform("/topic/add-topic", body)
        for group in self.groups:
            self.queue.perform("/consumer-group/add", {"consumer_group_name": group})
        for listener in self.listeners:
            self.events.append(
                AckSubscription(
                    process="listener",
                    invoked=-1.0,
                    completed=-0.5,
                    status=200,
                    subscription=listener,
                    topic=listener.partition("/")[2],
                )
            )

    def run(self) -> History:
        """Run all programs to their end; returns the history."""
        self.set_up()
        state = WorkloadState(
            plan=self.plan,
            parameters=self.parameters,
            extensions=EXTENSIONS if self.parameters.positions else frozenset(),
            fresh=lambda stem: f"{stem}-{next(self.names)}",
            topics=self.topics,
            groups=self.groups,
            virtual=self.virtual,
            now=self.earliest,
            expired=lambda: self.now > self.longest,
            producing=self.plan.producers,
            consuming=self.plan.consumers,
        )
        for number in range(self.plan.producers):
            self.start(f"producer {number}", producer(state, number))
        for number in range(self.plan.consumers):
            self.start(f"consumer {number}", ConsumerClient(state, number).program())
        if self.virtual:
            self.start("clock", clock(state))
        self.run_until_idle()
        drained = self.now + self.longest
        state.expired = lambda: self.now > drained
        for group in self.groups:
            self.start(f"drain {group}", drain(state, group))
            self.run_until_idle()
        for listener in self.listeners:
            self.events.append(
                Fence(
                    process="listener",
                    invoked=self.now + 1.0,
                    completed=self.now + 1.0,
                    status=200,
                    subscription=listener,
                )
            )
        return tuple(self.events)


def publishes(history: History) -> int:
    """The number of publishes."""
    return sum(isinstance(event, Publish) for event in history)
