"""Signs of life and evictions, on both sides of the timeout (30 s here)."""

from __future__ import annotations

import math

import pytest

from reference_server.queue.group import Consumer, Group
from reference_server.queue.settings import QueueSettings
from tests.queue_core.core import Core, texts

TIMEOUT = 30.0
SIGNS = {
    "heartbeat": ("/consumer/heartbeat", {}),
    "poll": ("/consumer/poll", {}),
    "subscribe": ("/consumer/subscribe-topic", {"topic_list": "news"}),
    "unsubscribe": ("/consumer/unsubscribe-topic", {"topic_list": "other"}),
    "refused subscribe": ("/consumer/subscribe-topic", {"topic_list": "missing"}),
    "refused acknowledgement": ("/consumer/acknowledgement", {"message_id": 99}),
    "refused id": ("/consumer/acknowledgement", {"message_id": "x"}),
    "refused negative acknowledgement": ("/consumer/negative-acknowledgement", {"message_id": 99}),
    "refused poll": ("/consumer/poll", {"max_messages": 10**6}),
}


@pytest.fixture
def core() -> Core:
    core = Core()
    core.topic("news")
    core.topic("other")
    core.fill("news", 1, 2)
    core.join("g", "c", "news")
    return core


def test_silence_below_the_timeout(core: Core) -> None:
    """No consumer is evicted before the timeout (LIVE-EVICT-1, its early side)."""
    for _ in range(5):
        core.pass_time(TIMEOUT - 0.001)
        assert core.beat("c") == 202


def test_silence_of_the_timeout(core: Core) -> None:
    """A consumer that was silent for longer is unknown in every operation (LIVE-EVICT-1, LIVE-GONE-1)."""
    held = core.poll("c")
    core.pass_time(TIMEOUT + 0.001)
    before = core.committed("g")
    for path, members in SIGNS.values():
        reply = core.ask(path, consumer_name="c", **members)
        assert (reply.status, reply.cause) in {(404, "consumer-unknown"), (400, "member-value")}, path
    assert core.acknowledge("c", held).status == 404
    assert core.committed("g") == before == [0]
    assert core.group("g")["members"] == []


@pytest.mark.parametrize("sign", SIGNS)
def test_signs_of_life(core: Core, sign: str) -> None:
    """Any operation that names the consumer is a sign of life, even if refused (LIVE-SIGN-1)."""
    path, members = SIGNS[sign]
    for _ in range(3):
        core.pass_time(TIMEOUT * 0.9)
        core.ask(path, consumer_name="c", **members)
    assert core.beat("c") == 202


def test_settling_is_a_sign_of_life(core: Core) -> None:
    """Successful acknowledgements are signs of life, too."""
    for _ in range(2):
        record = core.poll("c")
        core.pass_time(TIMEOUT * 0.9)
        assert core.acknowledge("c", record).status == 202
        core.pass_time(TIMEOUT * 0.9)
        assert core.beat("c") == 202


def test_signs_of_others_do_not_count(core: Core) -> None:
    """Operations of other members, and operations on the group or the topic, are no signs of life."""
    core.join("g", "d", "news")
    for _ in range(3):
        core.pass_time(TIMEOUT * 0.4)
        assert core.beat("d") == 202
        core.publish("news")
        core.do("/consumer-group/add", consumer_group_name="g")
    assert core.beat("c") == 404
    assert core.owners("g", "news") == ["d"]


def test_a_body_that_cannot_be_read_names_nobody(core: Core) -> None:
    """An unreadable body is no sign of life of the consumer in its text."""
    core.pass_time(TIMEOUT * 0.9)
    assert core.raw("/consumer/heartbeat", b'{"consumer_name":"c"').status == 400
    core.pass_time(TIMEOUT * 0.2)
    assert core.beat("c") == 404


def test_what_an_evicted_consumer_held_comes_again(core: Core) -> None:
    """Records of an evicted consumer go to the next owner, before later ones (DELIVER-2, ORDER-1)."""
    assert texts([core.poll("c")]) == ["P0-0"]
    core.join("g", "d", "news")
    core.pass_time(TIMEOUT * 0.9)
    assert core.beat("d") == 202
    assert core.poll("d") is None
    core.pass_time(TIMEOUT * 0.2)
    record = core.poll("d")
    assert (texts([record]), record["redelivered"]) == (["P0-0"], True)
    core.acknowledge("d", record)
    assert texts([core.poll("d")]) == ["P0-1"]


