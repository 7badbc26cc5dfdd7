"""How long clients of the reference server wait for its one lock while somebody makes it do much.

    python -m tests.server.lock_waits [silence] [fan-out] [commit]

`silence`: 100 consumers with 2,000 topics each fall silent, and are evicted; `fan-out`: a message of a megabyte goes
to 1,000 subscriptions on 250 connections; `commit`: a transaction of 10,000 SENDs is committed. Meanwhile a client asks
one short question after another. The table has its times, and the waits for the lock of all steps, which the server
counts in a histogram. On a machine whose cores are all busy a step also waits for a core: look at the lock waits there.

Exit status: 0 if nobody waited longer than 50 ms for the lock, otherwise 1.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from tests.server.test_command_line import Running, running
from tests.server.wire import DEADLINE, TEXT, Http, Stomp, frame, stomp_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Longest wait for the lock, in seconds.
BOUND = 0.05
#: Share of the waits and of the answers that the table shows beside the longest.
SHARE = 0.99
CONSUMERS, TOPICS = 100, 2000
CONNECTIONS, SUBSCRIPTIONS_EACH = 250, 4
BODY = b"x" * 1_000_000
FRAMES = 10_000
HEARTBEAT_TIMEOUT = 20.0
#: Deadline of the work of one case, in seconds.
WORK_SECONDS = 120.0
_BUCKET = re.compile(r'^stompliance_lock_wait_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)


class Case(NamedTuple):
    """One case, with the times of the answers meanwhile; all times are in seconds.

    `lock_bound` is the upper bound of the bucket that holds the wait at SHARE of all, `lock_longest` that of the
    longest.
    """

    name: str
    seconds: float
    answers: list[float]
    lock_bound: float
    lock_longest: float

    @property
    def late(self) -> float:
        """Time of an answer at SHARE of all, in seconds."""
        return sorted(self.answers)[int(SHARE * (len(self.answers) - 1))]

    @property
    def is_good(self) -> bool:
        """True if no wait for the lock was longer than BOUND."""
        return self.lock_longest <= BOUND


def silence() -> Case:
    """Let all consumers of a group fall silent at once."""
    with _server("--heartbeat-timeout", f"{HEARTBEAT_TIMEOUT:g}", "--partitions", "1") as (server, client):
        names = [f"t{number}" for number in range(TOPICS)]
        members = [f"c{number}" for number in range(CONSUMERS)]
        for name in names:
            client.ask("/topic/add-topic", topicName=name)
        client.ask("/consumer-group/add", consumer_group_name="g")
        for name in members:
            client.ask("/consumer/register-consumer", consumer_group_name="g", consumer_name=name)
            for each in members:
                client.ask("/consumer/heartbeat", consumer_name=each)
            client.ask("/consumer/subscribe-topic", consumer_name=name, topic_list=",".join(names))
        for name in members:
            assert client.ask("/consumer/heartbeat", consumer_name=name).status == 202

        def are_evicted() -> None:
            give_up = time.monotonic() + WORK_SECONDS
            while _metric(client, "evictions_total") < CONSUMERS:
                assert time.monotonic() < give_up, "the consumers are not evicted"
                threading.Event().wait(0.2)

        return _measured("silence", server, are_evicted)


def fan_out() -> Case:
    """Send one large message to many subscriptions, all of which read it."""
    with _server() as (server, _client), contextlib.ExitStack() as stack:
        readers = [stack.enter_context(Stomp.connected(server)) for _ in range(CONNECTIONS)]
        for each in readers:
            for number in range(SUBSCRIPTIONS_EACH):
                each.subscribe("/topic/all", str(number))
        sender = stack.enter_context(Stomp.connected(server))

        def read(each: Stomp) -> None:
            for _ in range(SUBSCRIPTIONS_EACH):
                each.take_until(BODY + b"\0")

        def all_get_it() -> None:
            sender.say("SEND", {"destination": "/topic/all"}, BODY)
            with ThreadPoolExecutor(16) as pool:
                list(pool.map(read, readers))

        return _measured("fan-out", server, all_get_it)


def commit() -> Case:
    """Commit a large transaction."""
    with _server() as (server, _client), Stomp.connected(server) as sender:
        sender.say("BEGIN", {"transaction": "t"})
        for _ in range(FRAMES):
            octets = stomp_frame("SEND", {"destination": "/queue/all", "transaction": "t"}, b"x" * 100)
            sender.send(frame(TEXT, octets))
        sender.fence()

        def is_committed() -> None:
            sender.say("COMMIT", {"transaction": "t", "receipt": "committed"})
            assert sender.expect("RECEIPT")["receipt-id"] == "committed"

        return _measured("commit", server, is_committed)


CASES: dict[str, Callable[[], Case]] = {"silence": silence, "fan-out": fan_out, "commit": commit}


@contextlib.contextmanager
def _server(*options: str) -> Iterator[tuple[Running, Http]]:
    with running("--port", "0", *options) as server, Http.to(server) as client:
        yield server, client


def _measured(name: str, server: Running, work: Callable[[], None]) -> Case:
    """Do the work, and ask all the while in another thread."""
    answers: list[float] = []
    over = threading.Event()

    def ask() -> None:
        with Http.to(server) as client:
            while not over.is_set():
                began = time.monotonic()
                assert client.ask("/topic/add-topic", topicName="").status == 400
                answers.append(time.monotonic() - began)

    with Http.to(server) as client:
        before = _lock_waits(client)
        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        began = time.monotonic()
        try:
            work()
        finally:
            over.set()
            asking.join(DEADLINE)
        seconds = time.monotonic() - began
        waits = {bound: count - before[bound] for bound, count in _lock_waits(client).items()}
    total = max(waits.values())
    return Case(
        name,
        seconds,
        answers,
        min(bound for bound, count in waits.items() if count >= SHARE * total),
        min(bound for bound, count in waits.items() if count >= total),
    )


def _lock_waits(client: Http) -> dict[float, float]:
    """Number of waits up to each bound in seconds."""
    text = client.get("/metrics").body.decode()
    return {float(bound): float(count) for bound, count in _BUCKET.findall(text)}


def _metric(client: Http, name: str) -> float:
    found = re.search(rf"^stompliance_{name} (\S+)$", client.get("/metrics").body.decode(), re.MULTILINE)
    assert found
    return float(found[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.server.lock_waits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="only these")
    values = parser.parse_args(arguments)
    if unknown := set(values.cases) - CASES.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; the cases are {', '.join(CASES)}")
    table = Table(box=box.SIMPLE)
    for column in (
        "case",
        "seconds",
        "answers",
        "99 %",
        "longest",
        "99 % of lock waits",
        "longest lock wait",
    ):
        table.add_column(column, justify="left" if column == "case" else "right")
    cases = []
    for name in values.cases or CASES:
        print(f"{name} …", flush=True)
        cases.append(case := CASES[name]())
        table.add_row(
            case.name,
            f"{case.seconds:.1f}",
            f"{len(case.answers)}",
            _milliseconds(case.late),
            _milliseconds(max(case.answers)),
            f"≤ {_milliseconds(case.lock_bound)}",
            f"≤ {_milliseconds(case.lock_longest)}",
        )
    Console(highlight=False).print(table)
    return 0 if all(case.is_good for case in cases) else 1


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"


if __name__ == "__main__":
    sys.exit(main())
