"""Table of the brokers that are judged by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.brokers import activemq, artemis, rabbitmq, small
from tests.brokers.debian import DebianPackage
from tests.brokers.gomodule import GoModule
from tests.brokers.maven import MavenArchive, MavenLibraries
from tests.brokers.npm import NpmPackage
from tests.brokers.pypi import PypiPackage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.brokers.installing import Installation
    from tests.brokers.running import Start

TRANSPORTS = ("tcp", "websocket")


@dataclass(frozen=True)
class Broker:
    """One broker: `start` gets the installed folder and a temporary one for configuration, data and log."""

    name: str
    title: str
    version: str
    license: str
    installation: Installation
    start: Callable[[Path, Path], Start]
    transports: tuple[str, ...]
    #: Word for `--target`.
    target: str


BROKERS = {
    broker.name: broker
    for broker in (
        Broker(
            "rabbitmq",
            "RabbitMQ",
            "3.10.8",
            "MPL",
            DebianPackage("rabbitmq-server", rabbitmq.SERVER),
            rabbitmq.start,
            ("tcp", "websocket"),
            "rabbitmq",
        ),
        Broker(
            "activemq",
            "ActiveMQ Classic",
            "5.18.3",
            "Apache",
            MavenArchive("org.apache.activemq:apache-activemq:5.18.3"),
            activemq.start,
            ("tcp", "websocket"),
            "activemq",
        ),
        Broker(
            "artemis",
            "ActiveMQ Artemis",
            "2.44.0",
            "Apache",
            MavenArchive("org.apache.activemq:apache-artemis:2.44.0"),
            artemis.start,
            ("tcp", "websocket"),
            "artemis",
        ),
        Broker(
            "vertx-stomp",
            "Vert.x STOMP",
            "5.0.7",
            "Apache, EPL",
            MavenLibraries(("io.vertx:vertx-stomp:5.0.7",), "VertxBroker.java"),
            small.vertx,
            ("tcp", "websocket"),
            "vertx-stomp",
        ),
        Broker(
            "coilmq",
            "CoilMQ",
            "1.1.0",
            "Apache",
            PypiPackage("coilmq==1.1.0"),
            small.coilmq,
            ("tcp",),
            "coilmq",
        ),
        Broker(
            "go-stomp",
            "go-stomp's server",
            "3.1.5",
            "Apache",
            GoModule("github.com/go-stomp/stomp/v3@v3.1.5", "go_stomp.go"),
            small.go_stomp,
            ("tcp",),
            "go-stomp",
        ),
        Broker(
            "stompserver",
            "stompserver",
            "0.9.9",
            "MIT",
            DebianPackage("stompserver", "/usr/bin/stompserver"),
            small.stompserver,
            ("tcp",),
            "stompserver",
        ),
        Broker(
            "spring-simple",
            "Spring's simple broker",
            "6.2.12",
            "Apache",
            MavenLibraries(
                ("org.springframework.boot:spring-boot-starter-websocket:3.5.7",), "SpringBroker.java"
            ),
            small.spring,
            ("websocket",),
            "spring-simple",
        ),
        Broker(
            "stomp-broker-js",
            "stomp-broker-js",
            "1.3.0",
            "MIT",
            NpmPackage("stomp-broker-js@1.3.0"),
            small.stomp_broker_js,
            ("websocket",),
            "stomp-broker-js",
        ),
    )
}
