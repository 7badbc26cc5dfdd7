"""STOMP 1.0, 1.1 and 1.2 as pure code: octets in, octets out; no socket, no thread, no clock of its own.

`Hub` drives the sessions of a server; a `Session` is one connection. The I/O layer calls

    items = session.parse(octets)                 # outside the application lock
    with lock:
        session.handle(items, now, queue_now)     # after every parse, also with an empty list
        answered = hub.operations_answered(now)   # returns long polls of other bindings
        batches = [(s, s.take_output()) for s in hub.take_touched()]
    ...                                           # write every batch; each item is one WebSocket message
"""

from reference_server.stomp.hub import Hub
from reference_server.stomp.limits import StompLimits
from reference_server.stomp.session import Session

__all__ = ["Hub", "Session", "StompLimits"]
