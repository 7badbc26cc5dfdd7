"""State machine of polls, acknowledgements, redelivery and committed offsets, in two groups."""

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from conformance.models.driver import IN_VAIN
from conformance.models.machines import ModelMachine, counted_rule, declares
from conformance.models.request_forms import FORM_SEEDS

if TYPE_CHECKING:
    from conformance.models.cursors import InFlightRecord

KEYS = ("a", "b", "c", "d", "e", None)
_INDEX = st.integers(0, 11)
_GREATEST_LAG = 24


class DeliveryMachine(ModelMachine):
    """Two topics; one group with one consumer, another with two."""

    STATES = ("nothing to read", "waiting", "one in flight", "several in flight")
    IMPOSSIBLE = frozenset(
        (rule, state)
        for rule in ("acknowledge", "acknowledge_and_poll", "acknowledge_anothers", "give_back")
        for state in ("nothing to read",)
    )

    @initialize(
        partitions=st.integers(1, 4), keys=st.lists(st.sampled_from(KEYS), max_size=8), forms=FORM_SEEDS
    )
    def start(self, partitions: int, keys: list[str | None], forms: int) -> None:
        """Two topics, the first with up to eight records, and three consumers in two settled groups."""
        self.driver.take_forms(forms)
        self.guarded(DeliveryMachine._start, partitions=partitions, keys=keys)

    def _start(self, partitions: int, keys: list[str | None]) -> None:
        driver, system = self.driver, self.system
        self.topics = [system.fresh("topic"), system.fresh("topic")]
        self.groups = [system.fresh("group"), system.fresh("group")]
        self.consumers = [system.fresh("consumer") for _ in range(3)]
        self.acknowledged: list[tuple[str, int]] = []
        driver.add_topic(self.topics[0], partitions)
        driver.add_topic(self.topics[1], 2)
        for key in keys:
            driver.publish(self.topics[0], key)
        for group in self.groups:
            driver.add_group(group)
        for index, consumer in enumerate(self.consumers):
            driver.register(self.groups[min(index, 1)], consumer)
            driver.subscribe(consumer, *self.topics)
        for group in self.groups:
            driver.settle(group)
        self.ready = True

    def state(self) -> str:
        """Class of state by records in flight and uncommitted records."""
        cursors = [cursor for group in self.driver.model.groups.values() for cursor in group.cursors.values()]
        in_flight = sum(len(cursor.in_flight) for cursor in cursors)
        if in_flight:
            return "one in flight" if in_flight == 1 else "several in flight"
        return "waiting" if any(cursor.uncommitted for cursor in cursors) else "nothing to read"

    def _consumer(self, index: int) -> str:
        return self.consumers[index % len(self.consumers)]

    def _held(self, index: int) -> "tuple[str, InFlightRecord] | None":
        """Return a record in flight and its holder, chosen by `index`; if none is in flight, one that a poll brings."""
        held = [(name, flight) for name in self.consumers for flight in self.driver.in_flight_with(name)]
        if not held and self.state() == "waiting":
            name = self._consumer(index)
            held = [(name, flight) for flight in self.driver.poll(name)]
        return held[index % len(held)] if held else None

    def _acknowledge(self, name: str, message_id: int, *, as_text: bool = False) -> None:
        if self.driver.acknowledge(name, str(message_id) if as_text else self.driver.forms.id_of(message_id)):
            self.acknowledged.append((name, message_id))

    def _look_on(self, consumer: str) -> None:
        """Somebody looks at a topic and at the group of a consumer, which frees nothing and hands out nothing."""
        self.driver.look(self.topics[0], self.driver.group_name_of(consumer))

    @counted_rule(
        topic=st.booleans(),
        keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=5),
        awaited=st.sampled_from([False, False, True]),
    )
    def publish(self, topic: bool, keys: list[str | None], awaited: bool) -> None:
        """Publish records, after reading everything if many are uncommitted; a poll may wait for the first of them."""
        for group in self.groups:
            if self.driver.lag(group, self.topics[topic]) > _GREATEST_LAG:
                self._read_everything(group)
        if awaited and self.driver.has_extension("long-poll"):
            name = self.consumers[0]  # the only member of its group
            for flight in self.driver.in_flight_with(name):
                self._acknowledge(name, flight.message_id)
            self.driver.publish_to_waiting(name, self.topics[topic], keys.pop(), self.driver.batch_size())
        for key in keys:
            self.driver.publish(self.topics[topic], key)

    @counted_rule(consumer=_INDEX, wait=st.booleans())
    def poll(self, consumer: int, wait: bool) -> None:
        """Poll once; the poll may wait in vain, and leaves nothing behind."""
        if wait and self.driver.has_extension("long-poll"):
            self.driver.poll_once(self._consumer(consumer), None, IN_VAIN)
        else:
            self.driver.poll(self._consumer(consumer))

    @counted_rule(consumer=_INDEX)
    def poll_until_empty(self, consumer: int) -> None:
        """Poll without acknowledging: one record of each partition that the consumer owns (POLL-FAIR-1)."""
        while self.driver.poll(self._consumer(consumer)):
            self._look_on(self._consumer(consumer))

    @counted_rule(consumer=_INDEX, most=st.sampled_from([1, 1, 2, 5]))
    def poll_batch(self, consumer: int, most: int) -> None:
        """Acknowledge all that a consumer holds, and poll a batch (one record without extension batch-poll)."""
        name = self._consumer(consumer)
        for flight in self.driver.in_flight_with(name):
            self._acknowledge(name, flight.message_id)
        self.driver.poll(name, most if self.driver.has_extension("batch-poll") else None)

    @counted_rule(index=_INDEX, as_text=st.booleans())
    def acknowledge(self, index: int, as_text: bool) -> None:
        """A holder acknowledges, with the id as a number or as a decimal string (ACK-OK-2)."""
        if (held := self._held(index)) is not None:
            self._acknowledge(held[0], held[1].message_id, as_text=as_text)

    @counted_rule(index=_INDEX)
    def acknowledge_and_poll(self, index: int) -> None:
        """A consumer acknowledges and polls: the next record of the partition is available (ACK-COMMIT-2)."""
        if (held := self._held(index)) is not None:
            self._look_on(held[0])
            self._acknowledge(held[0], held[1].message_id)
            self.driver.poll(held[0])

    @counted_rule(index=_INDEX)
    def acknowledge_again(self, index: int) -> None:
        """A repeated acknowledgement is refused and changes nothing."""
        if self.acknowledged:
            self.driver.acknowledge(*self.acknowledged[index % len(self.acknowledged)])

    @counted_rule(index=_INDEX, other=_INDEX)
    def acknowledge_anothers(self, index: int, other: int) -> None:
        """An acknowledgement of another consumer's record is refused; its holder can still acknowledge it."""
        if (held := self._held(index)) is not None:
            self.driver.acknowledge(self._consumer(other), held[1].message_id)
            self.driver.poll(held[0])

    @counted_rule(
        consumer=_INDEX, message_id=st.sampled_from([0, 10**6, 2**53 + 1, 2**63 - 1]), near=st.booleans()
    )
    def acknowledge_unheard_of(self, consumer: int, message_id: int, near: bool) -> None:
        """An acknowledgement of an id that was most likely never delivered, or of the first digits of one that was."""
        name = self._consumer(consumer)
        held = {flight.message_id for flight in self.driver.in_flight_with(name)}
        ids = {int(str(number)[:-1] or 0) for number in held} - held if near else {message_id}
        for unheard_of in sorted(ids):
            self.driver.acknowledge(name, unheard_of)

    @counted_rule(where=declares("negative-acknowledgement"), index=_INDEX, again=st.booleans())
    def give_back(self, index: int, again: bool) -> None:
        """A holder acknowledges negatively; the record comes again before any later one of its partition."""
        if (held := self._held(index)) is not None:
            self.driver.negative_acknowledge(held[0], self.driver.forms.id_of(held[1].message_id))
            if again:
                self.driver.negative_acknowledge(held[0], held[1].message_id)

    @counted_rule(stranger=st.sampled_from(["poll", "acknowledge", "subscribe", "heartbeat", "look", "cut"]))
    def stranger(self, stranger: str) -> None:
        """Operations of an unregistered consumer on records that others hold, heartbeats of all consumers while
        somebody looks on, and the loss of a connection: none of them frees or hands out anything.
        """
        name = self.system.fresh("stranger")
        if stranger == "poll":
            self.driver.poll(name)
        elif stranger == "acknowledge":
            held = self._held(0)
            self.driver.acknowledge(name, held[1].message_id if held is not None else 0)
        elif stranger == "subscribe":
            self.driver.subscribe(name, self.topics[0])
        elif stranger == "look":
            for consumer in self.consumers:
                self._look_on(consumer)
                self.driver.heartbeat(consumer)
        elif stranger == "cut":
            self.driver.lose_connection()
        else:
            self.driver.heartbeat(name)

    @counted_rule(group=st.booleans())
    def add_group_again(self, group: bool) -> None:
        """Adding an existing group leaves members and offsets unchanged (GROUP-ADD-2)."""
        self.driver.add_group(self.groups[group])

    @counted_rule(consumer=_INDEX, holding=st.booleans())
    def leave_topic_and_return(self, consumer: int, holding: bool) -> None:
        """A consumer unsubscribes and subscribes again: its records are released, committed offsets stay, also of what
        it acknowledged of a batch.
        """
        name = self._consumer(consumer)
        while holding and self.driver.poll(name):
            pass
        for flight in self.driver.in_flight_with(name)[:-1:2]:
            self._acknowledge(name, flight.message_id)
        self.driver.unsubscribe(name, self.topics[0])
        self.driver.subscribe(name, self.topics[0])
        self.driver.settle(self.driver.group_name_of(name))

    @counted_rule(
        where=declares("topic-removal"),
        topic=st.booleans(),
        partitions=st.integers(1, 4),
        holding=st.booleans(),
        keys=st.lists(st.sampled_from(KEYS), max_size=4),
    )
    def remove_topic(self, topic: bool, partitions: int, holding: bool, keys: list[str | None]) -> None:
        """A topic goes with what is in flight of it, and one of its name comes without records and subscribers."""
        name = self.topics[topic]
        for consumer in self.consumers:
            while holding and self.driver.poll(consumer):
                pass
        void = [(consumer, flight) for consumer in self.consumers for flight in self._held_of(consumer, name)]
        self.driver.remove_topic(name)
        for consumer, flight in void:
            self.driver.acknowledge(consumer, flight.message_id)
        self.driver.publish(name, "a")
        for consumer in self.consumers:
            self.driver.heartbeat(consumer)
            self.driver.poll(consumer)
        self.driver.remove_topic(name)
        self.driver.add_topic(name, partitions)
        for key in keys:
            self.driver.publish(name, key)
        self.driver.poll(self.consumers[0])
        for consumer in self.consumers:
            self.driver.subscribe(consumer, name)
        for group in self.groups:
            self.driver.settle(group)

    def _held_of(self, consumer: str, topic: str) -> "list[InFlightRecord]":
        return [flight for flight in self.driver.in_flight_with(consumer) if flight.record.topic == topic]

    @counted_rule(group=st.booleans(), acknowledge=st.booleans())
    def sweep(self, group: bool, acknowledge: bool) -> None:
        """All members poll until nothing comes: every free record must come to one of them."""
        self.driver.poll_all(self.groups[group], acknowledge=acknowledge)

    @counted_rule()
    def read_all(self) -> None:
        """Both groups read everything and acknowledge it."""
        for group in self.groups:
            self._read_everything(group)

    def _read_everything(self, group: str) -> None:
        for index, name in enumerate(self.consumers):
            if self.groups[min(index, 1)] == group:
                if name not in self.driver.alive_members(group):
                    self.driver.register(group, name)
                    self.driver.subscribe(name, *self.topics)
                for flight in self.driver.in_flight_with(name):
                    self._acknowledge(name, flight.message_id)
        self.driver.poll_all(group, acknowledge=True)

    def finish(self) -> None:
        """Every group reads all published records (DELIVER-1), and is removed."""
        for group in self.groups:
            self._read_everything(group)
            self.driver.remove_group(group)
