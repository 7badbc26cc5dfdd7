"""A long poll over HTTP, in the thread of its connection."""

import contextlib
import select
import socket

from reference_server.queue.outcomes import Outcome
from reference_server.server.transport import Transport


class LongPoll:
    """Waits for the answer and for the end of the connection at once."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self._is_lost = False
        self._bell: tuple[socket.socket, socket.socket] | None = None

    def answer(self, outcome: Outcome) -> None:
        """Set the answer; called under the application lock."""
        self.outcome = outcome

    def lose(self) -> None:
        """End the wait without an answer: nobody knows the outcome."""
        self._is_lost = True

    def flush(self) -> None:
        """Wake the waiting thread; called without the lock. Does nothing before `wait` begins and after it returned."""
        if self._bell is not None:
            with contextlib.suppress(OSError):
                self._bell[0].send(b"!")

    def wait(self, transport: Transport) -> None:
        """Return when the poll is answered or lost, or the client is gone. Raises OSError if no descriptor is free."""
        self._bell = socket.socketpair()
        with self._bell[0], self._bell[1]:
            poll = select.poll()
            poll.register(self._bell[1], select.POLLIN)
            poll.register(transport, select.POLLIN)
            while self.outcome is None and not self._is_lost:
                for descriptor, _ in poll.poll():
                    if descriptor != transport.fileno():
                        continue
                    if transport.has_ended():
                        return
                    poll.unregister(transport)  # the next request has come; it waits for its turn