def test_a_late_acknowledgement_commits_nothing(core: Core) -> None:
    """A late acknowledgement commits nothing, even after a new registration or with another holder (LIVE-GONE-1)."""
    held = core.poll("c")
    core.pass_time(TIMEOUT * 2)
    core.join("g", "d", "news")
    assert core.poll("d")["messageId"] == held["messageId"]
    assert core.acknowledge("c", held).status == 404
    core.join("g", "c", "news")
    assert core.acknowledge("c", held).status == 409
    assert core.give_back("c", held).status == 409
    assert core.committed("g") == [0]
    assert core.acknowledge("d", held).status == 202
    assert core.committed("g") == [1]


def test_evictions_happen_by_themselves(core: Core) -> None:
    """`next_deadline` is never late, and `tick` then evicts without any operation."""
    core.join("g", "d", "news")
    core.pass_time(10)
    core.beat("d")
    gone = []
    for _ in range(20):
        due = core.broker.next_deadline()
        if due is None:
            break
        core.now = max(core.now, due)
        core.broker.tick(core.now)
        for name, at in (("c", 1000 + TIMEOUT), ("d", 1010 + TIMEOUT)):
            if name not in core.broker.consumers and name not in gone:
                gone.append(name)
                assert core.now == at
    assert gone == ["c", "d"]
    assert core.broker.next_deadline() == math.inf


def test_other_timeouts() -> None:
    """The configured timeout applies."""
    core = Core(QueueSettings(heartbeat_timeout=0.5))
    core.join("g", "c")
    core.pass_time(0.49)
    assert core.beat("c") == 202
    core.pass_time(0.51)
    assert core.beat("c") == 404


@pytest.mark.parametrize("step", [0.1, 1 / 3, 29.999999999])
def test_rounding(step: float) -> None:
    """Evictions take place at the announced deadlines, however times are rounded."""
    core = Core(now=1.7e9)
    for number in range(30):
        core.join("g", f"c{number}")
        core.pass_time(step)
    for _ in range(200):
        due = core.broker.next_deadline()
        if due is None:
            break
        core.now = max(core.now, due)
        core.broker.tick(core.now)
    assert not core.broker.consumers


def test_groups_that_nobody_uses_cost_nothing(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of a tick does not grow with the number of idle groups, which a server keeps for ever."""
    looked_at: list[str] = []
    expire = Group.expire

    def counted(self: Group, now: float) -> list[Consumer]:
        looked_at.append(self.name)
        return expire(self, now)

    monkeypatch.setattr(Group, "expire", counted)
    for number in range(200):
        core.join(f"idle-{number}", f"i{number}", "news")
    core.pass_time(TIMEOUT + 1)
    core.broker.tick(core.now)
    core.join("g", "c", "news")
    looked_at.clear()
    for _ in range(100):
        core.pass_time(TIMEOUT / 10)
        assert core.beat("c") == 202
    assert set(looked_at) == {"g"}
    assert len(looked_at) < 30


def test_the_clock_of_one_group(core: Core) -> None:
    """The time of one group can be advanced without that of others (CLOCK-3)."""
    core.join("h", "e", "news")
    body = b'{"consumer_group_name":"g","seconds":%g}'
    assert core.operations.advance(body % (TIMEOUT - 1), core.now.__add__, now=core.now).status == 200
    assert core.beat("c") == 202
    assert core.operations.advance(body % (TIMEOUT + 1), core.now.__add__, now=core.now).status == 200
    assert (core.beat("c"), core.beat("e")) == (404, 202)
    assert (
        core.operations.advance(
            b'{"consumer_group_name":"x","seconds":1}', core.now.__add__, now=core.now
        ).status
        == 404
    )
    for seconds in (b"-1", b'"1"', b"1e10", b"null"):
        refused = core.operations.advance(
            b'{"consumer_group_name":"g","seconds":%b}' % seconds, core.now.__add__, now=core.now
        )
        assert refused.status == 400
