"""Oddities of the reference server (`--odd NAME`): the suite has to leave each alone, and all of them together."""

from __future__ import annotations

from reference_server.server.oddities import ODDITIES
from tests.mutants.registry import Variant, register
from tests.mutants.stomp_editing import V10, V11, V12, WEBSOCKET

#: Judged columns of each oddity.
BINDINGS: dict[str, tuple[str, ...]] = {
    "connected-says-little": (*V10, *V12),
    "sessions-have-long-names": (*V10, *V11),
    "every-frame-is-counted": (*V11, *V12),
    "nothing-is-not-counted": (*V10, *V12),
    "an-error-tells-everything": (*V11, *V12),
    "ids-are-odd-strings": (*V11, *V12),
    "every-frame-has-more-headers": (*V10, *V11, *V12),
    "headers-come-in-any-order": (*V10, *V12),
    "headers-are-repeated": V12,
    "beats-come-often": (*V11, *V12),
    "line-ends-are-mixed": V12,
    "lines-end-with-cr-lf": V12,
    "line-ends-follow-every-frame": (*V10, *V11),
    "frames-are-answered-late": (*V10, *V12, *WEBSOCKET),
    "receipts-come-late": (*V10, *V11, *V12),
    "several-frames-share-a-message": (*V10, *V12, *WEBSOCKET),
    "empty-messages-come-between": (*V12, *WEBSOCKET),
    "a-frame-takes-several-messages": (*V11, *V12, *WEBSOCKET),
    "every-message-is-binary": (*V10, *V11, *V12, *WEBSOCKET),
}


def _serve_as_it_is() -> None:
    """Patch nothing: a flag of the server turns the oddity on."""


def _flags(*names: str) -> tuple[str, ...]:
    return ("--virtual-clock", *(word for name in names for word in ("--odd", name)))


for _oddity in ODDITIES.values():
    register(
        Variant(
            _oddity.name,
            _oddity.summary,
            _oddity.freedom,
            BINDINGS[_oddity.name],
            _serve_as_it_is,
            flags=_flags(_oddity.name),
        )
    )
register(
    Variant(
        "everything-is-odd",
        "All oddities of the reference server at once",
        "Freedoms of the text don't exclude one another.",
        V12,
        _serve_as_it_is,
        flags=_flags(*ODDITIES),
    )
)
