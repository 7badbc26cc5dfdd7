"""Producers, the clock and the final readers of a concurrent run.

A program is a generator that yields operations and is sent the replies, so it knows nothing of connections. Threads
run programs against a server (`concurrent_run`); the tests run them against a queue in memory. A seed decides the
operations of each program; their interleaving is up to the scheduler.
"""

import itertools
import random

from conformance.history.operations import (
    ACKNOWLEDGE,
    HEARTBEAT,
    POLL,
    PUBLISH,
    REGISTER,
    SUBSCRIBE,
    AdvanceClock,
    ClientOperation,
    ClientProgram,
    Pause,
)
from conformance.history.workload.workload_state import TICK, WorkloadState, refused, served

#: Checks for missing signs of life before the clock advances without them.
MAX_LOOKS = 2_000
#: Shortest time in which consumers fail on a virtual clock, in heartbeat timeouts.
MIN_TROUBLE = 3
#: Consecutive empty polls after which a group counts as drained.
DRAINED_AFTER = 3
#: Consecutive empty polls after which a final reader stops waiting for missing records.
MAX_DRAIN_POLLS = 20_000


def producer(state: WorkloadState, number: int) -> ClientProgram:
    """A producer: it publishes records to all topics, with few keys or none."""
    draw = random.Random(f"{state.plan.seed} producer {number}")
    records = max(2, state.plan.records // state.plan.producers)
    for count in itertools.count():
        if (count >= records and not state.under_faults) or (state.plan.pace and state.aborted):
            break
        if count == records // 2:
            yield from _wait_until_settled(state)
        topic = draw.choice(state.topics)
        text = f"{number}.{count}"
        body: dict[str, object] = {"messageID": f"{topic}/{text}", "message": text, "timestamp": 0}
        key = draw.randrange(state.plan.keys + 2)
        if key < state.plan.keys:
            body["key"] = f"Key {key}"
        elif draw.random() < 0.1:
            body["key"] = 7  # of a wrong type: the server must refuse it (PUB-BODY-1)
        cut = state.plan.cuts and draw.random() < 0.04
        answer = yield ClientOperation(PUBLISH + topic, body, cut=cut)
        if served(answer):
            with state.lock:
                state.stored.add((topic, text))
        if state.plan.pace:
            yield Pause(state.plan.pace * 2 * draw.random())
        elif draw.random() < 0.3:
            yield Pause(TICK * draw.random() * 3)
    with state.lock:
        state.producing -= 1


def _wait_until_settled(state: WorkloadState) -> ClientProgram:
    with state.lock:
        state.waiting += 1
    while state.virtual and not state.settled and not state.aborted:
        yield Pause(TICK)
    with state.lock:
        state.waiting -= 1


def clock(state: WorkloadState) -> ClientProgram:
    """The clock: it advances the virtual clocks of all groups in steps.

    Between two steps every active consumer gives a sign of life. When all producers wait, the run becomes `calm`; it
    is `settled` after the eviction limit and the rebalance limit have passed for every group.
    """
    draw = random.Random(f"{state.plan.seed} clock")
    parameters = state.parameters
    longest = 0.45 * parameters.heartbeat_timeout
    trouble_until = {
        group: state.now(group) + MIN_TROUBLE * parameters.heartbeat_timeout for group in state.groups
    }
    evicted_at: dict[str, float] = {}
    settled_at: dict[str, float] = {}
    while state.consuming and not state.aborted:
        enough = all(state.now(group) > time for group, time in trouble_until.items())
        if not state.calm and enough and state.producing == state.waiting:
            state.calm = True
            evicted_at = {group: state.now(group) + parameters.eviction_limit for group in state.groups}
            settled_at = {
                group: time + longest + parameters.rebalance_limit for group, time in evicted_at.items()
            }
        if (
            state.calm
            and not state.settled
            and all(state.now(group) > time for group, time in evicted_at.items())
        ):
            yield from _probe_abandoned(state)
        if state.calm and all(state.now(group) > time for group, time in settled_at.items()):
            state.settled = True
        seen = dict(state.signs_of_life)
        for _ in range(MAX_LOOKS):
            with state.lock:
                waited_for = [
                    name for name, count in seen.items() if state.signs_of_life.get(name, count + 1) == count
                ]
            if not waited_for or not state.consuming or state.aborted:
                break
            yield Pause(TICK)
        yield AdvanceClock(longest * draw.uniform(0.3, 1.0), draw.choice(state.groups))
        yield Pause(TICK * 2)


def drain(state: WorkloadState, group: str) -> ClientProgram:
    """The final reader of a group: after all other programs it reads the remaining records."""
    name = state.fresh("drain")
    known = {"consumer_name": name}
    if not served((yield ClientOperation(REGISTER, {**known, "consumer_group_name": group}, group))):
        return
    yield ClientOperation(SUBSCRIBE, {**known, "topic_list": ",".join(state.topics)}, group)
    if state.virtual:
        yield from _let_group_settle(state, group, name)
    empty = read = 0
    # The bound ends the run on a server that redelivers one record in a loop.
    while read <= 3 * len(state.stored) + 20 and empty < MAX_DRAIN_POLLS:
        if empty >= DRAINED_AFTER and (state.virtual or not state.has_unacknowledged(group) or state.aborted):
            return
        answer = yield ClientOperation(POLL, known, group)
        if answer is None or refused(answer):
            return
        if answer.status != 200:
            empty += 1
            yield Pause(TICK)
            continue
        empty, read = 0, read + 1
        message_id, record = answer.body["messageId"], answer.body["message"]
        state.note_delivery(group, message_id, record["topicName"], record["message"])
        if not refused((yield ClientOperation(ACKNOWLEDGE, {**known, "message_id": message_id}, group))):
            state.note_acknowledged(group, message_id)


def _let_group_settle(state: WorkloadState, group: str, name: str) -> ClientProgram:
    """Advance the clock until silent members are evicted and the group is settled; `name` sends heartbeats."""
    parameters = state.parameters
    step = 0.6 * parameters.heartbeat_timeout
    passed = 0.0
    while passed <= parameters.eviction_limit + step + parameters.rebalance_limit:
        yield AdvanceClock(step, group)
        passed += step
        yield ClientOperation(HEARTBEAT, {"consumer_name": name}, group)
        if passed > parameters.eviction_limit:
            yield from _probe_abandoned(state)


def _probe_abandoned(state: WorkloadState) -> ClientProgram:
    """Send a heartbeat under each abandoned name, so that its eviction shows in the history."""
    with state.lock:
        gone = list(state.abandoned)
        state.abandoned.clear()
    for group, name in gone:
        yield ClientOperation(HEARTBEAT, {"consumer_name": name}, group)
