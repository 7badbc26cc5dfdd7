"""The reference server: a small threaded broker that conforms to every clause of the specification.

`Server` runs it inside a test; `ODDITIES` are the names for its setting `odd`, with their descriptions. Both are
imported when they are first used, because the queue and the sessions in this package need neither sockets nor threads.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reference_server.embedded import Server as Server
    from reference_server.server.oddities import ODDITIES as ODDITIES

_ROOMS = {"Server": "embedded", "ODDITIES": "server.oddities"}
__all__ = ["ODDITIES", "Server"]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)
