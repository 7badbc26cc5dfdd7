"""Records that a poll must bring once their producer was told that they are stored.

A record that is missing then may have come late, be lost, or be held up by one that comes again. Each of these breaks
another clause.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from conformance.suite.queue.fixture import DeliveredRecord, QueueFixture

#: Seconds after which a record that no poll has brought counts as lost.
LOST_AFTER = 1.0


def expect_stored(
    queue: QueueFixture, consumer: str, clause: str, message: str, acknowledged: Collection[str]
) -> DeliveredRecord:
    """Poll once, and judge `clause` by the record with this message, the only one that is free.

    An acknowledged record breaks ACK-COMMIT-1 instead, and a record that does not come later either DELIVER-1. Raises
    Violation if the record did not come at once.
    """
    reply = queue.poll(consumer)
    began = time.monotonic()
    is_late = reply.status != 200
    while reply.status != 200 and time.monotonic() < began + LOST_AFTER:
        reply = queue.poll(consumer)
    if reply.status == 200:
        record = queue.record_of(reply)
        queue.bench.judge(
            "ACK-COMMIT-1",
            record.message not in acknowledged,
            expected=f"{message}, and no record that was acknowledged",
            observed=record.whole,
        )
        queue.bench.judge(
            clause,
            record.message == message and not is_late,
            expected=f"{message} from the first poll behind the answer to its producer",
            observed=f"{record.whole}{' from a later poll' if is_late else ''}",
        )
        return record
    queue.bench.judge(
        "DELIVER-1",
        False,
        expected=f"{message}, which its producer was told to be stored, within {LOST_AFTER:g} s",
        observed=reply,
    )
    return queue.poll_record(consumer, "DELIVER-1")
