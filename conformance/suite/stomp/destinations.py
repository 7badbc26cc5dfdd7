"""Destinations and subscriptions that a test makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.wire.encoding import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient


@dataclass(frozen=True)
class Destination:
    """The name of a queue or topic, and the headers that this server wants with it.

    The headers go on SEND, SUBSCRIBE and UNSUBSCRIBE; most servers want none.
    """

    name: str
    is_queue: bool
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_headers(self) -> list[tuple[str, str]]:
        """`destination` and the headers that go with it."""
        return [("destination", self.name), *self.headers.items()]

    def header_lines(self, version: str) -> list[bytes]:
        """`destination:…` and the other header lines, escaped by the rules of `version`, without line ends."""
        pairs = self.all_headers
        return [f"{escape(name, version)}:{escape(value, version)}".encode() for name, value in pairs]


@dataclass(frozen=True)
class Subscription:
    """A subscription that a test made; `id` is "" for a SUBSCRIBE without id."""

    client: StompClient
    id: str
    destination: Destination
    is_first: bool = False
    """True if it is the first of its client: a MESSAGE that names no subscription, and no destination of another one of
    the client, belongs to it.
    """
    mode: str = "auto"
    """The `ack` mode: auto, client or client-individual."""
    siblings: Sequence[str] = field(default=(), compare=False, repr=False)
    """Names of the destinations of all subscriptions of its client, also of later ones."""

    def owns(self, frame: Frame) -> bool:
        """True if a MESSAGE was sent for this subscription."""
        named = frame.get("subscription")
        if named is not None and self.id:
            return named == self.id
        destination = frame.get("destination")
        return destination == self.destination.name or (self.is_first and destination not in self.siblings)
