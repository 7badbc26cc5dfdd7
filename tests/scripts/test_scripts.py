"""`producer.py TOPIC DELAY` and `consumer.py CONSUMER GROUP TOPIC DELAY` against a real server."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.server.wire import DEADLINE, Http, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference_server.server import Server
    from tests.server.conftest import Serve

SCRIPTS = Path(__file__).parents[2] / "scripts"


@contextmanager
def script(name: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Process of a sample client, killed at the end of the context if it still runs."""
    command = [sys.executable, str(SCRIPTS / name), *arguments]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Processes in the background of a shell ignore SIGINT, and pass that on to their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end; returns exit status, standard output and standard error."""
    output, complaints = process.communicate(timeout=DEADLINE)
    return process.returncode, output, complaints


def lines_until(process: subprocess.Popen[str], pattern: str) -> list[str]:
    """Read lines of output until one matches."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if re.search(pattern, line):
            return lines
    pytest.fail(f"no {pattern!r} in {lines}")


def url(server: Server, path: str = "", scheme: str = "ws") -> str:
    return f"{scheme}://127.0.0.1:{server.port}{path}"


@pytest.mark.parametrize("endpoint", [("ws", "/producer"), ("ws", "/stomp"), ("http", "")])
def test_a_producer(server: Server, endpoint: tuple[str, str]) -> None:
    """The producer registers the topic, publishes, and reports each record as sent and as stored."""
    scheme, path = endpoint
    for _ in range(2):  # the second time the topic exists
        with script(
            "producer.py", "orders", "0", "--count", "3", "--url", url(server, path, scheme)
        ) as process:
            status, output, complaints = finish(process)
        assert (status, complaints) == (0, "")
        assert output.count("sent ") == output.count("acknowledged ") == 3
        assert "FAILED" not in output
    with Http.to(server) as client:
        assert sum(row["endOffset"] for row in client.get("/topics/orders").json["partitions"]) == 6


def test_a_consumer(server: Server) -> None:
    """The consumer joins, prints and acknowledges each record, and leaves no record in flight and no member."""
    with Http.to(server) as client:
        client.ask("/topic/add-topic", topicName="orders", partitions=2)
        for number in range(4):
            client.ask("/publish/orders", messageID=number, message=f"order {number}", key=f"k{number}")
        with script(
            "consumer.py", "alice", "billing", "orders", "0", "--count", "4", "--url", url(server, "", "http")
        ) as process:
            status, output, complaints = finish(process)
        assert (status, complaints) == (0, "")
        assert output.startswith("alice joined billing and reads orders")
        assert [f"'order {number}'  acknowledged" in output for number in range(4)] == [True] * 4
        group = client.get("/consumer-groups/billing").json
        assert group["members"] == []
        assert [row["lag"] for row in group["assignment"]] == [0, 0]


