"""ActiveMQ Artemis: an instance made by its own `create`, with one acceptor for all protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.brokers.installing import carry_out
from tests.brokers.running import Start, free_ports

if TYPE_CHECKING:
    from pathlib import Path


def start(home: Path, folder: Path) -> Start:
    """Make the instance in a temporary folder; return the command line. Raises CannotInstall."""
    (port,) = free_ports(1)
    instance = folder / "instance"
    carry_out(
        [
            str(home / "bin" / "artemis"),
            "create",
            str(instance),
            "--silent",
            "--user",
            "admin",
            "--password",
            "admin",
            "--require-login",
            "--host",
            "127.0.0.1",
            "--default-port",
            str(port),
            "--no-amqp-acceptor",
            "--no-hornetq-acceptor",
            "--no-mqtt-acceptor",
            "--no-stomp-acceptor",
            "--no-web",
            "--no-autotune",
        ]
    )
    configuration = instance / "etc" / "broker.xml"
    # A disk that is full to nine tenths would stop all publishers.
    text = configuration.read_text("utf-8").replace("<max-disk-usage>90<", "<max-disk-usage>-1<")
    configuration.write_text(text, "utf-8")
    return Start(
        words=[str(instance / "bin" / "artemis"), "run"],
        urls={"tcp": f"stomp://127.0.0.1:{port}", "websocket": f"ws://127.0.0.1:{port}/stomp"},
    )
