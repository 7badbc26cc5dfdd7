"""A light random driver: the models' operations in random order, without Hypothesis.

It reaches states that examples of a few dozen steps do not, and serves to measure speed.
"""

import random
from typing import TYPE_CHECKING

from conformance.models.driver import MARGIN, QueueDriver
from conformance.models.queue_under_test import QueueUnderTest

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = ("a", "b", "c", "d", "e", "f", None, None, "")


class RandomWalk:
    """Random operations on a few topics, groups and consumers; `step` makes one move of one or more operations."""

    def __init__(
        self, system: QueueUnderTest, seed: int, *, topics: int = 2, groups: int = 2, consumers: int = 5
    ) -> None:
        self.random = random.Random(seed)
        self.driver = QueueDriver(system)
        self.topics = [system.fresh("topic") for _ in range(topics)]
        self.groups = [system.fresh("group") for _ in range(groups)]
        self.consumers = [system.fresh("consumer") for _ in range(consumers)]
        for index, topic in enumerate(self.topics):
            self.driver.add_topic(topic, index * 2 + 2)
        for group in self.groups:
            self.driver.add_group(group)
        self.moves: list[tuple[Callable[[], object], int]] = [
            (self.publish, 20),
            (self.poll, 25),
            (self.acknowledge, 25),
            (self.acknowledge_foreign, 2),
            (self.register, 6),
            (self.subscribe, 6),
            (self.unsubscribe, 2),
            (self.heartbeat, 4),
            (self.sweep, 2),
        ]
        if system.time_is_virtual:
            self.moves += [(self.pass_time, 4), (self.silence, 1)]
        if self.driver.has_extension("negative-acknowledgement"):
            self.moves.append((self.give_back, 6))
        if self.driver.has_extension("unregister"):
            self.moves.append((self.unregister, 1))
        if self.driver.has_extension("batch-poll"):
            self.moves.append((self.poll_batch, 3))
        self.choose = [move for move, _ in self.moves]
        self.weights = [weight for _, weight in self.moves]

    def step(self) -> None:
        self.random.choices(self.choose, self.weights)[0]()

    def finish(self) -> None:
        """Every group with a member reads all published records and acknowledges them."""
        for group in self.groups:
            if self.driver.alive_members(group):
                self.driver.settle(group)
                self.driver.poll_all(group)
                self.driver.poll_all(group, acknowledge=True)

    def consumer(self) -> str:
        return self.random.choice(self.consumers)

    def publish(self) -> None:
        topic = self.random.choice(self.topics)
        if all(len(cursor.uncommitted) < 25 for g in self.groups for cursor in self.cursors(g, topic)):
            self.driver.publish(topic, self.random.choice(KEYS), self.random.randrange(5))

    def cursors(self, group: str, topic: str) -> list:
        model = self.driver.model.groups[group]
        return [model.cursors[topic]] if topic in model.cursors else []

    def poll(self) -> None:
        self.driver.poll_once(self.consumer())

    def poll_batch(self) -> None:
        self.driver.poll_once(self.consumer(), max_messages=self.random.randrange(1, 5))

    def acknowledge(self) -> None:
        name = self.consumer()
        in_flight = self.driver.in_flight_with(name)
        if in_flight:
            message_id = self.random.choice(in_flight).message_id
            self.driver.acknowledge(name, self.random.choice([message_id, str(message_id)]))

    def acknowledge_foreign(self) -> None:
        in_flight = self.driver.in_flight_with(self.consumer())
        late = [i for m in self.driver.model.registry.by_name.values() for i in m.released_ids]
        ids = [flight.message_id for flight in in_flight] + late + [10**9]
        self.driver.acknowledge(self.consumer(), self.random.choice(ids))

    def give_back(self) -> None:
        name = self.consumer()
        in_flight = self.driver.in_flight_with(name)
        if in_flight:
            self.driver.negative_acknowledge(name, self.random.choice(in_flight).message_id)

    def register(self) -> None:
        self.driver.register(self.random.choice(self.groups), self.consumer())

    def unregister(self) -> None:
        self.driver.unregister(self.consumer())

    def subscribe(self) -> None:
        some = self.random.sample(self.topics, self.random.randint(1, min(2, len(self.topics))))
        self.driver.subscribe(self.consumer(), *some)

    def unsubscribe(self) -> None:
        self.driver.unsubscribe(self.consumer(), self.random.choice(self.topics))

    def heartbeat(self) -> None:
        self.driver.heartbeat(self.consumer())

    def pass_time(self) -> None:
        self.driver.pass_time(self.random.choice([0.5, 7.0, 13.0]), self.random.choice(self.groups))

    def silence(self) -> None:
        timings = self.driver.system.timings
        group = self.random.choice(self.groups)
        exact = self.random.choice(
            [
                timings.heartbeat_timeout - MARGIN,
                timings.heartbeat_timeout + timings.eviction_grace / 2,
                timings.heartbeat_timeout + timings.eviction_grace + MARGIN,
            ]
        )
        kept = self.random.sample(
            self.driver.alive_members(group), len(self.driver.alive_members(group)) // 2
        )
        for part in (0.4, 0.4, 0.2):
            self.driver.pass_time(exact * part, group)
            for name in kept:
                self.driver.heartbeat(name)

    def sweep(self) -> None:
        group = self.random.choice(self.groups)
        if self.random.random() < 0.5:
            self.driver.settle(group)
        if self.driver.alive_members(group):
            self.driver.poll_all(group, acknowledge=self.random.random() < 0.5)
