"""Faults of STOMP that show where frames of several connections come at one instant."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from reference_server.stomp.subscriptions import Subscriptions
from tests.mutants.patching import wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import V11, V12

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reference_server.stomp.subscriptions import Subscription

#: Seconds within which a second frame counts as one of the same instant.
INSTANT = 0.005


@fault("STOMP-SUB-006", "STOMP-SEND-002", "STOMP-SUB-001", bindings=V12)
def of_equal_ids_at_once_the_last_one_counts() -> None:
    """Of SUBSCRIBEs with one id that come at once on several connections only the last one has an effect."""
    newest: dict[str, tuple[float, Subscription]] = {}

    @wrap(Subscriptions, "add")
    def add(original: Any, self: Subscriptions, identifier: str, *arguments: Any) -> None:
        original(self, identifier, *arguments)
        now = time.monotonic()
        before = newest.get(identifier)
        if before is not None and now < before[0] + INSTANT and before[1] not in self._by_id.values():
            before[1].source.unsubscribe(before[1], [])
        newest[identifier] = now, self._by_id[identifier]


@fault("STOMP-SUB-006", "STOMP-SEND-002", "STOMP-SUB-001", bindings=V11)
def an_unsubscribe_ends_equal_ids_of_the_same_instant() -> None:
    """UNSUBSCRIBE also ends a subscription of another connection with that id that was made at the same instant."""
    made: dict[str, list[tuple[float, Subscription]]] = {}

    @wrap(Subscriptions, "add")
    def add(original: Any, self: Subscriptions, identifier: str, *arguments: Any) -> None:
        original(self, identifier, *arguments)
        made.setdefault(identifier, []).append((time.monotonic(), self._by_id[identifier]))

    @wrap(Subscriptions, "remove")
    def remove(original: Any, self: Subscriptions, headers: Mapping[str, str]) -> None:
        identifier = headers.get("id", "")
        mine = self._by_id.get(identifier)
        original(self, headers)
        when = next((at for at, each in made.get(identifier, ()) if each is mine), None)
        for at, each in made.pop(identifier, ()):
            if each is not mine and when is not None and abs(at - when) < INSTANT:
                each.source.unsubscribe(each, [])
