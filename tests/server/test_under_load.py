"""Work of many steps gives way to others: the server answers, and ends, while somebody causes much of it."""

from __future__ import annotations

import signal
import time

from tests.server.test_command_line import ended, running
from tests.server.wire import DEADLINE, Http

TOPICS = 1000
MEMBERS = [f"c{number}" for number in range(20)]


def test_while_many_members_are_evicted() -> None:
    """Clients are served while 20,000 memberships expire, and SIGTERM then ends the server within a second."""
    names = [f"t{number}" for number in range(TOPICS)]
    options = ("--port", "0", "--heartbeat-timeout", "3", "--partitions", "1")
    with running(*options) as server, Http.to(server) as client:
        for name in names:
            client.ask("/topic/add-topic", topicName=name)
        client.ask("/consumer-group/add", consumer_group_name="g")
        for number, name in enumerate(MEMBERS):
            client.ask("/consumer/register-consumer", consumer_group_name="g", consumer_name=name)
            client.ask("/consumer/subscribe-topic", consumer_name=name, topic_list=",".join(names))
            for other in MEMBERS[:number]:
                assert client.ask("/consumer/heartbeat", consumer_name=other).status == 202
        quiet_since = time.monotonic()
        slowest = 0.0
        while time.monotonic() < quiet_since + 3.2:
            began = time.monotonic()
            assert client.ask("/topic/add-topic", topicName="t0").status == 409
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 0.5
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert ended(server.process) == (0, "")
        assert time.monotonic() - began < DEADLINE / 10
