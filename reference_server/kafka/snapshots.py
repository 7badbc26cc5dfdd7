"""Snapshots of states: a partition of Kafka for each replica, which holds the last one or two, in pieces."""

import contextlib
import itertools
import time
from typing import Any

import msgspec
from confluent_kafka import TopicPartition

from reference_server.kafka.admin import AdminUnavailable
from reference_server.kafka.entries import Place
from reference_server.kafka.log import Appended, Log, Unavailable
from reference_server.kafka.replica import NODE, Replica

EVERY = 20_000
"""Entries after which a node writes a snapshot."""
_PIECE = 512 << 10
"""Octets of one message."""
_numbers = itertools.count(1)


class _Piece(msgspec.Struct, array_like=True):
    """One piece of a snapshot; `applied` is the offset of the first entry that it does not hold."""

    writer: bytes
    number: int
    index: int
    count: int
    applied: int
    now: float
    state: bytes


def write(log: Log, place: Place, replica: Replica[Any]) -> None:
    """Write a snapshot, and free what it replaces. Raises Unavailable."""
    with replica.lock:
        state, applied, now = replica.machine.dump(), replica.applied, replica.now
    pieces = [state[start : start + _PIECE] for start in range(0, len(state) or 1, _PIECE)]
    number = next(_numbers)
    written: list[Appended] = []
    for index, piece in enumerate(pieces):
        message = _Piece(NODE, number, index, len(pieces), applied, now, piece)
        log.append(place, msgspec.msgpack.encode(message), written.append)
    deadline = time.monotonic() + log.timeout + 1
    while len(written) < len(pieces):
        if time.monotonic() > deadline:
            raise Unavailable("a snapshot was not written in time")
        log.wait_a_little()
    if any(each.error for each in written):
        raise Unavailable("a snapshot was not written")
    # A node that reads on behind the free end takes the snapshot.
    _free(log, place, min(each.offset for each in written))
    _free(log, replica.place, applied)


def _free(log: Log, place: Place, offset: int) -> None:
    with contextlib.suppress(AdminUnavailable):
        log.admin.delete_before(place, offset, log.timeout)


def load(log: Log, place: Place, replica: Replica[Any]) -> None:
    """Give a replica the last whole snapshot, if there is one it has not passed. Raises Unavailable."""
    (end,) = log.ends([place])
    (start,) = log.ends([place], first=True)
    if start >= end:
        return
    consumer = log.new_consumer()
    try:
        consumer.assign([TopicPartition(*place, start)])
        sets: dict[tuple[bytes, int], list[_Piece]] = {}
        last: list[_Piece] = []
        deadline = time.monotonic() + log.timeout + 5
        position = start
        while position < end:
            if time.monotonic() > deadline:
                raise Unavailable(f"the snapshots in {place[0]} were not read in time")
            message = consumer.poll(0.2)
            if message is None or message.error() is not None:
                continue
            position = message.offset() + 1
            piece = msgspec.msgpack.decode(message.value() or b"", type=_Piece)
            pieces = sets.setdefault((piece.writer, piece.number), [])
            pieces.append(piece)
            if len(pieces) == piece.count:
                last = pieces if not last or piece.applied >= last[0].applied else last
                del sets[(piece.writer, piece.number)]
    finally:
        consumer.close()
    if last and last[0].applied > replica.applied:
        state = b"".join(piece.state for piece in sorted(last, key=lambda each: each.index))
        with replica.lock:
            replica.machine.load(state)
            replica.applied = last[0].applied
            replica.now = max(replica.now, last[0].now)
