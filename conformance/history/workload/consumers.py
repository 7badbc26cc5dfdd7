"""Consumers of the concurrent scenario: they read, get into trouble, and join again."""

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
    Ask,
    Program,
    Rest,
)
from conformance.history.workload.workload_state import TICK, Stage, refused, served

if TYPE_CHECKING:
    from collections.abc import Callable

#: What one client does at most, so that a server that delivers nothing holds up nobody for ever.
MOST_TURNS = 5_000


class Consumer:
    """One client that consumes under one name after another."""

    def __init__(self, stage: Stage, number: int) -> None:
        self.stage = stage
        self.chance = random.Random(f"{stage.plan.seed} consumer {number}")
        self.group = stage.groups[number % len(stage.groups)]
        self.name = ""
        self.held: list[tuple[int, str]] = []
        self.topics: set[str] = set()
        self.answer: Answer | None = None
        self.idle = False

    def program(self) -> Program:
        """Join, read, get into trouble, and join again, until everything has been read."""
        turns = 0
        while not self.stage.over and turns < MOST_TURNS:
            yield from self._join()
            while self.name and not self.stage.over and turns < MOST_TURNS:
                turns += 1
                self.answer = None
                yield from self._turn()
                self._beat()
                if self.idle or self.chance.random() < 0.2:
                    yield Rest(TICK * (0.5 + self.chance.random()))
        yield from self._leave()
        with self.stage.lock:
            self.stage.consuming -= 1

    def _beat(self) -> None:
        with self.stage.lock:
            if self.name and self.answer is not None and not refused(self.answer):
                self.stage.beats[self.name] = self.stage.beats.get(self.name, 0) + 1

    def _ask(self, path: str, *, cut: bool = False, **more: object) -> Program:
        """Ask under the own name; a consumer without an answer gives its name up, one that is refused lost it."""
        name = self.name
        answer = yield Ask(path, {"consumer_name": name, **more}, self.group, cut)
        self.answer = answer
        if path == ACKNOWLEDGE and not refused(answer):
            self.stage.note_acknowledged(self.group, int(str(more["message_id"])))
        if answer is None:
            self._abandon()
            if not self.stage.plan.waits or self.chance.random() < 0.3:
                yield from self._free_at_once(name)

    def _free_at_once(self, name: str) -> Program:
        """Over a new connection, under the name of the old one."""
        if "unregister" in self.stage.extensions:
            yield Ask(UNREGISTER, {"consumer_name": name}, self.group)
        else:
            topics = ",".join(self.stage.topics)
            yield Ask(UNSUBSCRIBE, {"consumer_name": name, "topic_list": topics}, self.group)

    def _abandon(self) -> None:
        with self.stage.lock:
            if self.name:
                self.stage.abandoned.append((self.group, self.name))
                self.stage.beats.pop(self.name, None)
        self._forget()

    def _forget(self) -> None:
        with self.stage.lock:
            self.stage.beats.pop(self.name, None)
        self.name = ""
        self.held.clear()
        self.topics.clear()

    def _join(self) -> Program:
        self.name = self.stage.fresh("consumer")
        yield from self._ask(REGISTER, consumer_group_name=self.group)
        if self.name and not served(self.answer):
            self._forget()
        if self.name:
            yield from self._subscribe()

    def _subscribe(self) -> Program:
        topics = self.stage.topics
        if len(topics) > 1 and self.chance.random() < 0.2:
            topics = [self.chance.choice(topics)]
        yield from self._ask(SUBSCRIBE, topic_list=",".join(topics))
        if self.name and served(self.answer):
            self.topics.update(topics)
        elif self.name and refused(self.answer):
            self._forget()

    def _turn(self) -> Program:
        roll = self.chance.random()
        trouble = 0.0 if self.stage.calm else self.stage.plan.chance_of_trouble
        leaving = 0.0 if self.stage.calm else self.stage.plan.chance_of_leaving
        if roll < trouble:
            yield from self._trouble()
        elif roll < trouble + leaving:
            yield from self._leave()
        elif self.held and roll < 0.5:
            if "negative-acknowledgement" in self.stage.extensions and self.chance.random() < 0.1:
                yield from self._give_back()
            else:
                yield from self._acknowledge()
        else:
            yield from self._poll()

    def _poll(self, *, cut: bool = False) -> Program:
        more: dict[str, object] = {}
        self.idle = False
        if "batch-poll" in self.stage.extensions and self.chance.random() < 0.2:
            more["max_messages"] = self.chance.randint(1, self.stage.plan.batch)
        yield from self._ask(POLL, cut=cut, **more)
        if not self.name:
            return
        if refused(self.answer):
            yield from self._come_back()
        elif self.answer is not None and self.answer.status != 200:
            self.idle = True
            if not self.held:
                self.stage.note_empty(self.group)
        elif self.answer is not None and self.answer.status == 200:
            body = self.answer.body
            for item in body["records"] if more else [body]:
                message_id, record = item["messageId"], item["message"]
                self.held.append((message_id, record["topicName"]))
                self.stage.note_handed_out(self.group, message_id, record["topicName"], record["message"])

    def _come_back(self) -> Program:
        """After an eviction: perhaps acknowledge late, poll once more, register under the same name again."""
        if self.held and self.chance.random() < 0.5:
            yield from self._ask(ACKNOWLEDGE, message_id=self.held[0][0])
        if self.name and self.chance.random() < 0.5:
            yield from self._ask(POLL)
        name = self.name
        self._forget()
        if name and self.chance.random() < 0.5:
            self.name = name
            yield from self._ask(REGISTER, consumer_group_name=self.group)
            if self.name and served(self.answer):
                yield from self._subscribe()
            elif self.name:
                self._forget()

    def _acknowledge(self, *, cut: bool = False) -> Program:
        message_id, _topic = self.held.pop(self.chance.randrange(len(self.held)))
        said = message_id if self.chance.random() < 0.5 else str(message_id)
        yield from self._ask(ACKNOWLEDGE, cut=cut, message_id=said)
        if self.name and self.chance.random() < 0.05:
            yield from self._ask(ACKNOWLEDGE, message_id=message_id)

    def _trouble(self) -> Program:
        kinds: list[Callable[[], Program]] = [
            self._heartbeat,
            self._be_a_stranger,
            self._register_again,
            self._acknowledge_anothers,
            self._subscribe,
            self._unsubscribe,
            self._be_greedy,
        ]
        if self.stage.plan.silence:
            kinds += [self._be_silent, self._be_silent]
        if self.stage.plan.cuts:
            kinds += [self._cut_off_polling, self._cut_off_acknowledging, self._cut_off_subscribing]
        yield from self.chance.choice(kinds)()

    def _heartbeat(self) -> Program:
        yield from self._ask(HEARTBEAT)

    def _acknowledge_anothers(self) -> Program:
        with self.stage.lock:
            latest = list(self.stage.handed_out)[-20:]
        if latest:
            yield from self._ask(ACKNOWLEDGE, message_id=self.chance.choice(latest)[1])

    def _be_a_stranger(self) -> Program:
        """Under a name that nobody registered: it is to be refused."""
        stranger = {"consumer_name": self.stage.fresh("stranger")}
        yield Ask(HEARTBEAT, stranger, self.group)
        if self.held:
            yield Ask(ACKNOWLEDGE, {**stranger, "message_id": self.held[0][0]}, self.group)

    def _register_again(self) -> Program:
        """Under the name that it has: it is to be refused, unless it was evicted meanwhile."""
        yield from self._ask(REGISTER, consumer_group_name=self.group)
        if self.name and served(self.answer):
            self.held.clear()
            self.topics.clear()
            yield from self._subscribe()

    def _be_greedy(self) -> Program:
        for _ in range(3):
            if self.name:
                yield from self._poll()

    def _give_back(self) -> Program:
        """Give a record back; now and then acknowledge it all the same, which is to be refused."""
        message_id = self.held.pop(self.chance.randrange(len(self.held)))[0]
        yield from self._ask(GIVE_BACK, message_id=message_id)
        if self.name and self.chance.random() < 0.2:
            yield from self._ask(ACKNOWLEDGE, message_id=message_id)

    def _cut_off_polling(self) -> Program:
        yield from self._poll(cut=True)

    def _cut_off_acknowledging(self) -> Program:
        if self.held:
            yield from self._acknowledge(cut=True)

    def _cut_off_subscribing(self) -> Program:
        yield from self._ask(SUBSCRIBE, cut=True, topic_list=self.stage.topics[0])

    def _unsubscribe(self) -> Program:
        if not self.topics:
            return
        topic = self.chance.choice(sorted(self.topics))
        yield from self._ask(UNSUBSCRIBE, topic_list=topic)
        self.topics.discard(topic)
        self.held = [held for held in self.held if held[1] != topic or self.chance.random() < 0.3]
        if self.name and not self.topics:
            yield from self._subscribe()

    def _be_silent(self) -> Program:
        """Say nothing for some time, mostly for longer than is allowed; then see what has become of it."""
        facts, name = self.stage.facts, self.name
        length = self.chance.choice(
            [0.7 * facts.heartbeat_timeout, 1.05 * facts.silence, 1.3 * facts.silence]
        )
        begun = self.stage.now(self.group)
        with self.stage.lock:
            self.stage.beats.pop(name, None)
        while self.stage.now(self.group) < begun + length and not self.stage.calm and not self.stage.over:
            yield Rest(TICK)
        if self.held and self.chance.random() < 0.4:
            yield from self._acknowledge()
        if self.name:
            yield from self._poll()

    def _leave(self) -> Program:
        """Leave in one of the ways there are; what it holds is free."""
        if not self.name:
            return
        name = self.name
        if "unregister" in self.stage.extensions and self.chance.random() < 0.7:
            yield from self._ask(UNREGISTER)
            if served(self.answer) and self.chance.random() < 0.3:
                yield Ask(HEARTBEAT, {"consumer_name": name}, self.group)
        elif self.topics:
            yield from self._ask(UNSUBSCRIBE, topic_list=",".join(sorted(self.topics)))
            self._abandon()
        self._forget()
