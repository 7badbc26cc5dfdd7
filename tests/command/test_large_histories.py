"""A file of 100,000 events: the memory that its events take, progress, and the time of a judgement."""

from __future__ import annotations

import io
import json
import re
import resource
import tracemalloc
from itertools import count
from typing import TYPE_CHECKING, Any

from conformance.history.files import PROGRESS_EVENTS, read_stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.command.conftest import Command

EVENTS = 100_000
#: Octets of memory for one event, at most.
MOST = 1024
#: Processor seconds for the judgement of the file; it takes about 8 on a machine with nothing else to do.
MOST_SECONDS = 60.0
FACTS = {
    "kind": "history",
    "format": 1,
    "timings": {"heartbeat_timeout": 1e6, "eviction_grace": 1, "rebalance_limit": 1},
    "partitions": {"t": 6},
    "tells": ["positions"],
}


def lines(events: int) -> Iterator[bytes]:
    """A legal history: four consumers read 6 partitions in order, each record is sent, polled and acknowledged."""
    clock = count()

    def line(op: str, process: str, **members: Any) -> bytes:
        begin = next(clock) / 100
        document = {
            "op": op,
            "process": process,
            "begin": begin,
            "end": begin + 0.005,
            "outcome": "ok",
            **members,
        }
        return (json.dumps(document) + "\n").encode()

    yield (json.dumps(FACTS) + "\n").encode()
    for number in range(4):
        name = f"consumer-{number}"
        yield line("join", name, consumer=name, group="g", topics=["t"])
    for number in range((events - 4) // 3):
        partition, name = number % 6, f"consumer-{number % 6 % 4}"
        place = {"topic": "t", "text": f"record {number}", "partition": partition, "offset": number // 6}
        yield line("publish", "producer", key=f"key {partition}", **place)
        record = {"id": number, "key": f"key {partition}", **place}
        yield line("poll", name, consumer=name, records=[record])
        yield line("acknowledge", name, consumer=name, id=number)


def test_an_event_takes_less_than_a_kilobyte() -> None:
    """Events of the whole file are held in memory; progress is reported on the way."""
    stream = io.BytesIO(b"".join(lines(EVENTS)))
    told: list[int] = []
    tracemalloc.start()
    try:
        file = read_stream(stream, "large.jsonl", told.append)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert EVENTS - 3 <= file.length <= EVENTS
    assert taken / file.length < MOST
    assert told == [PROGRESS_EVENTS] * (file.length >= PROGRESS_EVENTS) + [EVENTS] * (file.length == EVENTS)


def test_the_judgement_of_a_large_file_takes_seconds_and_tells_how_far_it_is(
    conformance: Command, tmp_path: Path
) -> None:
    """At most a line a second on standard error; the processor time is that of the command."""
    path = tmp_path / "large.jsonl"
    path.write_bytes(b"".join(lines(EVENTS)))
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    ended = conformance("judge", str(path), "--promise", "one-in-flight", "--promise", "at-least-once")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < MOST_SECONDS
    progress = ended.stderr.splitlines()
    assert progress
    assert all(
        re.fullmatch(r".*large\.jsonl: (\d+ events read|looking for: .*|reading .*)", one) for one in progress
    )
