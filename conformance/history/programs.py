"""Producers, the clock and the last reader of the concurrent scenario: programs that know nothing of connections.

A program yields what it asks for, and is sent the answers. Threads run it against a server (`scenario`), the tests
against a queue in memory. Which client does what is chosen by a seed; how it turns out is up to the race.
"""

import random

from conformance.history.asking import (
    ACKNOWLEDGE,
    HEARTBEAT,
    POLL,
    PUBLISH,
    REGISTER,
    SUBSCRIBE,
    Ask,
    Pass,
    Program,
    Rest,
)
from conformance.history.stage import TICK, Stage, refused, served

#: Looks that the clock takes at the members before it moves on without one that has not been heard of.
PATIENCE = 2_000
#: Empty polls in a row with which a group counts as drained.
EMPTY_POLLS = 3


def producer(stage: Stage, number: int) -> Program:
    """Send records with few keys, or none, to all topics."""
    chance = random.Random(f"{stage.plan.seed} producer {number}")
    for count in range(stage.plan.records // stage.plan.producers):
        topic = chance.choice(stage.topics)
        text = f"{number}.{count}"
        body: dict[str, object] = {"messageID": f"{topic}/{text}", "message": text, "timestamp": 0}
        key = chance.randrange(stage.plan.keys + 2)
        if key < stage.plan.keys:
            body["key"] = f"key {key}"
        cut = stage.plan.cuts and chance.random() < 0.04
        answer = yield Ask(PUBLISH + topic, body, cut=cut)
        if served(answer):
            with stage.lock:
                stage.stored.add((topic, text))
        if chance.random() < 0.3:
            yield Rest(TICK * chance.random() * 3)
    with stage.lock:
        stage.producing -= 1


def clock(stage: Stage) -> Program:
    """Move the virtual clock of all groups in steps, and let everybody give a sign of life between two of them."""
    chance = random.Random(f"{stage.plan.seed} clock")
    while stage.consuming:
        seen = dict(stage.beats)
        for _ in range(PATIENCE):
            with stage.lock:
                waited_for = [
                    name for name, count in seen.items() if stage.beats.get(name, count + 1) == count
                ]
            if not waited_for or not stage.consuming:
                break
            yield Rest(TICK)
        yield Pass(chance.uniform(0.1, 0.45) * stage.facts.heartbeat_timeout, chance.choice(stage.groups))
        yield Rest(TICK * 2)


def drain(stage: Stage, group: str) -> Program:
    """After all others: one consumer reads everything that is left, in a group that comes to rest."""
    name = stage.fresh("drain")
    known = {"consumer_name": name}
    if not served((yield Ask(REGISTER, {**known, "consumer_group_name": group}, group))):
        return
    yield Ask(SUBSCRIBE, {**known, "topic_list": ",".join(stage.topics)}, group)
    if stage.virtual:
        yield from _let_rest(stage, group, name)
    empty = 0
    while empty < EMPTY_POLLS or not (
        stage.virtual or stage.stored <= stage.acknowledged.get(group, set()) or stage.expired()
    ):
        answer = yield Ask(POLL, known, group)
        if answer is None or refused(answer):
            return
        if answer.status != 200:
            empty += 1
            yield Rest(TICK)
            continue
        empty = 0
        got = answer.body
        answer = yield Ask(ACKNOWLEDGE, {**known, "message_id": got["messageId"]}, group)
        if served(answer):
            with stage.lock:
                text = got["message"]["topicName"], got["message"]["message"]
                stage.acknowledged.setdefault(group, set()).add(text)


def _let_rest(stage: Stage, group: str, name: str) -> Program:
    """Let all be evicted who are gone, and the rebalances after that be settled; `name` lives on."""
    facts = stage.facts
    step = 0.6 * facts.heartbeat_timeout
    passed = 0.0
    while passed <= facts.silence + step + facts.settling:
        yield Pass(step, group)
        passed += step
        yield Ask(HEARTBEAT, {"consumer_name": name}, group)
        if passed > facts.silence:
            gone = [other for of_group, other in stage.abandoned if of_group == group]
            stage.abandoned[:] = [pair for pair in stage.abandoned if pair[0] != group]
            for other in gone:
                yield Ask(HEARTBEAT, {"consumer_name": other}, group)
