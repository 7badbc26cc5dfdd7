"""Kafka brokers: got from Maven Central once, formatted and started in a temporary folder, and stopped."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.brokers.installing import CannotInstall, carry_out, default_cache, new_folder, tool
from tests.brokers.maven import POM, dependency
from tests.brokers.running import CannotStart, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

ARTIFACT = "org.apache.kafka:kafka_2.13:4.0.2"
#: Longest time until all brokers answer, and until one has ended, in seconds.
START_SECONDS = 90.0
STOP_SECONDS = 15.0
_CLUSTER = "4L6g3nShT-eMCtK--X86sw"
_LAST_LINES = 15
_JVM = ("-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
_PROPERTIES = """\
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.replication.factor={replication}
offsets.topic.num.partitions=1
transaction.state.log.replication.factor={replication}
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
log.index.size.max.bytes=65536
log.segment.bytes=67108864
log.cleaner.dedupe.buffer.size=8388608
delete.topic.enable=true
file.delete.delay.ms=1000
controlled.shutdown.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
replica.lag.time.max.ms=3000
controller.quorum.election.timeout.ms=500
controller.quorum.fetch.timeout.ms=1000
"""


def install(cache: Path | None = None) -> Path:
    """Folder with the libraries of Kafka, from the cache if it is there.

    Raises CannotInstall, also where the client of Kafka is not installed.
    """
    if importlib.util.find_spec("confluent_kafka") is None:
        raise CannotInstall(
            "the client of Kafka, confluent-kafka, is not installed: pip install -e '.[kafka]'"
        )
    _, name, version = ARTIFACT.split(":")
    tool("java", "a JRE of version 17 or later")
    home = (cache or default_cache()) / f"{name}-{version}"
    if not home.exists():
        with new_folder(home) as folder:
            (folder / "pom.xml").write_text(POM.format(dependencies=dependency(ARTIFACT)))
            carry_out(
                [
                    tool("mvn", "Maven"),
                    "-q",
                    "-B",
                    "-f",
                    str(folder / "pom.xml"),
                    "dependency:copy-dependencies",
                    "-DincludeScope=runtime",
                    f"-DoutputDirectory={folder / 'lib'}",
                ]
            )
    return home


def why_not() -> str:
    """The reason why no Kafka can be had here, "" if one can."""
    try:
        install()
    except CannotInstall as error:
        return str(error)
    return ""


class KafkaBroker:
    """One broker, which is controller, too; it can be killed, stopped for a while and started again."""

    def __init__(self, home: Path, folder: Path, number: int, port: int) -> None:
        self.port = port
        self.folder = folder
        self._java = [
            tool("java", "a JRE of version 17 or later"),
            *_JVM,
            f"-Dkafka.logs.dir={folder}",
            "-cp",
            f"{home / 'lib'}/*",
        ]
        self._configuration = folder / "server.properties"
        #: Command line of the broker.
        self.words = [*self._java, "kafka.Kafka", str(self._configuration)]
        self.number = number
        self.process: subprocess.Popen[bytes] | None = None

    def format(self, properties: str) -> None:
        """Write the configuration, and format the folder of the data. Raises CannotInstall."""
        self._configuration.write_text(properties)
        carry_out(
            [
                *self._java,
                "kafka.tools.StorageTool",
                "format",
                "--ignore-formatted",
                "-t",
                _CLUSTER,
                "-c",
                str(self._configuration),
            ],
            seconds=60,
        )

    def start(self) -> None:
        """Start the process; `Cluster.wait` waits until it answers."""
        with (self.folder / "broker.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.words,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the broker, as SIGKILL, SIGSTOP or SIGCONT."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the process: by this signal, and if it is slow by SIGKILL."""
        if self.process is None:
            return
        if number is not signal.SIGKILL:
            # One that is killed while it is stopped reads nothing any more of what was sent to it.
            self.send(signal.SIGCONT)
        self.send(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        self.send(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def last_lines(self) -> str:
        """The end of its log."""
        text = (self.folder / "broker.log").read_text("utf-8", errors="replace")
        return "\n".join(f"    {line}" for line in text.splitlines()[-_LAST_LINES:])


class Cluster:
    """Brokers that know one another."""

    def __init__(self, brokers: list[KafkaBroker]) -> None:
        self.brokers = brokers

    @property
    def addresses(self) -> str:
        """Host and port of each broker, separated by commas."""
        return ",".join(f"127.0.0.1:{broker.port}" for broker in self.brokers)

    @property
    def url(self) -> str:
        """The value for `--log` of the reference server."""
        return f"kafka://{self.addresses}"

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Wait until every broker is registered. Raises CannotStart."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        deadline = time.monotonic() + seconds
        admin = AdminClient({"bootstrap.servers": self.addresses, "log_level": 0, "logger": _Silent()})
        while True:
            for broker in self.brokers:
                if broker.process is not None and broker.process.poll() is not None:
                    raise CannotStart(
                        f"Kafka ended with status {broker.process.returncode} before it answered. The end of its "
                        f"log:\n{broker.last_lines()}"
                    )
            with contextlib.suppress(KafkaException):
                if len(admin.list_topics(timeout=1.0).brokers) == len(self.brokers):
                    return
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"Kafka did not answer within {seconds:g} s:\n{self.brokers[0].last_lines()}"
                )


class _Silent:
    def log(self, *_: object) -> None:
        """Drop a line of the client library: brokers that start refuse its connections."""


def single(home: Path, folder: Path, port: int, controller: int) -> KafkaBroker:
    """One broker that is the controller, formatted and not started. Raises CannotInstall."""
    broker = KafkaBroker(home, folder, 1, port)
    voters = f"1@127.0.0.1:{controller}"
    broker.format(
        _PROPERTIES.format(
            number=1, voters=voters, port=port, controller=controller, folder=folder, replication=1
        )
    )
    return broker


@contextlib.contextmanager
def running(
    brokers: int = 1, *, cache: Path | None = None, keep: bool = False, more: str = ""
) -> Iterator[Cluster]:
    """Run so many brokers as long as the context. Raises CannotInstall, CannotStart.

    `more` are further properties, which replace those of the same names; {port} and {controller} are ports of a broker.
    """
    home = install(cache)
    folder = Path(tempfile.mkdtemp(prefix="kafka-"))
    try:
        ports = free_ports(2 * brokers)
        voters = ",".join(f"{n + 1}@127.0.0.1:{ports[brokers + n]}" for n in range(brokers))
        cluster = Cluster([])
        for number, port in enumerate(ports[:brokers], 1):
            own = folder / f"broker{number}"
            own.mkdir()
            broker = KafkaBroker(home, own, number, port)
            broker.format(
                (_PROPERTIES + more).format(
                    number=number,
                    voters=voters,
                    port=port,
                    controller=ports[brokers + number - 1],
                    folder=own,
                    replication=min(3, brokers),
                )
            )
            cluster.brokers.append(broker)
        try:
            for broker in cluster.brokers:
                broker.start()
            cluster.wait()
            yield cluster
        finally:
            for broker in cluster.brokers:
                broker.stop(signal.SIGKILL if not keep else signal.SIGTERM)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
