"""RabbitMQ: a node of its own, with its own ports, cookie, data folder and port mapper."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from tests.brokers.running import Start, free_ports

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"

_CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
stomp.listeners.tcp.1 = 127.0.0.1:{tcp}
web_stomp.tcp.ip = 127.0.0.1
web_stomp.tcp.port = {websocket}
# A full disk would stop all publishers.
disk_free_limit.absolute = 1MB
"""
_QUEUES = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
disk_free_limit.absolute = 1MB
"""


def start(_: Path, folder: Path) -> Start:
    """Write the configuration into a temporary folder; return the command line."""
    amqp, tcp, websocket = free_ports(3)
    return _start(
        folder,
        amqp,
        _CONFIGURATION.format(amqp=amqp, tcp=tcp, websocket=websocket),
        "rabbitmq_stomp,rabbitmq_web_stomp",
        {"tcp": f"stomp://127.0.0.1:{tcp}", "websocket": f"ws://127.0.0.1:{websocket}/ws"},
    )


def start_queues(folder: Path) -> Start:
    """Command line of a node for AMQP, with the consistent-hash exchange.

    The file `pid` in the folder has the number of the node's process.
    """
    (amqp,) = free_ports(1)
    return _start(
        folder,
        amqp,
        _QUEUES.format(amqp=amqp),
        "rabbitmq_consistent_hash_exchange",
        {"tcp": f"amqp://127.0.0.1:{amqp}"},
    )


def _start(folder: Path, amqp: int, configuration: str, plugins: str, urls: Mapping[str, str]) -> Start:
    distribution, mapper = free_ports(2)
    (folder / "rabbitmq.conf").write_text(configuration)
    (folder / "enabled_plugins").write_text(f"[{plugins}].\n")
    cookie = folder / ".erlang.cookie"
    cookie.write_text(f"stompliance{mapper}")
    cookie.chmod(0o400)
    # The port mapper of Erlang would else be started as a daemon, and outlive the node.
    command = f"epmd -port {mapper} -address 127.0.0.1 & exec {shlex.quote(SERVER)}"
    return Start(
        words=["sh", "-c", command],
        urls=urls,
        env={
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(mapper),
            "RABBITMQ_NODENAME": f"stompliance-{amqp}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
        },
    )
