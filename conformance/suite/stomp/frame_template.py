r"""Templates of frames: the octets as they go over the wire, with names for the parts that differ from run to run.

    fill(b"SEND\nreceipt:<receipt>\nfoo:a\\tb\n<destination>\n\nhello\0", topic, "1.2", receipt="r-1")

`<destination>` stands for all header lines of the destination: `destination:…`, and those that this server wants
with it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.suite.stomp.destinations import Destination
    from conformance.wire.stomp import StompClient

    Value = bytes | str | int

_NAME = re.compile(rb"<([a-z_]+)>")


def fill(
    template: bytes,
    destination: Destination | None = None,
    version: str = "1.2",
    *,
    eol: bytes = b"\n",
    **values: Value,
) -> bytes:
    """The octets of a frame; each `<name>` gives way to its value, which is not escaped.

    `version` is that by whose rules the destination is escaped. `eol` takes the place of each LF in the template,
    not of those in values. Raises KeyError for a name without a value.
    """
    octets = {name: _octets(value) for name, value in values.items()}
    if destination is not None:
        octets["destination"] = eol.join(destination.header_lines(version))
    return _NAME.sub(lambda name: octets[name[1].decode()], template.replace(b"\n", eol))


def send_frame(
    client: StompClient, template: bytes, destination: Destination | None = None, **values: Value
) -> None:
    """Send a frame by its template, as one message; the destination is escaped for the session."""
    client.send_octets(fill(template, destination, client.version, eol=b"\n", **values))


def _octets(value: Value) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
