"""Brokers that need no configuration but a port, most of them libraries."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from tests.brokers.installing import PROGRAMS
from tests.brokers.running import Start, free_ports

if TYPE_CHECKING:
    from pathlib import Path


def coilmq(home: Path, _: Path) -> Start:
    """Command line of CoilMQ with its defaults: messages in memory, no authentication."""
    (port,) = free_ports(1)
    main = "from coilmq.start import main; main()"
    return Start(
        words=[str(home / "bin" / "python"), "-c", main, "-b", "127.0.0.1", "-p", str(port)],
        urls={"tcp": f"stomp://127.0.0.1:{port}"},
        # It refuses a `host` that is not the whole name of its machine.
        options=("--host-header", socket.getfqdn()),
    )


def stompserver(_: Path, folder: Path) -> Start:
    """Command line of stompserver with its defaults: messages in memory, no authentication."""
    (port,) = free_ports(1)
    (folder / "etc").mkdir()
    words = [
        "ruby",
        str(PROGRAMS / "stompserver.rb"),
        "--port",
        str(port),
        "--host",
        "127.0.0.1",
        "--queuetype",
        "memory",
    ]
    return Start(words=[*words, "--working_dir", str(folder)], urls={"tcp": f"stomp://127.0.0.1:{port}"})


def go_stomp(home: Path, _: Path) -> Start:
    """Command line of go-stomp's server, started again after a panic that ends the process."""
    (port,) = free_ports(1)
    again = 'while "$0" "$1"; [ $? -eq 2 ]; do echo "started again"; done'
    return Start(
        words=["sh", "-c", again, str(home / "broker"), f"127.0.0.1:{port}"],
        urls={"tcp": f"stomp://127.0.0.1:{port}"},
        # A panic ends the connections of all tests that run at the time.
        options=("--parallel", "1"),
    )


def vertx(home: Path, folder: Path) -> Start:
    """Command line of the server of Vert.x."""
    tcp, websocket = free_ports(2)
    words = [
        "java",
        f"-Dvertx.cacheDirBase={folder}",
        *_class_path(home),
        "VertxBroker",
        str(tcp),
        str(websocket),
    ]
    return Start(
        words=words,
        urls={"tcp": f"stomp://127.0.0.1:{tcp}", "websocket": f"ws://127.0.0.1:{websocket}/stomp"},
    )


def spring(home: Path, _: Path) -> Start:
    """Command line of Spring's simple broker."""
    (port,) = free_ports(1)
    words = ["java", *_class_path(home), "SpringBroker", str(port)]
    return Start(words=words, urls={"websocket": f"ws://127.0.0.1:{port}/ws"})


def stomp_broker_js(home: Path, _: Path) -> Start:
    """Command line of stomp-broker-js."""
    (port,) = free_ports(1)
    words = ["node", str(PROGRAMS / "stomp_broker.js"), str(home), str(port)]
    return Start(words=words, urls={"websocket": f"ws://127.0.0.1:{port}/stomp"})


def _class_path(home: Path) -> list[str]:
    return ["-cp", f"{home / 'classes'}:{home / 'lib' / '*'}"]
