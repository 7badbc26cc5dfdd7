"""The removal of messages that a test leaves in its queues."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.destinations import Destination
    from conformance.wire.stomp import StompClient

    Fence = Callable[[StompClient], None]

#: Queues that one session empties at a time, so that a limit on subscriptions isn't reached.
QUEUES_PER_CLEANUP = 8


def empty_queues(bench: Bench, queues: Sequence[Destination], fence: Fence, usual_delay: float) -> None:
    """Consume the messages that are left in these queues.

    `fence` returns when the server has processed the earlier frames of a client; `usual_delay` is the time in seconds
    that an answer usually takes. On a server with headers for the removal of queues, the end of this session removes
    them.
    """
    if not queues:
        return
    client = bench.stomp()
    # After a fence that fails it is unknown what is consumed, and each further fence would take as long.
    with contextlib.suppress(PeerFailure):
        for begin in range(0, len(queues), QUEUES_PER_CLEANUP):
            _consume(bench, client, queues[begin : begin + QUEUES_PER_CLEANUP], fence, usual_delay)
        client.disconnect()
    client.close()


def _consume(
    bench: Bench, client: StompClient, queues: Sequence[Destination], fence: Fence, usual_delay: float
) -> None:
    readers = [(client.subscribe(queue.name, queue.headers), queue.headers) for queue in queues]
    fence(client)
    if bench.target.fact("persistent_queues") and not all(queue.headers for queue in queues):
        # The unacknowledged messages of a session return once the server has noticed its end: no fence shows that.
        client.listen(usual_delay)
    for identifier, headers in readers:
        client.unsubscribe(identifier, headers)
    fence(client)
