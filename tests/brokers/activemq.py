"""ActiveMQ Classic: two connectors, no authentication, and queues that go when nobody uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.brokers.running import Start, free_ports

if TYPE_CHECKING:
    from pathlib import Path

_CONFIGURATION = """\
<beans xmlns="http://www.springframework.org/schema/beans"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:schemaLocation="http://www.springframework.org/schema/beans
      http://www.springframework.org/schema/beans/spring-beans.xsd
      http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" brokerName="localhost" dataDirectory="{folder}/data"
      useJmx="false" schedulePeriodForDestinationPurge="10000">
    <destinationPolicy><policyMap><policyEntries>
      <policyEntry queue=">" gcInactiveDestinations="true" inactiveTimeoutBeforeGC="30000"/>
    </policyEntries></policyMap></destinationPolicy>
    <persistenceAdapter><kahaDB directory="{folder}/data/kahadb"/></persistenceAdapter>
    <transportConnectors>
      <transportConnector name="stomp" uri="stomp://127.0.0.1:{tcp}"/>
      <transportConnector name="ws" uri="ws://127.0.0.1:{websocket}"/>
    </transportConnectors>
  </broker>
</beans>
"""


def start(home: Path, folder: Path) -> Start:
    """Write the configuration into a temporary folder; return the command line."""
    tcp, websocket = free_ports(2)
    configuration = folder / "activemq.xml"
    configuration.write_text(_CONFIGURATION.format(folder=folder, tcp=tcp, websocket=websocket))
    return Start(
        words=[
            "java",
            f"-Dactivemq.home={home}",
            f"-Dactivemq.base={folder}",
            f"-Dactivemq.conf={folder}",
            f"-Dactivemq.data={folder / 'data'}",
            "-jar",
            str(home / "bin" / "activemq.jar"),
            "start",
            f"xbean:file:{configuration}",
        ],
        urls={"tcp": f"stomp://127.0.0.1:{tcp}", "websocket": f"ws://127.0.0.1:{websocket}/stomp"},
    )
