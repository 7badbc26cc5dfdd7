"""A Kafka that wants a login: `--log-option` hands its settings to the client library."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.brokers.running import free_ports
from tests.kafka.client import Client
from tests.kafka.cluster import running, why_not
from tests.kafka.nodes import Node

_LISTENERS = """\
listeners=PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller}},SASL_PLAINTEXT://127.0.0.1:{secured}
advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},SASL_PLAINTEXT://127.0.0.1:{secured}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=\\
  org.apache.kafka.common.security.plain.PlainLoginModule required user_node="secret";
"""
LOGIN = ("security.protocol=SASL_PLAINTEXT", "sasl.mechanism=PLAIN", "sasl.username=node")


def _options(password: str) -> list[str]:
    entries = [*LOGIN, f"sasl.password={password}"]
    return [word for entry in entries for word in ("--log-option", entry)]


def test_a_node_logs_in() -> None:
    """With the right password it serves, topics are made, and records stored; with a wrong one it ends: status 2."""
    if reason := why_not():
        pytest.skip(f"no Kafka: {reason}")
    (secured,) = free_ports(1)
    with running(more=_LISTENERS.format(secured=secured)):
        log = f"kafka://127.0.0.1:{secured}"
        with Node(log, _options("secret")) as node:
            client = Client(node.url)
            assert client.post("/topic/add-topic", topicName="news").status == 200
            assert client.publish("news", "hello").body["offset"] == 0
        words = [sys.executable, "-m", "reference_server", "--port", "0", "--log", log, "--log-timeout", "1"]
        done = subprocess.run(
            [*words, *_options("wrong")], capture_output=True, text=True, timeout=90, check=False
        )
    assert done.returncode == 2
    assert "cannot be used" in done.stderr
    assert "wrong" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("acks=0", "log_option: 'acks' cannot be used. Expected NAME=VALUE"),
        ("security.protocol", "Expected NAME=VALUE"),
        ("security.protocol=nonsense", "does not take security.protocol"),
        ("ssl.ca.location=/no/such/file", "log_option"),
    ],
)
def test_other_options_are_wrong_usage(entry: str, said: str) -> None:
    """Status 2 with what was expected: a node depends on its other settings."""
    words = [sys.executable, "-m", "reference_server", "--port", "0", "--log", "kafka://127.0.0.1:9"]
    more = ["--log-option", "security.protocol=SSL"] if entry.startswith("ssl") else []
    done = subprocess.run(
        [*words, *more, "--log-option", entry], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
