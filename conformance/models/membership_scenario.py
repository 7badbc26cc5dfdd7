"""Topics, groups and consumers of an example of the membership machine, and steps of several operations."""

from conformance.models.machines import ModelMachine

KEYS = ("a", "b", "c", "d", None, None)


class MembershipScenario(ModelMachine):
    """Two topics, two groups and four consumers; methods choose among them by the numbers that rules draw."""

    STATES = ("nobody", "alone", "several", "several, in flight", "rebalancing", "rebalancing, in flight")

    def _start(self, partitions: int, members: int) -> None:
        driver, system = self.driver, self.system
        self.topics = [system.fresh("topic"), system.fresh("topic")]
        self.groups = [system.fresh("group"), system.fresh("group")]
        self.consumers = [system.fresh("consumer") for _ in range(4)]
        driver.add_topic(self.topics[0], partitions)
        driver.add_topic(self.topics[1], 3)
        for group in self.groups:
            driver.add_group(group)
        for number in range(5):
            driver.publish(self.topics[0], KEYS[number])
        for index, consumer in enumerate(self.consumers[:members]):
            driver.register(self.groups[0], consumer)
            driver.subscribe(consumer, *self._topics(2 - index))
        driver.settle(self.groups[0])
        self.ready = True

    def state(self) -> str:
        """Class of state by members of the larger group, rebalances and records in flight."""
        groups = self.driver.model.groups.values()
        group = max(groups, key=lambda g: len(g.members), default=None)
        subscribed = sum(bool(member.topics) for member in group.members.values()) if group is not None else 0
        if group is None or subscribed == 0:
            return "nobody"
        now = self.system.now(group.name)
        flying = any(cursor.in_flight for each in groups for cursor in each.cursors.values())
        in_flight = ", in flight" if flying else ""
        if now <= group.settled_at():
            return "rebalancing" + in_flight
        return "alone" if subscribed == 1 else "several" + in_flight

    def _consumer(self, index: int) -> str:
        return self.consumers[index % len(self.consumers)]

    def _group(self, index: int) -> str:
        return self.groups[index % len(self.groups)]

    def _topics(self, index: int) -> list[str]:
        return [self.topics[:1], self.topics[1:], self.topics][index % 3]

    def _living(self, index: int) -> str | None:
        """Return a registered consumer chosen by `index`, or None if there is none."""
        living = [name for group in self.driver.model.groups for name in self.driver.alive_members(group)]
        return living[index % len(living)] if living else None

    def _newcomer(self, index: int) -> str:
        """Return an unregistered consumer chosen by `index`; any consumer if all are registered."""
        living = {name for group in self.driver.model.groups for name in self.driver.alive_members(group)}
        others = [name for name in self.consumers if name not in living] or self.consumers
        return others[index % len(others)]

    def _subscribe_in_part(self, name: str, nowhere: str) -> None:
        """A list with an unknown topic subscribes to nothing, the known topic included."""
        topic = self.topics[0]
        self.driver.unsubscribe(name, topic)
        self.driver.subscribe(name, topic, nowhere)
        for _ in range(3):
            self.driver.publish(topic)
        self._poll_until_empty(name)

    def _poll_until_empty(self, name: str) -> None:
        while self.driver.poll(name):
            pass

    def _look_at(self, group: str) -> None:
        """Once the group is settled, every free record comes to a member that may get it."""
        self.driver.settle(group)
        self.driver.poll_all(group)

    def _acknowledge_all_in_flight(self, group: str) -> None:
        for name in self.driver.alive_members(group):
            for flight in self.driver.in_flight_with(name):
                self.driver.acknowledge(name, flight.message_id)

    def _silence(self, name: str, seconds: float) -> None:
        """Advance time in two halves; all other members of the group send heartbeats, and somebody looks on."""
        group = self.driver.group_name_of(name)
        others = [other for other in self.driver.alive_members(group) if other != name]
        for _ in range(2):
            for other in others:
                self.driver.heartbeat(other)
            self.driver.pass_time(seconds / 2, group)
            self.driver.look(self.topics[0], group)
        for other in others:
            self.driver.heartbeat(other)
