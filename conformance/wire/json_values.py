"""JSON of a server, decoded within bounds: a small body can make a deep or a large value.

Every place of the suite that decodes JSON of a server does it here.
"""

from __future__ import annotations

import json
from typing import Any

from conformance.wire.failures import TooLong

#: Levels of arrays and objects within one another; no document of the text has more than six.
LEVELS = 64
#: Values in one document, some 8 for each of the topics that fit into the longest body.
VALUES = 500_000
_EXCERPT = 100


def decoded(octets: bytes) -> Any:
    """Decoded JSON; None if the octets are no JSON. Raises TooLong for a value beyond LEVELS or VALUES."""
    opening = octets.count(b"[") + octets.count(b"{")
    # Inside of strings they don't count, but no string of the suite holds so many of them.
    if opening + octets.count(b",") > VALUES:
        raise TooLong(f"JSON of at most {VALUES} values", _excerpt(octets))
    try:
        value = json.loads(octets)
    except RecursionError:
        raise _too_deep(octets) from None
    except ValueError:
        return None
    if opening > LEVELS and _is_deeper(value, LEVELS):
        raise _too_deep(octets)
    return value


def _is_deeper(value: object, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [item for one in layer for item in _items(one)]
        if not layer:
            return False
    return True


def _items(value: object) -> list[Any]:
    if isinstance(value, dict):
        return [item for item in value.values() if isinstance(item, dict | list)]
    return [item for item in value if isinstance(item, dict | list)] if isinstance(value, list) else []


def _too_deep(octets: bytes) -> TooLong:
    return TooLong(f"JSON of at most {LEVELS} levels", _excerpt(octets))


def _excerpt(octets: bytes) -> str:
    return f"{octets[:_EXCERPT].decode('utf-8', 'replace')}… ({len(octets)} octets)"
