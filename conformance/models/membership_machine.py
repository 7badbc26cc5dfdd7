"""State machine of registration, subscriptions, heartbeats, eviction and rebalances of several groups and topics."""

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from conformance.models.driver import IN_VAIN, MARGIN
from conformance.models.machines import counted_rule, time_is_virtual
from conformance.models.membership_scenario import KEYS, MembershipScenario
from conformance.models.request_forms import FORM_SEEDS

_INDEX = st.integers(0, 11)
_GROUP = st.sampled_from([0, 0, 0, 1])
_GREATEST_LAG = 16


class MembershipMachine(MembershipScenario):
    """Two groups, two topics with different numbers of partitions, four consumers.

    Time advances only on a virtual clock; on a real one other tests judge liveness.
    """

    IMPOSSIBLE = frozenset(
        (rule, state)
        for rule, states in {
            "acknowledge": ("nobody", "several", "rebalancing"),
            "acknowledge_all": ("nobody", "several", "rebalancing"),
            "settle": ("alone", "several", "several, in flight"),
        }.items()
        for state in states
    )

    @initialize(partitions=st.integers(1, 5), members=st.integers(1, 3), forms=FORM_SEEDS)
    def start(self, partitions: int, members: int, forms: int) -> None:
        """Topics with records, two groups, and members of the first group, settled if time is virtual."""
        self.driver.take_forms(forms)
        self.guarded(MembershipMachine._start, partitions=partitions, members=members)

    @counted_rule(consumer=_INDEX, group=_GROUP, topics=_INDEX)
    def join(self, consumer: int, group: int, topics: int) -> None:
        """Register a consumer, under a free or a taken name, and subscribe it; a rebalance begins."""
        self.driver.register(self._group(group), self._consumer(consumer))
        self.driver.subscribe(self._consumer(consumer), *self._topics(topics))

    @counted_rule(consumer=_INDEX, topics=_INDEX)
    def subscribe(self, consumer: int, topics: int) -> None:
        """Subscribe a consumer that may be subscribed already, or may not be registered."""
        self.driver.subscribe(self._consumer(consumer), *self._topics(topics))

    @counted_rule(
        consumer=_INDEX,
        kind=st.sampled_from(["register", "subscribe", "unsubscribe", "unregister", "group", "remove"]),
        look=st.booleans(),
    )
    def be_refused(self, consumer: int, kind: str, look: bool) -> None:
        """Operations that must be refused and change nothing: a taken name, an unknown topic or group."""
        name, nowhere = self._living(consumer) or self._consumer(consumer), self.system.fresh("nowhere")
        if kind == "register":
            self.driver.register(self._group(consumer), name)
        elif kind == "subscribe":
            self._subscribe_in_part(name, nowhere)
        elif kind == "unsubscribe":
            self.driver.unsubscribe(name, self.topics[0], nowhere)
        elif kind == "unregister" and self.driver.has_extension("unregister"):
            self.driver.unregister(self.system.fresh("stranger"))
        elif kind == "group":
            self.driver.register(nowhere, self.system.fresh("consumer"))
        else:
            self.driver.remove_group(nowhere)
        if look:
            self._look_at(self.groups[0])

    @counted_rule(
        consumer=_INDEX,
        topics=_INDEX,
        kind=st.sampled_from(["unsubscribe", "unregister"]),
        look=st.booleans(),
    )
    def leave(self, consumer: int, topics: int, kind: str, look: bool) -> None:
        """A consumer unsubscribes or unregisters; its records in flight go to others."""
        name = self._living(consumer)
        if kind == "unregister" and self.driver.has_extension("unregister"):
            self.driver.unregister(name or self._consumer(consumer))
        elif name is not None:
            self.driver.unsubscribe(name, *self._topics(topics))
        if name is not None and look:
            self._look_at(self.driver.group_name_of(name))

    @counted_rule(index=_INDEX, acknowledge=st.booleans())
    def remove_group_and_return(self, index: int, acknowledge: bool) -> None:
        """A group is removed and added again: its members are gone, and it starts at the oldest record."""
        group = self.groups[0]
        if acknowledge:
            self._acknowledge_all_in_flight(group)
            self.driver.poll_all(group, acknowledge=True)
        members = self.driver.alive_members(group)
        self.driver.remove_group(group)
        for name in members[:1]:
            self.driver.heartbeat(name)
        self.driver.add_group(group)
        name = members[0] if members else self._consumer(index)
        self.driver.register(group, name)
        self.driver.subscribe(name, *self.topics)
        self._look_at(group)

    @counted_rule(where=time_is_virtual, keeper=_INDEX, newcomer=_INDEX)
    def keep_through_a_rebalance(self, keeper: int, newcomer: int) -> None:
        """A member keeps its records while another joins: they are taken back at the timeout (REBALANCE-5)."""
        name = self._living(keeper)
        if name is None:
            return
        group = self.driver.group_name_of(name)
        for topic in self.topics:
            self.driver.subscribe(name, topic)
        self._look_at(group)
        other = self._newcomer(newcomer)
        self.driver.register(group, other)
        self.driver.subscribe(other, *self.topics)
        self._look_at(group)

    @counted_rule(holder=_INDEX, newcomer=_INDEX)
    def join_while_another_holds(self, holder: int, newcomer: int) -> None:
        """Records held when another member joins stay with their holder until it acknowledges (REBALANCE-2)."""
        name, other = self._living(holder), self._newcomer(newcomer)
        if name is None:
            return
        self.driver.subscribe(name, *self.topics)
        self._poll_until_empty(name)
        self.driver.register(self.driver.group_name_of(name), other)
        self.driver.subscribe(other, *self.topics)
        self._poll_until_empty(other)
        for flight in self.driver.in_flight_with(name):
            self.driver.acknowledge(name, flight.message_id)

    @counted_rule(topic=st.booleans(), keys=st.lists(st.sampled_from(KEYS), min_size=3, max_size=8))
    def publish(self, topic: bool, keys: list[str | None]) -> None:
        """Publish records, unless many are uncommitted."""
        lags = [self.driver.lag(group, self.topics[topic]) for group in self.groups]
        if max(lags) <= _GREATEST_LAG:
            for key in keys:
                self.driver.publish(self.topics[topic], key)

    @counted_rule(consumer=_INDEX, wait=st.booleans())
    def poll(self, consumer: int, wait: bool) -> None:
        """Poll once, with a consumer that may be gone; the poll may wait in vain, and leaves nothing behind."""
        if wait and self.driver.has_extension("long-poll"):
            self.driver.poll_once(self._consumer(consumer), None, IN_VAIN)
        else:
            self.driver.poll(self._consumer(consumer))

    @counted_rule(consumer=_INDEX)
    def poll_until_empty(self, consumer: int) -> None:
        """Poll without acknowledging, to put many records in flight."""
        if (name := self._living(consumer)) is not None:
            self._poll_until_empty(name)

    @counted_rule(consumer=_INDEX, index=_INDEX)
    def acknowledge(self, consumer: int, index: int) -> None:
        """A registered consumer acknowledges one of its records."""
        if (name := self._living(consumer)) is not None and (in_flight := self.driver.in_flight_with(name)):
            self.driver.acknowledge(name, in_flight[index % len(in_flight)].message_id)

    @counted_rule(consumer=_INDEX)
    def acknowledge_all(self, consumer: int) -> None:
        """A registered consumer acknowledges all its records."""
        if (name := self._living(consumer)) is not None:
            for flight in self.driver.in_flight_with(name):
                self.driver.acknowledge(name, flight.message_id)

    @counted_rule(index=_INDEX)
    def acknowledge_late(self, index: int) -> None:
        """A consumer acknowledges a record released by its eviction, its departure, or a rebalance."""
        late = [
            (member.name, message_id)
            for member in self.driver.model.registry.by_name.values()
            for message_id in member.predecessor_ids | member.released_ids
        ]
        if late:
            self.driver.acknowledge(*late[index % len(late)])

    @counted_rule(consumer=_INDEX, cut=st.booleans())
    def heartbeat(self, consumer: int, cut: bool) -> None:
        """Send a heartbeat for a consumer that may be gone, on a connection that may be a new one."""
        if cut:
            self.driver.lose_connection()
        self.driver.heartbeat(self._consumer(consumer))

    @counted_rule(where=time_is_virtual, tenths=st.integers(1, 9), group=_GROUP)
    def pass_time(self, tenths: int, group: int) -> None:
        """Advance time by a part of the heartbeat timeout."""
        self.driver.pass_time(self.system.timings.heartbeat_timeout * tenths / 10, self._group(group))

    @counted_rule(
        where=time_is_virtual,
        silent=_INDEX,
        length=st.sampled_from(["below", "within", "past", "past"]),
        holding=st.sampled_from([True, True, False]),
        late=st.booleans(),
        part=st.booleans(),
    )
    def fall_silent(self, silent: int, length: str, holding: bool, late: bool, part: bool) -> None:
        """One member is silent until just below the timeout, into the grace, or past it; the others send heartbeats.

        If it is `holding` records, it may acknowledge a `part` of them before, and one of them `late`.
        """
        name = self._living(silent)
        if name is None:
            return
        timings = self.system.timings
        if holding:
            self._poll_until_empty(name)
            for flight in self.driver.in_flight_with(name)[:-1:2] if part else ():
                self.driver.acknowledge(name, self.driver.forms.id_of(flight.message_id))
        self.driver.heartbeat(name)
        held = self.driver.in_flight_with(name)
        group = self.driver.group_name_of(name)
        seconds = {
            "below": timings.heartbeat_timeout - MARGIN,
            "within": timings.heartbeat_timeout + timings.eviction_grace / 2,
            "past": timings.heartbeat_timeout + timings.eviction_grace + MARGIN,
        }
        self._silence(name, seconds[length])
        if length == "past" or (length == "below" and not held):
            self.driver.heartbeat(name)
        if held and late:
            self.driver.acknowledge(name, held[0].message_id)
        if held and length == "past":
            self._look_at(group)

    @counted_rule(
        where=time_is_virtual, consumer=_INDEX, sign=st.sampled_from(["poll", "subscribe", "acknowledge"])
    )
    def live_without_heartbeats(self, consumer: int, sign: str) -> None:
        """Two silences, together longer than the timeout, separated by an operation other than a heartbeat
        (LIVE-SIGN-1).
        """
        name = self._living(consumer)
        if name is None:
            return
        seconds = self.system.timings.heartbeat_timeout * 0.75
        self.driver.poll(name)
        self._silence(name, seconds)
        in_flight = self.driver.in_flight_with(name)
        if sign == "acknowledge" and in_flight:
            self.driver.acknowledge(name, in_flight[0].message_id)
        elif sign == "subscribe":
            self.driver.subscribe(name, self.topics[1])
        else:
            self.driver.poll(name)
        self._silence(name, seconds)
        self.driver.poll(name)

    @counted_rule(where=time_is_virtual, group=_GROUP)
    def settle(self, group: int) -> None:
        """Advance time until every rebalance must be settled."""
        self.driver.settle(self._group(group))

    @counted_rule(group=_GROUP, acknowledge=st.booleans())
    def settle_and_sweep(self, group: int, acknowledge: bool) -> None:
        """Once the group is settled, each free partition delivers to one member, and shares are even."""
        self.driver.settle(self._group(group))
        self.driver.poll_all(self._group(group), acknowledge=acknowledge)

    def finish(self) -> None:
        """The remaining members read everything; then the groups are removed."""
        for group in self.groups:
            self.driver.settle(group)
            self._acknowledge_all_in_flight(group)
            self.driver.poll_all(group)
            self.driver.poll_all(group, acknowledge=True)
            self.driver.remove_group(group)
