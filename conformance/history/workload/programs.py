"""Producers, the clock and the last reader of the concurrent scenario: programs that know nothing of connections.

A program yields what it asks for, and is sent the answers. Threads run it against a server (`scenario`), the tests
against a queue in memory. Which client does what is chosen by a seed; how it turns out is up to the race.
"""

import random

from conformance.history.operations import (
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
from conformance.history.workload.workload_state import TICK, Stage, refused, served

#: Looks that the clock takes at the members before it moves on without one that has not been heard of.
PATIENCE = 2_000
#: How long consumers make trouble at least, where the clock is virtual, in heartbeat timeouts.
STORM = 3
#: Empty polls in a row with which a group counts as drained.
EMPTY_POLLS = 3
#: Empty polls in a row after which the last reader gives up waiting for what is missing.
MOST_EMPTY_POLLS = 20_000


def producer(stage: Stage, number: int) -> Program:
    """Send records with few keys, or none, to all topics."""
    chance = random.Random(f"{stage.plan.seed} producer {number}")
    records = max(2, stage.plan.records // stage.plan.producers)
    for count in range(records):
        if count == records // 2:
            yield from _wait_for_rest(stage)
        topic = chance.choice(stage.topics)
        text = f"{number}.{count}"
        body: dict[str, object] = {"messageID": f"{topic}/{text}", "message": text, "timestamp": 0}
        key = chance.randrange(stage.plan.keys + 2)
        if key < stage.plan.keys:
            body["key"] = f"Key {key}"
        elif chance.random() < 0.1:
            body["key"] = 7  # of a wrong type: it is to be refused (PUB-BODY-1)
        cut = stage.plan.cuts and chance.random() < 0.04
        answer = yield Ask(PUBLISH + topic, body, cut=cut)
        if served(answer):
            with stage.lock:
                stage.stored.add((topic, text))
        if chance.random() < 0.3:
            yield Rest(TICK * chance.random() * 3)
    with stage.lock:
        stage.producing -= 1


def _wait_for_rest(stage: Stage) -> Program:
    with stage.lock:
        stage.waiting += 1
    while stage.virtual and not stage.rested and not stage.cut_short:
        yield Rest(TICK)
    with stage.lock:
        stage.waiting -= 1


def clock(stage: Stage) -> Program:
    """Move the virtual clock of all groups in steps, and let everybody give a sign of life between two of them.

    When the producers wait for it, calm begins; after the time in which the groups must have settled, they are
    rested.
    """
    chance = random.Random(f"{stage.plan.seed} clock")
    facts = stage.facts
    longest = 0.45 * facts.heartbeat_timeout
    stormy_until = {group: stage.now(group) + STORM * facts.heartbeat_timeout for group in stage.groups}
    gone_at: dict[str, float] = {}
    rested_at: dict[str, float] = {}
    while stage.consuming and not stage.cut_short:
        enough = all(stage.now(group) > time for group, time in stormy_until.items())
        if not stage.calm and enough and stage.producing == stage.waiting:
            stage.calm = True
            gone_at = {group: stage.now(group) + facts.silence for group in stage.groups}
            rested_at = {group: time + longest + facts.settling for group, time in gone_at.items()}
        if (
            stage.calm
            and not stage.rested
            and all(stage.now(group) > time for group, time in gone_at.items())
        ):
            yield from _look_for_the_gone(stage)
        if stage.calm and all(stage.now(group) > time for group, time in rested_at.items()):
            stage.rested = True
        seen = dict(stage.beats)
        for _ in range(PATIENCE):
            with stage.lock:
                waited_for = [
                    name for name, count in seen.items() if stage.beats.get(name, count + 1) == count
                ]
            if not waited_for or not stage.consuming or stage.cut_short:
                break
            yield Rest(TICK)
        yield Pass(longest * chance.uniform(0.3, 1.0), chance.choice(stage.groups))
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
    empty = read = 0
    # A server that delivers one record for ever must not hold up anybody for ever.
    while read <= 3 * len(stage.stored) + 20 and empty < MOST_EMPTY_POLLS:
        if empty >= EMPTY_POLLS and (stage.virtual or not stage.unread(group) or stage.cut_short):
            return
        answer = yield Ask(POLL, known, group)
        if answer is None or refused(answer):
            return
        if answer.status != 200:
            empty += 1
            yield Rest(TICK)
            continue
        empty, read = 0, read + 1
        message_id, record = answer.body["messageId"], answer.body["message"]
        stage.note_handed_out(group, message_id, record["topicName"], record["message"])
        if not refused((yield Ask(ACKNOWLEDGE, {**known, "message_id": message_id}, group))):
            stage.note_acknowledged(group, message_id)


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
            yield from _look_for_the_gone(stage)


def _look_for_the_gone(stage: Stage) -> Program:
    """Have it in the history that those are gone who must have been evicted."""
    with stage.lock:
        gone = list(stage.abandoned)
        stage.abandoned.clear()
    for group, name in gone:
        yield Ask(HEARTBEAT, {"consumer_name": name}, group)
