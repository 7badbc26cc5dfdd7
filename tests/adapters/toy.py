"""An adapter for a queue in the memory of its own process: `python -m tests.adapters.toy [--fault ANOMALY]`.

With a fault it is the broken queue that shows the anomaly in histories.
"""

from __future__ import annotations

import argparse
import math
import sys
import threading
import time
from typing import Any, ClassVar

from conformance.adapters.serving import Adapter, Failed, Refused, serve
from tests.history.broken import SHOWN_BY
from tests.models.toy_queue import Choices, ToyQueue, ToyReply

#: Seconds between two looks for members that are due, and between two polls of one request.
TICK, POLL_PAUSE = 0.02, 0.01
HEARTBEAT_TIMEOUT, GRACE, REBALANCE = 1.2, 0.4, 0.3
#: Allowance for a busy machine, in seconds.
SLACK = 2.0


class ToyAdapter(Adapter):
    """A queue that conforms, or has one fault."""

    name, version = "toy queue", "1"
    facts: ClassVar[dict[str, Any]] = {
        "timings": {
            "heartbeat_timeout": HEARTBEAT_TIMEOUT,
            "eviction_grace": GRACE,
            "rebalance_hold": REBALANCE,
            "rebalance_limit": REBALANCE,
            "slack": SLACK,
        },
        "tells": ["positions", "emptiness"],
    }

    def __init__(self, kind: type[ToyQueue] = ToyQueue) -> None:
        self.queue = kind(
            Choices(heartbeat_timeout=HEARTBEAT_TIMEOUT, eviction_grace=GRACE, rebalance_timeout=REBALANCE)
        )
        self.lock = threading.Lock()
        self.began = time.monotonic()
        self.ended = threading.Event()
        self.ticker = threading.Thread(target=self._tick, daemon=True)
        self.ticker.start()

    def _tick(self) -> None:
        while not self.ended.wait(TICK):
            with self.lock:
                self._bring_up_to_date()

    def _bring_up_to_date(self) -> None:
        """Move the clock of each group to the present, by way of every time at which a member is due."""
        now = time.monotonic() - self.began
        for name, group in self.queue.groups.items():
            while due := [
                self.queue.due(member)
                for member in group.members.values()
                if self.queue.due(member) <= math.nextafter(now, 0.0)
            ]:
                members = len(group.members)
                self.queue.advance(name, max(0.0, min(due) - group.now))
                if len(group.members) == members:
                    break  # this queue does not evict
            self.queue.advance(name, max(0.0, now - group.now))

    def _perform(self, path: str, **body: Any) -> ToyReply:
        with self.lock:
            self._bring_up_to_date()
            reply = self.queue.perform(path, body)
        if 400 <= reply.status < 500:
            raise Refused(str(reply.status))
        if reply.status >= 500:
            raise Failed(str(reply.status))
        return reply

    def create_topic(self, topic: str, partitions: int) -> dict[str, Any]:
        self._perform("/topic/add-topic", topicName=topic, partitions=partitions)
        return {"partitions": partitions}

    def publish(self, topic: str, text: str, key: str | None) -> dict[str, Any]:
        body = {"messageID": text, "message": text, "key": key, "timestamp": 0}
        reply = self._perform(f"/producer/publish/{topic}", **body).body
        return {"partition": reply["partition"], "offset": reply["offset"]}

    def join(self, consumer: str, group: str, topics: list[str]) -> None:
        self._perform("/consumer-group/add", consumer_group_name=group)
        self._perform("/consumer/register-consumer", consumer_group_name=group, consumer_name=consumer)
        self._perform("/consumer/subscribe-topic", consumer_name=consumer, topic_list=",".join(topics))

    def poll(self, consumer: str, wait: float) -> dict[str, Any]:
        end = time.monotonic() + wait
        while True:
            reply = self._perform("/consumer/poll", consumer_name=consumer)
            if reply.status == 200 or time.monotonic() > end:
                return {"records": [_record(reply.body)] if reply.status == 200 else []}
            self.ended.wait(POLL_PAUSE)

    def acknowledge(self, consumer: str, record: dict[str, Any]) -> None:
        self._perform("/consumer/acknowledgement", consumer_name=consumer, message_id=record["id"])

    def give_back(self, consumer: str, record: dict[str, Any]) -> None:
        self._perform("/consumer/negative-acknowledgement", consumer_name=consumer, message_id=record["id"])

    def heartbeat(self, consumer: str) -> None:
        self._perform("/consumer/heartbeat", consumer_name=consumer)

    def leave(self, consumer: str) -> None:
        self._perform("/consumer/unregister-consumer", consumer_name=consumer)

    def cut(self, consumer: str) -> None:
        """Nothing tells the queue: it evicts the consumer."""

    def silence(self, consumer: str) -> None:
        """Nothing is done for a consumer that asks for nothing."""

    def close(self) -> None:
        self.ended.set()
        self.ticker.join()


def _record(body: dict[str, Any]) -> dict[str, Any]:
    message = body["message"]
    made = {"id": body["messageId"], "topic": message["topicName"], "text": message["message"]}
    told = {name: body[name] for name in ("partition", "offset", "redelivered") if body.get(name) is not None}
    return {**made, "key": message.get("key"), **told}


def main() -> int:
    """Serve the adapter on standard input and output."""
    parser = argparse.ArgumentParser(prog="python -m tests.adapters.toy")
    parser.add_argument("--fault", default="", choices=["", *SHOWN_BY])
    values = parser.parse_args()
    kind = SHOWN_BY[values.fault] if values.fault else ToyQueue
    assert issubclass(kind, ToyQueue), values.fault
    return serve(ToyAdapter(kind))


if __name__ == "__main__":
    sys.exit(main())
