"""How long a server takes to answer anything while something else is watched: a busy one is late with all it does."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from conformance.wire.failures import PeerFailure, RunEnded, Unreachable

if TYPE_CHECKING:
    from types import TracebackType

    from conformance.suite.stomp.stomp_fixture import StompFixture

#: Seconds between an answer and the next question.
PAUSE = 0.02
#: Most of the time of an answer that is excused, in seconds.
MOST = 1.0


class AnswerTimes:
    """Questions on a connection of their own, one after another, as long as the context.

    Without receipts there is nothing to ask, and `longest` stays 0.
    """

    def __init__(self, fixture: StompFixture) -> None:
        self.longest = 0.0
        """The longest time of an answer, in seconds; MOST at most."""
        self._fixture = fixture
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="answer-times", daemon=True)
        self._client = fixture.client() if fixture.has_receipts else None

    def __enter__(self) -> Self:
        if self._client is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._client is not None:
            self._thread.join()

    def _ask(self) -> None:
        assert self._client is not None
        while not self._over.wait(PAUSE):
            began = time.monotonic()
            try:
                self._fixture.fence(self._client)
            except (PeerFailure, Unreachable, RunEnded):
                return  # what is watched tells
            finally:
                self.longest = max(self.longest, min(time.monotonic() - began, MOST))
