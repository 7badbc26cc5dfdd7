"""Workloads: rates of receipts and of acknowledged messages, latencies of receipts and of deliveries.

Each workload counts all replies, and raises LoadFailed unless there are as many as there must be.
"""

from __future__ import annotations

import json
import math
import re
import selectors
import time
from collections import deque
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from tests.load.connection import PATIENCE, Connection, LoadFailed, Server
from tests.load.destinations import Destination, check_stored, fresh_broadcast, fresh_queue, fresh_topic
from tests.load.flows import Bounds, Flow, run
from tests.load.frames import Supply, acknowledgements, masked, stomp

if TYPE_CHECKING:
    from collections.abc import Callable

BODY_BYTES = 100
#: Most SENDs of a connection without their RECEIPT.
PUBLISH_WINDOW = 64
#: Most messages of a queue that are sent and not delivered.
QUEUE_WINDOW = 256
#: Messages a second of `delivery-latency`.
DELIVERY_RATE = 500
#: Encoded messages of a connection, which are sent again and again.
RING = 1024
#: Keys of records.
KEYS = 64
#: Subscribers that never read, and octets of the body of each message that goes to them.
SLOW_READERS, SLOW_BYTES = 5, 10_000
#: Share of a workload that runs before the measured part.
WARM_UP = 0.1
_ACK = re.compile(rb"\nack:([^\n]*)\n")

#: Figures of one run: `rate` in messages a second, percentiles of a latency in milliseconds.
Measures = dict[str, float]


def publish(server: Server, bounds: Bounds, connections: int) -> Measures:
    """Rate of SENDs that are answered by a RECEIPT, PUBLISH_WINDOW at a time on each connection."""
    targets = [fresh_topic(server) for _ in range(connections)]
    flows = []
    with ExitStack() as stack:
        for target in targets:
            link = stack.enter_context(Connection(server))
            flows.append(Flow(link, link, _supply(target, receipts=True), PUBLISH_WINDOW, _receipts))
        rate = _rate(flows, bounds, subscribed=False)
    for flow, target in zip(flows, targets, strict=True):
        check_stored(server, target, flow.sent)
    return {"rate": rate}


def queue(server: Server, bounds: Bounds, pairs: int) -> Measures:
    """Rate of messages through queues, QUEUE_WINDOW in flight in each, each acknowledged by itself."""
    targets = [fresh_queue(server) for _ in range(pairs)]
    flows = []
    with ExitStack() as stack:
        for target in targets:
            sender, receiver = (stack.enter_context(Connection(server)) for _ in range(2))
            _subscribe(receiver, target, "client-individual")
            supply = _supply(target, receipts=False)
            flows.append(Flow(sender, receiver, supply, QUEUE_WINDOW, partial(_acknowledge, receiver)))
        rate = _rate(flows, bounds, subscribed=True)
    for target in targets:
        check_stored(server, target, 0)
    return {"rate": rate}


def receipt_latency(server: Server, bounds: Bounds) -> Measures:
    """Time from a SEND to its RECEIPT, one at a time."""
    target = fresh_topic(server)
    latencies = _receipt_latencies(server, bounds, _supply(target, receipts=True))
    check_stored(server, target, len(latencies))
    return _percentiles(latencies)


def slow_readers_latency(server: Server, bounds: Bounds) -> Measures:
    """The same while each message goes to SLOW_READERS subscribers that never read, until the server drops them."""
    target = fresh_broadcast()
    supply = _supply(target, receipts=True, size=SLOW_BYTES)
    with ExitStack() as stack:
        for _ in range(SLOW_READERS):
            _subscribe(stack.enter_context(Connection(server)), target, "auto")
        return _percentiles(_receipt_latencies(server, bounds, supply))


def delivery_latency(server: Server, bounds: Bounds) -> Measures:
    """Time from a SEND to its MESSAGE at another connection, DELIVERY_RATE a second; a queue keeps their order."""
    target = fresh_queue(server)
    supply = _supply(target, receipts=False)
    total = max(1, min(bounds.messages, int(bounds.seconds * DELIVERY_RATE)))
    under_way: deque[float] = deque()
    latencies: list[float] = []
    with Connection(server) as sender, Connection(server) as receiver, selectors.SelectSelector() as selector:
        _subscribe(receiver, target, "auto")
        selector.register(receiver, selectors.EVENT_READ)
        started = time.perf_counter()
        while len(latencies) < total:
            sent, now = len(latencies) + len(under_way), time.perf_counter()
            due = started + sent / DELIVERY_RATE if sent < total else now + PATIENCE
            if now >= due:
                under_way.append(now)
                sender.send(supply.take(1))
            elif selector.select(due - now):
                arrived = _messages(receiver.receive())
                if arrived > len(under_way):
                    raise LoadFailed(f"{arrived} messages came, {len(under_way)} were under way")
                now = time.perf_counter()
                latencies += [now - under_way.popleft() for _ in range(arrived)]
            elif sent == total:
                raise LoadFailed(f"{len(latencies)} of {total} messages came, no more within {PATIENCE:g} s")
        _expect_end(receiver, subscribed=True)
    check_stored(server, target, 0)
    return _percentiles(latencies)


