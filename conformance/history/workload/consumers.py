"""Consumers of a concurrent run: client programs that read, fail in various ways, and join again."""

import random
from typing import TYPE_CHECKING

from conformance.history.operations import (
    ACKNOWLEDGE,
    GIVE_BACK,
    HEARTBEAT,
    POLL,
    REGISTER,
    SUBSCRIBE,
    UNREGISTER,
    UNSUBSCRIBE,
    Answer,
    ClientOperation,
    ClientProgram,
    Pause,
)
from conformance.history.workload.workload_state import TICK, WorkloadState, refused, served

if TYPE_CHECKING:
    from collections.abc import Callable

#: Turns of one client at most, so that a run ends even if the server delivers nothing.
MAX_TURNS = 5_000


class ConsumerClient:
    """One client, which uses one consumer name after another."""

    def __init__(self, state: WorkloadState, number: int) -> None:
        self.state = state
        self.draw = random.Random(f"{state.plan.seed} consumer {number}")
        self.group = state.groups[number % len(state.groups)]
        self.name = ""
        self.held: list[tuple[int, str]] = []
        self.topics: set[str] = set()
        self.answer: Answer | None = None
        self.idle = False

    def program(self) -> ClientProgram:
        """Join, read, fail in some way, and join again, until everything has been read."""
        turns = 0
        while not self.state.finished and turns < MAX_TURNS:
            yield from self._join()
            while self.name and not self.state.finished and turns < MAX_TURNS:
                turns += 1
                self.answer = None
                yield from self._turn()
                self._note_sign_of_life()
                if self.idle or self.draw.random() < 0.2:
                    yield Pause(TICK * (0.5 + self.draw.random()))
        yield from self._leave()
        with self.state.lock:
            self.state.consuming -= 1

    def _note_sign_of_life(self) -> None:
        with self.state.lock:
            if self.name and self.answer is not None and not refused(self.answer):
                self.state.signs_of_life[self.name] = self.state.signs_of_life.get(self.name, 0) + 1

    def _perform(self, path: str, *, cut: bool = False, **more: object) -> ClientProgram:
        """Perform an operation under the consumer's name; if no reply comes, the name is abandoned."""
        name = self.name
        answer = yield ClientOperation(path, {"consumer_name": name, **more}, self.group, cut)
        self.answer = answer
        if path == ACKNOWLEDGE and not refused(answer):
            self.state.note_acknowledged(self.group, int(str(more["message_id"])))
        if answer is None:
            self._abandon()
            if not self.state.plan.waits or self.draw.random() < 0.3:
                yield from self._leave_over_new_connection(name)

    def _leave_over_new_connection(self, name: str) -> ClientProgram:
        """Leave under the abandoned name, over a new connection, so that its records are released at once."""
        if "unregister" in self.state.extensions:
            yield ClientOperation(UNREGISTER, {"consumer_name": name}, self.group)
        else:
            topics = ",".join(self.state.topics)
            yield ClientOperation(UNSUBSCRIBE, {"consumer_name": name, "topic_list": topics}, self.group)

    def _abandon(self) -> None:
        with self.state.lock:
            if self.name:
                self.state.abandoned.append((self.group, self.name))
                self.state.signs_of_life.pop(self.name, None)
        self._forget()

    def _forget(self) -> None:
        with self.state.lock:
            self.state.signs_of_life.pop(self.name, None)
        self.name = ""
        self.held.clear()
        self.topics.clear()

    def _join(self) -> ClientProgram:
        self.name = self.state.fresh("consumer")
        yield from self._perform(REGISTER, consumer_group_name=self.group)
        if self.name and not served(self.answer):
            self._forget()
        if self.name:
            yield from self._subscribe()

    def _subscribe(self) -> ClientProgram:
        topics = self.state.topics
        if len(topics) > 1 and self.draw.random() < 0.2:
            topics = [self.draw.choice(topics)]
        yield from self._perform(SUBSCRIBE, topic_list=",".join(topics))
        if self.name and served(self.answer):
            self.topics.update(topics)
        elif self.name and refused(self.answer):
            self._forget()

    def _turn(self) -> ClientProgram:
        roll = self.draw.random()
        trouble = 0.0 if self.state.calm else self.state.plan.chance_of_trouble
        leaving = 0.0 if self.state.calm else self.state.plan.chance_of_leaving
        if roll < trouble:
            yield from self._trouble()
        elif roll < trouble + leaving:
            yield from self._leave()
        elif self.held and roll < 0.5:
            if "negative-acknowledgement" in self.state.extensions and self.draw.random() < 0.1:
                yield from self._give_back()
            else:
                yield from self._acknowledge()
        else:
            yield from self._poll()

    def _poll(self, *, cut: bool = False) -> ClientProgram:
        more: dict[str, object] = {}
        self.idle = False
        if "batch-poll" in self.state.extensions and self.draw.random() < 0.2:
            more["max_messages"] = self.draw.randint(1, self.state.plan.batch)
        yield from self._perform(POLL, cut=cut, **more)
        if not self.name:
            return
        if refused(self.answer):
            yield from self._recover_from_eviction()
        elif self.answer is not None and self.answer.status != 200:
            self.idle = True
            if not self.held:
                self.state.note_empty(self.group)
        elif self.answer is not None and self.answer.status == 200:
            body = self.answer.body
            for item in body["records"] if more else [body]:
                message_id, record = item["messageId"], item["message"]
                self.held.append((message_id, record["topicName"]))
                self.state.note_delivery(self.group, message_id, record["topicName"], record["message"])

    def _recover_from_eviction(self) -> ClientProgram:
        """After an eviction: at random acknowledge late, poll once more, register the same name again."""
        if self.held and self.draw.random() < 0.5:
            yield from self._perform(ACKNOWLEDGE, message_id=self.held[0][0])
        if self.name and self.draw.random() < 0.5:
            yield from self._perform(POLL)
        name = self.name
        self._forget()
        if name and self.draw.random() < 0.5:
            self.name = name
            yield from self._perform(REGISTER, consumer_group_name=self.group)
            if self.name and served(self.answer):
                yield from self._subscribe()
            elif self.name:
                self._forget()

    def _acknowledge(self, *, cut: bool = False) -> ClientProgram:
        message_id, _topic = self.held.pop(self.draw.randrange(len(self.held)))
        said = message_id if self.draw.random() < 0.5 else str(message_id)
        yield from self._perform(ACKNOWLEDGE, cut=cut, message_id=said)
        if self.name and self.draw.random() < 0.05:
            yield from self._perform(ACKNOWLEDGE, message_id=message_id)

    def _trouble(self) -> ClientProgram:
        kinds: list[Callable[[], ClientProgram]] = [
            self._heartbeat,
            self._act_unregistered,
            self._register_again,
            self._acknowledge_anothers,
            self._subscribe,
            self._unsubscribe,
            self._poll_repeatedly,
        ]
        if self.state.plan.silence:
            kinds += [self._stay_silent, self._stay_silent]
        if self.state.plan.cuts:
            kinds += [self._cut_poll, self._cut_acknowledgement, self._cut_subscription]
        yield from self.draw.choice(kinds)()

    def _heartbeat(self) -> ClientProgram:
        yield from self._perform(HEARTBEAT)

    def _acknowledge_anothers(self) -> ClientProgram:
        with self.state.lock:
            latest = list(self.state.delivered)[-20:]
        if latest:
            yield from self._perform(ACKNOWLEDGE, message_id=self.draw.choice(latest)[1])

    def _act_unregistered(self) -> ClientProgram:
        """Send operations of a consumer that was never registered; the server must refuse them."""
        stranger = {"consumer_name": self.state.fresh("stranger")}
        yield ClientOperation(HEARTBEAT, stranger, self.group)
        if self.held:
            yield ClientOperation(ACKNOWLEDGE, {**stranger, "message_id": self.held[0][0]}, self.group)

    def _register_again(self) -> ClientProgram:
        """Register the name again; the server must refuse this unless it has evicted the consumer."""
        yield from self._perform(REGISTER, consumer_group_name=self.group)
        if self.name and served(self.answer):
            self.held.clear()
            self.topics.clear()
            yield from self._subscribe()

    def _poll_repeatedly(self) -> ClientProgram:
        for _ in range(3):
            if self.name:
                yield from self._poll()

    def _give_back(self) -> ClientProgram:
        """Give a record back; at random acknowledge it afterwards, which the server must refuse."""
        message_id = self.held.pop(self.draw.randrange(len(self.held)))[0]
        yield from self._perform(GIVE_BACK, message_id=message_id)
        if self.name and self.draw.random() < 0.2:
            yield from self._perform(ACKNOWLEDGE, message_id=message_id)

    def _cut_poll(self) -> ClientProgram:
        yield from self._poll(cut=True)

    def _cut_acknowledgement(self) -> ClientProgram:
        if self.held:
            yield from self._acknowledge(cut=True)

    def _cut_subscription(self) -> ClientProgram:
        yield from self._perform(SUBSCRIBE, cut=True, topic_list=self.state.topics[0])

    def _unsubscribe(self) -> ClientProgram:
        if not self.topics:
            return
        topic = self.draw.choice(sorted(self.topics))
        yield from self._perform(UNSUBSCRIBE, topic_list=topic)
        self.topics.discard(topic)
        self.held = [held for held in self.held if held[1] != topic or self.draw.random() < 0.3]
        if self.name and not self.topics:
            yield from self._subscribe()

    def _stay_silent(self) -> ClientProgram:
        """Stay silent for 0.7 heartbeat timeouts, or beyond the eviction limit; then acknowledge or poll."""
        parameters, name = self.state.parameters, self.name
        length = self.draw.choice(
            [
                0.7 * parameters.heartbeat_timeout,
                1.05 * parameters.eviction_limit,
                1.3 * parameters.eviction_limit,
            ]
        )
        begun = self.state.now(self.group)
        with self.state.lock:
            self.state.signs_of_life.pop(name, None)
        while self.state.now(self.group) < begun + length and not self.state.calm and not self.state.finished:
            yield Pause(TICK)
        if self.held and self.draw.random() < 0.4:
            yield from self._acknowledge()
        if self.name:
            yield from self._poll()

    def _leave(self) -> ClientProgram:
        """Unregister, or unsubscribe from all topics; the records in flight are released."""
        if not self.name:
            return
        name = self.name
        if "unregister" in self.state.extensions and self.draw.random() < 0.7:
            yield from self._perform(UNREGISTER)
            if served(self.answer) and self.draw.random() < 0.3:
                yield ClientOperation(HEARTBEAT, {"consumer_name": name}, self.group)
        elif self.topics:
            yield from self._perform(UNSUBSCRIBE, topic_list=",".join(sorted(self.topics)))
            self._abandon()
        self._forget()
