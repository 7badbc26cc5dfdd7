"""Equal histories have equal outcomes: the queue has no randomness."""

from __future__ import annotations

import json
import random

import pytest

from reference_server.queue.settings import QueueSettings
from tests.queue_core.core import Core

NAMES = ["a", "b", "c"]
PATHS = [
    "/topic/add-topic",
    "/producer/publish/a",
    "/producer/publish/b",
    "/consumer-group/add",
    "/consumer-group/remove",
    "/consumer/register-consumer",
    "/consumer/unregister-consumer",
    "/consumer/subscribe-topic",
    "/consumer/unsubscribe-topic",
    "/consumer/heartbeat",
] + ["/consumer/poll", "/consumer/acknowledgement", "/consumer/negative-acknowledgement"] * 4


def walk(seed: int, steps: int = 400) -> tuple[list[tuple[str, int, bytes]], object]:
    """Take random steps; returns the outcome of each, and the final state."""
    choose = random.Random(seed)
    core = Core(QueueSettings(rebalance_timeout=8.0, heartbeat_timeout=20.0))
    transcript = []
    ids = [0]
    for _ in range(steps):
        members = {
            "topicName": choose.choice(NAMES),
            "partitions": choose.randint(1, 4),
            "consumer_group_name": choose.choice(NAMES),
            "consumer_name": choose.choice(NAMES),
            "topic_list": ",".join(choose.sample(NAMES, choose.randint(1, 2))),
            "message_id": choose.choice(ids),
            "messageID": 1,
            "message": str(choose.random()),
            "key": choose.choice([None, "k1", "k2"]),
        }
        path = choose.choice(PATHS)
        if path == "/consumer-group/remove" and choose.random() < 0.8:
            path = "/consumer/poll"
        before = core.picture()
        reply = core.ask(path, **members)
        transcript.append((path, reply.status, reply.outcome.body))
        if reply.status >= 400:
            assert core.picture() == before, "a refusal changed something"
        elif path == "/consumer/poll" and reply.body:
            ids = [*ids[-5:], json.loads(reply.outcome.body)["messageId"]]
        core.pass_time(choose.choice([0, 0, 0.5, 3]))
        core.broker.tick(core.now)
    return transcript, core.picture()


@pytest.mark.parametrize("seed", range(12))
def test_the_same_steps_lead_to_the_same_place(seed: int) -> None:
    """Two walks with one seed are identical, and no refusal on the way changes state (REFUSE-1)."""
    assert walk(seed) == walk(seed)


def test_the_walks_go_somewhere() -> None:
    """The walks reach a success and a refusal of each operation."""
    seen = {(path, status // 100) for seed in range(12) for path, status, _ in walk(seed)[0]}
    assert {path for path, status in seen if status == 2} == set(PATHS)
