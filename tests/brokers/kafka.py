"""Apache Kafka: its libraries from Maven Central, and one broker in KRaft mode that is the controller as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.brokers.installing import carry_out, new_folder, tool

if TYPE_CHECKING:
    from pathlib import Path

ARTIFACT = "org.apache.kafka:kafka_2.13:4.0.2"
_CLUSTER = "4L6g3nShT-eMCtK--X86sw"
_JVM = ("-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>brokers</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>
  </dependency></dependencies>
</project>
"""
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.index.size.max.bytes=65536
log.segment.bytes=67108864
log.cleaner.dedupe.buffer.size=8388608
"""


@dataclass(frozen=True)
class KafkaJars:
    """Kafka and all that it needs, as Maven copies them."""

    artifact: str = ARTIFACT

    @property
    def source(self) -> str:
        """Package and registry, for people."""
        return f"Maven Central, {self.artifact}"

    def install(self, cache: Path) -> Path:
        """Folder whose `lib` has the libraries. Raises CannotInstall."""
        group, name, version = self.artifact.split(":")
        tool("java", "a JRE of version 17 or later")
        home = cache / f"{name}-{version}"
        if not home.exists():
            with new_folder(home) as folder:
                (folder / "pom.xml").write_text(_POM.format(group, name, version))
                words = [tool("mvn", "Maven"), "-q", "-B", "-f", str(folder / "pom.xml")]
                words += ["dependency:copy-dependencies", "-DincludeScope=runtime"]
                carry_out([*words, f"-DoutputDirectory={folder / 'lib'}"])
        return home


def command(home: Path, folder: Path, port: int, controller: int) -> list[str]:
    """Write the configuration, format the data folder, and return the command line. Raises CannotInstall."""
    configuration = folder / "server.properties"
    configuration.write_text(_PROPERTIES.format(port=port, controller=controller, folder=folder))
    java = [
        tool("java", "a JRE of version 17 or later"),
        *_JVM,
        f"-Dkafka.logs.dir={folder}",
        "-cp",
        f"{home / 'lib'}/*",
    ]
    carry_out([*java, "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(configuration)])
    return [*java, "kafka.Kafka", str(configuration)]
