"""Kafka topics, made and deleted: what is asked for at the same time goes to Kafka in one request."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from reference_server.kafka.admin import AdminUnavailable, NewStore
from reference_server.kafka.log import Log, Unavailable

_MOST = 200
"""Topics of one request."""


class _Wish:
    """A topic that is made, or deleted, for one thread."""

    __slots__ = ("error", "has_ended", "topic")

    def __init__(self, topic: Any) -> None:
        self.topic = topic
        self.has_ended = False
        self.error = ""


class _Lane:
    """Requests of one kind: the thread that comes first asks for all that wait meanwhile."""

    def __init__(self, ask: Callable[[list[_Wish]], None], seconds: float) -> None:
        self._request = ask
        self._seconds = seconds
        self._wishes: list[_Wish] = []
        self._changed = threading.Condition()
        self._is_asking = False

    def carry_out(self, wishes: list[_Wish]) -> None:
        """Wait until all of these are carried out. Raises Unavailable."""
        deadline = time.monotonic() + self._seconds
        with self._changed:
            self._wishes += wishes
            while not all(wish.has_ended for wish in wishes):
                if not self._is_asking:
                    self._ask()
                elif not self._changed.wait(deadline - time.monotonic()) and time.monotonic() > deadline:
                    raise Unavailable("Kafka makes no topics")
        error = next((wish.error for wish in wishes if wish.error), "")
        if error:
            raise Unavailable(error)

    def _ask(self) -> None:
        """Carry out a piece of what is wished; the lock is held, and released meanwhile."""
        piece, self._wishes = self._wishes[:_MOST], self._wishes[_MOST:]
        self._is_asking = True
        self._changed.release()
        try:
            self._request(piece)
        finally:
            self._changed.acquire()
            self._is_asking = False
            for wish in piece:
                wish.has_ended = True
            self._changed.notify_all()


class Stores:
    """Makes and deletes Kafka topics."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._making = _Lane(self._make, 2 * log.timeout)
        self._deleting = _Lane(self._remove, 2 * log.timeout)

    def create(self, topics: Sequence[NewStore]) -> None:
        """Create topics; those that exist stay as they are. Their leaders know them then. Raises Unavailable."""
        self._making.carry_out([_Wish(topic) for topic in topics])

    def delete(self, names: Sequence[str]) -> None:
        """Delete topics, as far as they exist and that is possible; their leaders take nothing for them then."""
        with contextlib.suppress(Unavailable):
            self._deleting.carry_out([_Wish(name) for name in names])

    def _make(self, wishes: list[_Wish]) -> None:
        timeout = self._log.timeout
        try:
            errors = self._log.admin.create([wish.topic for wish in wishes], timeout)
        except AdminUnavailable as error:
            errors = {"": str(error)}
        for wish in wishes:
            if text := errors.get(wish.topic.topic) or errors.get(""):
                wish.error = f"Kafka can't create {wish.topic.topic}: {text}"
        topics = [wish.topic for wish in wishes if not wish.error]
        places = [(topic.topic, index) for topic in topics for index in range(topic.num_partitions)]
        deadline = time.monotonic() + timeout
        while places:
            try:
                self._log.ends(places)
            except Unavailable as error:
                if time.monotonic() > deadline:
                    for wish in wishes:
                        wish.error = wish.error or str(error)
                    return
                self._log.wait_a_little()
                continue
            return

    def _remove(self, wishes: list[_Wish]) -> None:
        names = [wish.topic for wish in wishes]
        timeout = self._log.timeout
        with contextlib.suppress(AdminUnavailable):
            self._log.admin.delete(names, timeout)
            deadline = time.monotonic() + 1.0
            while names and time.monotonic() < deadline:
                names = [name for name in names if self._log.is_known((name, 0))]
                self._log.wait_a_little()