#: Workloads by name.
WORKLOADS: dict[str, Callable[[Server, Bounds], Measures]] = {
    "publish-1": partial(publish, connections=1),
    "publish-4": partial(publish, connections=4),
    "queue-1": partial(queue, pairs=1),
    "queue-4": partial(queue, pairs=4),
    "receipt-latency": receipt_latency,
    "slow-readers-latency": slow_readers_latency,
    "delivery-latency": delivery_latency,
}


def _rate(flows: list[Flow], bounds: Bounds, *, subscribed: bool) -> float:
    """Messages a second, after the warm-up; the time includes a RECEIPT that follows the last frame of each flow."""
    run(flows, bounds.part(WARM_UP))
    warm, started = sum(flow.sent for flow in flows), time.perf_counter()
    run(flows, bounds)
    for flow in flows:
        _expect_end(flow.receiver, subscribed=subscribed)
    return (sum(flow.sent for flow in flows) - warm) / (time.perf_counter() - started)


def _receipt_latencies(server: Server, bounds: Bounds, supply: Supply) -> list[float]:
    """Seconds from each SEND of a new connection to its RECEIPT, one at a time."""
    latencies: list[float] = []
    with Connection(server) as link:
        end = time.perf_counter() + bounds.seconds
        while len(latencies) < bounds.messages and (started := time.perf_counter()) < end:
            link.send(supply.take(1))
            while not (receipts := _receipts(link.receive())):
                pass
            latencies.append(time.perf_counter() - started)
            if receipts != 1:
                raise LoadFailed(f"{receipts} RECEIPTs for one SEND")
        _expect_end(link, subscribed=False)
    return latencies


def _supply(target: Destination, *, receipts: bool, size: int = BODY_BYTES) -> Supply:
    """Encoded SENDs with bodies of `size` octets: JSON records for a topic, plain text for a queue."""
    messages = []
    for number in range(RING):
        headers = {"destination": target.path, "content-length": str(size)} | target.headers
        if receipts:
            headers["receipt"] = f"{number:06}"
        messages.append(masked(stomp("SEND", headers, _record(number) if target.topic else b"x" * size)))
    return Supply(messages)


def _record(number: int) -> bytes:
    record = {"messageID": f"{number:06}", "key": f"{number % KEYS:02}", "message": ""}
    record["message"] = "x" * (BODY_BYTES - len(json.dumps(record)))
    return json.dumps(record).encode()


def _subscribe(link: Connection, target: Destination, ack: str) -> None:
    link.fence("SUBSCRIBE", target.headers | {"id": "0", "destination": target.path, "ack": ack})


def _receipts(octets: bytes) -> int:
    return octets.count(b"RECEIPT\n")


def _messages(octets: bytes) -> int:
    return octets.count(b"MESSAGE\n")


def _acknowledge(link: Connection, octets: bytes) -> int:
    """Acknowledge each message in these octets; return their number."""
    ids = _ACK.findall(octets)
    if len(ids) != _messages(octets):
        raise LoadFailed(f"{_messages(octets)} messages have {len(ids)} ack headers")
    link.send(acknowledgements(ids))
    return len(ids)


def _expect_end(link: Connection, *, subscribed: bool) -> None:
    """Raise LoadFailed if more comes before the RECEIPT of an UNSUBSCRIBE, or of a BEGIN."""
    last = ("UNSUBSCRIBE", {"id": "0"}) if subscribed else ("BEGIN", {"transaction": "last"})
    if late := link.fence(*last):
        raise LoadFailed(f"{late} more RECEIPTs or MESSAGEs came after the last one that was due")


def _percentiles(latencies: list[float]) -> Measures:
    ordered = sorted(latencies)
    return {
        f"p{percent}": 1000 * ordered[math.ceil(percent / 100 * len(ordered)) - 1] for percent in (50, 99)
    }
