"""Oddities that the text allows where it had been silent: colons, versions that meet, declared destinations, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.server import running
from reference_server.stomp import destinations, escapes, router
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import CONNECTING, FrameReader
from reference_server.stomp.session import Session
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, variant
from tests.mutants.stomp_editing import V10, V11, V12

if TYPE_CHECKING:
    from collections.abc import Iterable


def _declare(change: Any) -> None:
    @wrap(running, "describe")
    def describe(original: Any, *arguments: Any, **named: Any) -> bytes:
        document = msgspec.json.decode(original(*arguments, **named))
        return msgspec.json.encode(change(document))


@variant(
    "A raw colon in a value may end the connection (STOMP-ABNF-007).",
    bindings=(*V11, *V12),
)
def raw_colons_are_malformed() -> None:
    """A frame of 1.1 or 1.2, other than CONNECT, is malformed if a value has a colon that is not escaped."""

    @wrap(FrameReader, "_read_lines")
    def read(original: Any, self: FrameReader, text: str, octets: int) -> Any:
        command, headers = original(self, text, octets)
        values = [line.partition(":")[2] for line in text.split("\n")[1:]]
        if (
            self.version in ("1.1", "1.2")
            and command not in CONNECTING
            and any(":" in each for each in values)
        ):
            raise ProtocolError("raw colon", "Write a colon in a value as \\c.")
        return command, headers


@variant(
    "What 1.0 can't write may be written as the pair of later versions (STOMP-ENC-011).",
    bindings=V10,
)
def sessions_of_1_0_get_pairs() -> None:
    """A header that 1.0 can't write comes with the escape pairs of 1.1."""
    original = escapes.header_lines

    def header_lines(headers: Iterable[tuple[str, str]], version: str) -> list[str]:
        pairs = list(headers)
        odd = [pair for pair in pairs if pair[1] and not escapes._is_expressible(*pair, version)]
        return original(pairs, version) + original(odd, "1.1")

    escapes.header_lines = destinations.header_lines = header_lines


@variant(
    "A server may have no queue-like destinations, and say so in its capabilities.",
    bindings=(*V11, *V12),
)
def there_are_only_topics() -> None:
    """Destinations below /queue/ are unknown, and the capabilities declare no queue."""
    router.is_plain = lambda destination: destination.startswith(destinations.TOPICS)
    _declare(lambda document: {**document, "destinations": {**document["destinations"], "queue": None}})


@variant(
    "The limits of STOMP frames may be others than those of requests, and the capabilities may say both.",
    bindings=(*V12, *HTTP),
    flags=("--virtual-clock", "--body-bytes", "65536", "--headers", "60", "--header-bytes", "8192"),
)
def frames_have_limits_of_their_own() -> None:
    """A frame may have twice the body of a request, and half of its headers."""
    limits = {"stomp_body_bytes": 131072, "stomp_headers": 30, "stomp_header_bytes": 4096}
    frame = {"frame_bytes": limits["stomp_body_bytes"] + limits["stomp_header_bytes"] + 1}
    _declare(lambda document: {**document, "limits": {**document["limits"], **limits, **frame}})

    @wrap(Session, "__init__")
    def begin(original: Any, self: Session, shared: Any, **named: Any) -> None:
        changes = {name.removeprefix("stomp_"): value for name, value in limits.items()}
        shared.limits = msgspec.structs.replace(shared.limits, **changes)
        original(self, shared, **named)
