"""The second pass over a failing program: single operations are dropped."""

import time

import pytest
from hypothesis import HealthCheck, settings

from conformance.models.driver import QueueDriver
from conformance.models.driver_calls import Deliveries, DriverCall
from conformance.models.machines import run
from conformance.models.program_shrinking import ProgramShrinker
from conformance.wire.failures import Violation
from tests.models.broken import FAULTS
from tests.models.machines import MACHINES
from tests.models.toy_adapters import ToyQueueAdapter
from tests.models.toy_queue import Choices

SETTINGS = settings(
    max_examples=300, stateful_step_count=30, database=None, suppress_health_check=list(HealthCheck)
)
FAULT = "HandsOutTheNextBeforeTheAcknowledgement"


def test_a_program_keeps_what_it_needs() -> None:
    """Of a program of Hypothesis' making only a handful of operations is left."""
    system = FAULTS[FAULT].make_adapter(Choices(seed=1))
    program: list[str] = []
    with pytest.raises(Violation, match="ORDER-2"):
        run(MACHINES["delivery"], system, SETTINGS, seed=1, note=program.append, shrink_seconds=5.0)
    paths = [line.split()[0] for line in program]
    assert len(program) <= 10, program
    assert paths.count("/consumer/poll") == 2
    assert program[-1].startswith("/consumer/poll")


def _program(driver: QueueDriver) -> None:
    """Thirty operations, of which seven break ORDER-2 on a queue with the fault."""
    names = {
        stem: driver.system.fresh(stem)
        for stem in ("topic", "elsewhere", "group", "idle", "consumer", "other")
    }
    driver.add_topic(names["topic"], 1)
    driver.add_topic(names["elsewhere"], 2)
    for number in range(8):
        driver.publish(names["elsewhere"], str(number))
    for group, consumer in (("group", "consumer"), ("idle", "other")):
        driver.add_group(names[group])
        driver.register(names[group], names[consumer])
        driver.subscribe(names[consumer], names["elsewhere"], names["topic"])
        driver.settle(names[group])
    for _ in range(4):
        driver.publish(names["topic"], "a")
        driver.heartbeat(names["consumer"])
    for _ in range(10):
        driver.poll_once(names["consumer"])


def test_calls_are_dropped_until_none_can_be() -> None:
    """No call of the result can be dropped, and its names are new ones."""
    system = FAULTS[FAULT].make_adapter(Choices(seed=1))
    driver = QueueDriver(system)
    with pytest.raises(Violation) as caught:
        _program(driver)
    replies = [step.reply.body for step in driver.program if hasattr(step, "reply")]
    lines = [str(step) for step in driver.program]
    shrinker = ProgramShrinker(system, caught.value, lines, driver.calls, replies, time.monotonic() + 10.0)
    best = shrinker.run()
    assert len(lines) > 25
    assert len(best.calls) <= 9, best.calls  # one topic more than needed: its subscription names both
    assert best.failure.clause == caught.value.clause
    assert len({*best.lines} & {*lines}) < len(best.lines)


def test_no_time_means_no_attempt() -> None:
    """Without time the program stays as it is, and nothing is sent."""
    system = ToyQueueAdapter(Choices(seed=1))
    failure = Violation("ORDER-2", "one", "another")
    calls = [DriverCall("add_topic", ("topic-1", 1)), DriverCall("add_topic", ("topic-2", 1))]
    assert ProgramShrinker(system, failure, ["a", "b"], calls, [], time.monotonic()).run().lines == ["a", "b"]
    assert not system.queue.topics


def test_a_program_that_does_not_fail_again_stays() -> None:
    """A failure that does not recur keeps its program."""
    system = ToyQueueAdapter(Choices(seed=1))
    failure = Violation("ORDER-2", "one", "another")
    calls = [DriverCall("add_topic", ("topic-1", 1)), DriverCall("add_topic", ("topic-2", 1))]
    until = time.monotonic() + 0.2
    assert ProgramShrinker(system, failure, ["a", "b"], calls, [], until).run().lines == ["a", "b"]


#: A call of each kind that programs consist of.
CALLS = (
    DriverCall("take_forms", (7,)),
    DriverCall("add_topic", ("topic-1", 1)),
    DriverCall("publish", ("topic-1", "a")),
    DriverCall("publish_badly", ("topic-1", {})),
    DriverCall("add_group", ("group-1",)),
    DriverCall("register", ("group-1", "consumer-1")),
    DriverCall("subscribe", ("consumer-1", "topic-1")),
    DriverCall("pass_time", (1.0, "group-1")),
    DriverCall("lose_connection", ()),
    DriverCall("poll_once", ("consumer-1",)),
    DriverCall("acknowledge", ("consumer-1", 0)),
    DriverCall("negative_acknowledge", ("consumer-1", 0)),
    DriverCall("unsubscribe", ("consumer-1", "topic-1")),
    DriverCall("remove_topic", ("topic-1",)),
    DriverCall("unregister", ("consumer-1",)),
    DriverCall("remove_group", ("group-1",)),
    DriverCall("heartbeat", ("consumer-1",)),
)


@pytest.mark.parametrize("last", CALLS, ids=lambda call: call.name)
def test_any_call_may_be_in_a_program_that_does_not_fail_again(last: DriverCall) -> None:
    """A part of the program is tried without it or with it; none of them fails, and the program stays."""
    system = ToyQueueAdapter(Choices(seed=1))
    calls = [*CALLS, last]
    until = time.monotonic() + 0.05
    shrinker = ProgramShrinker(system, Violation("ORDER-2", "one", "another"), ["a"] * 18, calls, [], until)
    assert shrinker.run().calls == tuple(calls)


def test_ids_are_found_by_their_records() -> None:
    """An id is that of the same delivery of the same record."""
    there, here = Deliveries(), Deliveries()
    for number, text in ((7, "text 1"), (9, "text 2"), (11, "text 1")):
        there.note({"messageId": number, "message": {"message": text}})
    here.note({"records": [{"messageId": 70, "message": {"message": "text 1"}}]})
    assert there.counterpart(7, here) == 70
    assert there.counterpart("7", here) == "70"
    assert there.counterpart(11, here) == 70
    assert there.counterpart(9, here) == 9
    assert there.counterpart("nothing", here) == "nothing"