def test_a_consumer_prints_any_record_in_any_encoding(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Characters that the encoding of standard output lacks are escaped: the consumer goes on, and acknowledges."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    with Http.to(server) as client:
        client.ask("/topic/add-topic", topicName="orders", partitions=1)
        client.ask("/publish/orders", messageID=1, message="caf\xe9", key="\u65e5")
    address = url(server, "", "http")
    with script(
        "consumer.py", "alice", "billing", "orders", "0", "--count", "1", "--url", address
    ) as process:
        status, output, complaints = finish(process)
    assert (status, complaints) == (0, "")
    assert r"key=\u65e5  'caf\xe9'  acknowledged" in output


def test_both_until_ctrl_c(server: Server) -> None:
    """Records go from producer to consumer until Ctrl-C ends each cleanly."""
    with script("producer.py", "orders", "0.01", "--url", url(server, "/producer")) as producer:
        lines_until(producer, "acknowledged")
        with script("consumer.py", "alice", "billing", "orders", "0.01", "--url", url(server)) as consumer:
            lines_until(consumer, "order 2'  acknowledged")
            consumer.send_signal(signal.SIGINT)
            status, output, complaints = finish(consumer)
            assert (status, complaints) == (0, "")
            assert output.endswith("leaving\n")
        producer.send_signal(signal.SIGINT)
        status, output, complaints = finish(producer)
        assert (status, complaints) == (0, "")
        assert output.endswith("leaving\n")
    with Http.to(server) as client:
        assert client.get("/consumer-groups/billing").json["members"] == []
    eventually(lambda: server.listener.connections == 0, "a connection is left")


def test_a_consumer_that_waits_long_stays_a_member(serve: Serve) -> None:
    """Between two polls the consumer sends heartbeats at a third of the declared timeout."""
    server = serve(heartbeat_timeout=3)
    with Http.to(server) as client:
        client.ask("/topic/add-topic", topicName="orders")
        with script("consumer.py", "alice", "billing", "orders", "3600", "--url", url(server)) as process:
            lines_until(process, "joined")
            consumer = server.application._broker.consumers["alice"]
            seen = set[float]()

            def has_beaten() -> bool:
                seen.add(consumer.seen)
                return len(seen) > 3

            eventually(has_beaten, "it is silent")
            members = client.get("/consumer-groups/billing").json["members"]
            assert [member["consumer_name"] for member in members] == ["alice"]
            process.send_signal(signal.SIGINT)
            assert finish(process)[0] == 0


def test_an_evicted_consumer_joins_again(server: Server) -> None:
    """An evicted consumer reports the eviction and joins again."""
    with Http.to(server) as client:
        client.ask("/topic/add-topic", topicName="orders")
        with script("consumer.py", "alice", "billing", "orders", "0.01", "--url", url(server)) as process:
            lines_until(process, "joined")
            client.ask("/consumer/unregister-consumer", consumer_name="alice")
            lines_until(process, "joining again")
            lines_until(process, "joined")
            client.ask("/publish/orders", messageID=1, message="late")
            lines_until(process, "late")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("producer.py", ["orders", "1"]), ("consumer.py", ["alice", "billing", "orders", "1"])],
)
def test_nobody_is_there(name: str, arguments: list[str]) -> None:
    """A missing broker gives advice and exit status 2, without a traceback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = f"ws://127.0.0.1:{free.getsockname()[1]}/producer"
        with script(name, *arguments, "--url", nowhere) as process:
            status, output, complaints = finish(process)
    assert (status, output) == (2, "")
    assert f"No broker answers at {nowhere}" in complaints
    assert "python -m reference_server" in complaints
    assert "Traceback" not in complaints


@pytest.mark.parametrize(
    "bad",
    [
        "nonsense",
        "ftp://127.0.0.1",
        "http://127.0.0.1:x",
        "http://",
        "http://[::1",
        "ws://two..dots/",
        "ws://" + "a" * 64,
    ],
)
def test_urls_that_are_none(bad: str) -> None:
    """A malformed URL gives advice and exit status 2, without a traceback."""
    with script("producer.py", "orders", "1", "--url", bad) as process:
        status, _, complaints = finish(process)
    assert status == 2
    assert "is no URL of a broker" in complaints
    assert "Traceback" not in complaints


def test_the_server_stops_meanwhile(serve: Serve) -> None:
    """Both clients report the lost broker and exit."""
    server = serve()
    with script("producer.py", "orders", "0.01", "--url", url(server, "/producer")) as producer:
        lines_until(producer, "acknowledged")
        with script("consumer.py", "alice", "billing", "orders", "0.01", "--url", url(server)) as consumer:
            lines_until(consumer, "acknowledged")
            server.stop()
            for process in (producer, consumer):
                status, _, complaints = finish(process)
                assert status in {1, 2}
                assert complaints
                assert "Traceback" not in complaints


def test_a_consumer_waits_for_its_topic(server: Server) -> None:
    """On a fresh broker the consumer may come first: it waits, says so, and begins when a producer adds the topic."""
    with script("consumer.py", "alice", "billing", "orders", "0.01", "--url", url(server)) as consumer:
        assert lines_until(consumer, "waiting for the topic orders")
        with script(
            "producer.py", "orders", "0", "--count", "2", "--url", url(server, "/producer")
        ) as producer:
            assert finish(producer)[0] == 0
        lines_until(consumer, "joined billing and reads orders")
        lines_until(consumer, "acknowledged")
        consumer.send_signal(signal.SIGINT)
        status, output, complaints = finish(consumer)
        assert (status, complaints) == (0, "")
        assert output.endswith("leaving\n")


def test_a_consumer_that_waits_for_its_topic_can_be_evicted_or_ended(server: Server) -> None:
    """The wait outlasts an eviction, and Ctrl-C ends it cleanly."""
    with Http.to(server) as client:
        with script("consumer.py", "alice", "billing", "orders", "0.01", "--url", url(server)) as consumer:
            lines_until(consumer, "waiting for the topic orders")
            client.ask("/consumer/unregister-consumer", consumer_name="alice")
            client.ask("/topic/add-topic", topicName="orders")
            lines_until(consumer, "joined billing and reads orders")
        with script("consumer.py", "bob", "billing", "letters", "0.01", "--url", url(server)) as consumer:
            lines_until(consumer, "waiting for the topic letters")
            consumer.send_signal(signal.SIGINT)
            status, output, complaints = finish(consumer)
            assert (status, complaints) == (0, "")
            assert output.endswith("leaving\n")
        members = client.get("/consumer-groups/billing").json["members"]
        assert "bob" not in [member["consumer_name"] for member in members]


def test_refusals(server: Server) -> None:
    """A refusal is reported in the broker's words, with exit status 1."""
    cases = [
        ("producer.py", ["a/b", "1"], "topicName"),
        ("consumer.py", ["c", "g/h", "orders", "1"], "consumer_group_name"),
    ]
    for name, arguments, said in cases:
        with script(name, *arguments, "--url", url(server, "/producer")) as process:
            status, _, complaints = finish(process)
        assert status == 1, complaints
        assert said in complaints
        assert "Traceback" not in complaints


@pytest.mark.parametrize("name", ["producer.py", "consumer.py"])
def test_help(name: str) -> None:
    """`--help` describes the client with an example; malformed numbers are refused."""
    with script(name, "--help") as process:
        status, output, _ = finish(process)
    assert status == 0
    assert "example: python scripts/" in output
    assert "--url" in output
    given = ["orders"] if name == "producer.py" else ["alice", "billing", "orders"]
    for delay, extra in (("-1", []), ("x", []), ("1", ["--count", "0"])):
        with script(name, *given, delay, *extra) as process:
            status, _, complaints = finish(process)
        assert status == 2
        assert "is not a number" in complaints
