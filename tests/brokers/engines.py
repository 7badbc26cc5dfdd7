"""Engines that are driven through the adapters: how each is had, started, and killed so that it comes back.

A small shell loop starts an engine again whenever it ends, with its data; the script `kill-engine` in its folder kills
it by SIGKILL and ends when the process is gone.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tests.brokers import kafka, rabbitmq
from tests.brokers.debian import DebianPackage
from tests.brokers.gomodule import GoProgram
from tests.brokers.installing import CannotInstall
from tests.brokers.running import Start, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from urllib.parse import SplitResult

    from tests.brokers.installing import Installation

ADAPTERS = Path(__file__).resolve().parents[2] / "adapters"
KILL = "kill-engine"
_AGAIN = 'while :; do "$@" & echo $! >"$0"; wait $!; done'
_KILL = """\
# Kills the engine, and ends when its process is gone.
number=$(cat {pid})
kill -9 "$number"
while kill -0 "$number" 2>/dev/null; do sleep 0.05; done
"""


@dataclass(frozen=True)
class Engine:
    """One engine: `start` gets the installed folder and a temporary one for configuration, data and log.

    `adapter` is the name of its program in adapters/, `client` the package of its client, `modes` are options of the
    adapter, by name, each of which is judged; `address` makes the adapter's option from the engine's URL. `needs` is a
    file that is there once the engine is installed: absolute, or in the cache.
    """

    name: str
    title: str
    version: str
    license: str
    installation: Installation
    start: Callable[[Path, Path], Start]
    adapter: str
    client: str
    needs: str
    address: Callable[[SplitResult], list[str]]
    modes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"": ()})

    def command(self, url: SplitResult, folder: Path, options: tuple[str, ...]) -> str:
        """Command line of the adapter, for `--adapter`."""
        restart = f"sh {shlex.quote(str(folder / KILL))}"
        words = [
            sys.executable,
            str(ADAPTERS / f"{self.adapter}.py"),
            *self.address(url),
            "--restart",
            restart,
        ]
        return shlex.join([*words, *options])

    def missing(self, cache: Path) -> str:
        """The engine's or client's part that is not installed, "" if all are; nothing is installed."""
        if find_spec(self.client) is None:
            return f"the package {self.client}"
        return "" if (cache / self.needs).exists() else f"{self.title} ({self.installation.source})"

    def why_not(self, cache: Path) -> str:
        """Reason why the engine or its client can't be had, "" if both are there or were installed."""
        if find_spec(self.client) is None:
            return f"the package of the client {self.client} is not installed: pip install -e '.[adapters]'"
        try:
            self.installation.install(cache)
        except CannotInstall as error:
            return str(error)
        return ""


def coming_back(words: list[str], folder: Path, pid: Path | None = None) -> list[str]:
    """Command line that starts these words again whenever they end; writes `kill-engine`.

    `pid` is the file with the number of the process, if it is another one than that of the words.
    """
    own = folder / "engine.pid"
    (folder / KILL).write_text(_KILL.format(pid=shlex.quote(str(pid or own))))
    return ["sh", "-c", _AGAIN, str(own), *words]


def _redis(_: Path, folder: Path) -> Start:
    """Command line of Redis with each write on disk before its answer, as kill -9 needs it."""
    (port,) = free_ports(1)
    words = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    words += ["--appendonly", "yes", "--appendfsync", "always"]
    return Start(coming_back(words, folder), {"tcp": f"redis://127.0.0.1:{port}"})


def _nats(home: Path, folder: Path) -> Start:
    """Command line of a NATS server with JetStream in files."""
    (port,) = free_ports(1)
    words = [
        str(home / "nats-server"),
        "-a",
        "127.0.0.1",
        "-p",
        str(port),
        "-js",
        "-sd",
        str(folder / "data"),
    ]
    return Start(coming_back(words, folder), {"tcp": f"nats://127.0.0.1:{port}"})


def _kafka(home: Path, folder: Path) -> Start:
    """Command line of one Kafka broker, formatted, which is the controller as well."""
    port, controller = free_ports(2)
    words = kafka.command(home, folder, port, controller)
    return Start(coming_back(words, folder), {"tcp": f"kafka://127.0.0.1:{port}"})


def _rabbitmq(_: Path, folder: Path) -> Start:
    """Command line of a RabbitMQ node with the consistent-hash exchange."""
    start = rabbitmq.start_queues(folder)
    # The script that starts the node stays its parent, and ends with it.
    return Start(coming_back(start.words, folder, folder / "pid"), start.urls, start.env)


ENGINES = {
    engine.name: engine
    for engine in (
        Engine(
            "redis",
            "Redis Streams",
            "7.0.15",
            "BSD",
            DebianPackage("redis-server", "/usr/bin/redis-server"),
            _redis,
            "redis_streams",
            "redis",
            "/usr/bin/redis-server",
            lambda url: ["--port", str(url.port)],
        ),
        Engine(
            "nats",
            "NATS JetStream",
            "2.15.3",
            "Apache",
            GoProgram("github.com/nats-io/nats-server/v2@v2.15.3", "nats-server"),
            _nats,
            "nats_jetstream",
            "nats",
            "nats-server-2.15.3/nats-server",
            lambda url: ["--server", url.geturl()],
            # A kill may undo an acknowledgement that was answered, so that more is promised without one.
            {"steady": ("--restart", ""), "restart": ()},
        ),
        Engine(
            "kafka",
            "Apache Kafka",
            "4.0.2",
            "Apache",
            kafka.KafkaJars(),
            _kafka,
            "kafka",
            "confluent_kafka",
            "kafka_2.13-4.0.2/lib",
            lambda url: ["--bootstrap", url.netloc],
            {"subscribe": ("--mode", "subscribe"), "assign": ("--mode", "assign")},
        ),
        Engine(
            "rabbitmq-queues",
            "RabbitMQ quorum queues",
            "3.10.8",
            "MPL",
            DebianPackage("rabbitmq-server", rabbitmq.SERVER),
            _rabbitmq,
            "rabbitmq_queues",
            "pika",
            rabbitmq.SERVER,
            lambda url: ["--port", str(url.port)],
        ),
    )
}
