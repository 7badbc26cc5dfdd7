"""A topic under pressure: one partition that is filled until it refuses records, or with many of them (extension
retention).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.suite.queue.expectations import publish_refused
from conformance.suite.queue.fixture import QueueFixture, publish_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.suite.queue.fixture import DeliveredRecord
    from conformance.wire.operations import Reply

#: Octets of a partition, and of a record: five fit, or four with what a server may count besides.
BOUND = 20_000
SIZE = 1_900
#: Key of all records; it counts as the message does.
LONG_KEY = "one-key".ljust(2_000, "-")
#: Records that are published where no bound refuses them.
UNBOUNDED = 12


class PressedTopic:
    """A topic of small partitions, and the records that one of them took, by their numbers in order."""

    def __init__(self, queue: QueueFixture) -> None:
        """Add the topic; without the extension topic-limits its partitions are as large as the server's are."""
        self.queue = queue
        self.is_bounded = queue.bench.declares("topic-limits")
        self.name = queue.new_topic(**({"partition_bytes": BOUND} if self.is_bounded else {}))
        self.stored: list[str] = []
        self.replies: list[Reply] = []
        self._sent = 0

    def publish(self) -> bool:
        """Publish one record; False if it was refused for want of room. Judges PUB-STORE-1 by 200 or a refusal."""
        number = str(self._sent)
        self._sent += 1
        body = {
            "messageID": number,
            "message": f"{number} ".ljust(SIZE, "x"),
            "key": LONG_KEY,
            "timestamp": 0,
        }
        reply = self.queue.call(publish_path(self.name), body, promise="PUB-STORE-1")
        if self.is_bounded and publish_refused(reply):
            return False
        self.queue.bench.judge(
            "PUB-STORE-1", reply.status == 200, expected="200, or a refusal for want of room", observed=reply
        )
        self.stored.append(number)
        self.replies.append(reply)
        return True

    def fill(self) -> None:
        """Publish until two records in a row are refused, or a number that is more than enough."""
        refusals = 0
        for _ in range(UNBOUNDED):
            refusals = 0 if self.publish() else refusals + 1
            if refusals == 2:
                return

    def press(self) -> None:
        """Publish some more records, whether or not there is room for them, so that what may go has a reason to."""
        for _ in range(4):
            self.publish()

    def read(self, consumer: str, count: int, clause: str) -> list[str]:
        """Read and acknowledge so many records; returns their numbers, and judges `clause`."""
        return numbers(self.queue.read_and_acknowledge(consumer, count, clause))

    def read_rest(self, consumer: str) -> list[str]:
        """Read and acknowledge until a poll is empty; returns numbers. No rebalance may be under way."""
        found: list[DeliveredRecord] = []
        while (reply := self.queue.poll(consumer)).status == 200 and len(found) <= self._sent:
            record = self.queue.record_of(reply)
            self.queue.acknowledge(consumer, record.message_id)
            found.append(record)
        return numbers(found)

    def reader(self) -> tuple[str, str]:
        """Add a group with a consumer that is subscribed to the topic: (group, consumer)."""
        group = self.queue.new_group()
        return group, self.queue.new_consumer(group, self.name)

    def described(self) -> list[dict[str, Any]]:
        """The partitions as introspection describes them; empty if the server has none, or says nothing of use."""
        if not self.queue.bench.declares("introspection"):
            return []
        document = self.queue.bench.http().request("GET", f"/topics/{self.name}").json()
        found = document.get("partitions") if isinstance(document, dict) else None
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def numbers(records: Sequence[DeliveredRecord]) -> list[str]:
    """Numbers of records of a pressed topic."""
    return [record.message.partition(" ")[0] for record in records]


def keep_everything(queue: QueueFixture, *topics: str) -> None:
    """Have a group of its own read these topics and commit nothing, so that no record is freed (RETENTION-KEEP-1).

    Nothing is done on a server without the extension retention, where records stay.
    """
    if queue.bench.declares("retention"):
        queue.new_consumer(queue.new_group(), *topics)
