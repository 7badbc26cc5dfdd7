"""Negotiation by CONNECT and CONNECTED: the version of the session and the intervals of heart-beats."""

import re
from collections.abc import Mapping

import msgspec

from reference_server.stomp.errors import ProtocolError

VERSIONS = ("1.0", "1.1", "1.2")
_HEARTBEAT = re.compile(r"([0-9]{1,9}),([0-9]{1,9})")


def agree(headers: Mapping[str, str], versions: tuple[str, ...]) -> str | None:
    """Choose the highest common version, whatever the order of the list (STOMP-NEG-001).

    `headers` are those of CONNECT; without `accept-version` its client speaks 1.0 only (STOMP-CONNECT-007).
    `versions` are the server's. None: there is no version in common.
    """
    accepted = {version.strip() for version in headers.get("accept-version", "1.0").split(",")}
    return max(accepted.intersection(versions), default=None)


class Intervals(msgspec.Struct, frozen=True):
    """Heart-beat interval of each side, in seconds; 0: none."""

    server: float = 0.0
    client: float = 0.0


def agree_on_heartbeats(headers: Mapping[str, str], smallest: float) -> Intervals:
    """Settle both directions from the `heart-beat` of CONNECT and the server's smallest interval (seconds).

    Raises ProtocolError if the header is not two integers (STOMP-HEARTBEAT-010). A missing header means
    0,0 (STOMP-HEARTBEAT-002); 0 on either side of a direction ends it (STOMP-HEARTBEAT-003, -004); else the
    longer of both intervals holds (STOMP-HEARTBEAT-005).
    """
    header = headers.get("heart-beat", "0,0")
    numbers = _HEARTBEAT.fullmatch(header)
    if numbers is None:
        advice = f"Expected two whole numbers of milliseconds, as in 10000,10000; found {header[:100]!r}."
        raise ProtocolError("malformed heart-beat header", advice)
    client_sends, client_wants = (int(number) / 1000 for number in numbers.groups())
    return Intervals(
        server=max(client_wants, smallest) if client_wants else 0.0,
        client=max(client_sends, smallest) if client_sends else 0.0,
    )
