"""Apache Kafka: its libraries from Maven Central, and one broker in KRaft mode that is the controller as well.

`tests.kafka.cluster` formats and starts brokers for all tests. It needs the client of Kafka, so that it is imported
only for a broker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class KafkaJars:
    """Kafka and all that it needs, as Maven copies them."""

    source: str = "Maven Central, org.apache.kafka:kafka_2.13:4.0.2"

    def install(self, cache: Path) -> Path:
        """Folder whose `lib` has the libraries. Raises CannotInstall."""
        from tests.kafka.cluster import install

        return install(cache)


def command(home: Path, folder: Path, port: int, controller: int) -> list[str]:
    """Write the configuration, format the data folder, and return the command line. Raises CannotInstall."""
    from tests.kafka.cluster import single

    return single(home, folder, port, controller).words
