"""Making and deleting Kafka topics, and deleting entries, through a process of this node's own (`admin_process`)."""

import contextlib
import itertools
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import KafkaError

from reference_server.events import tell

_EXTRA = 3.0
"""Seconds that an answer of the process may be later than that of Kafka."""
_STOP = 2.0
"""Seconds in which the process ends with its input."""


class AdminUnavailable(Exception):
    """No answer came: what was asked for may have been done, or not."""


class NewStore(NamedTuple):
    """A Kafka topic to make: its name, its number of partitions and of their copies, its settings."""

    topic: str
    num_partitions: int
    replication: int
    config: dict[str, str]


class _Process:
    """One process, and the requests that it has not answered."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._pending: dict[int, dict[str, Any]] = {}
        self._changed = threading.Condition()
        self.has_ended = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "reference_server.kafka.admin_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(settings) + "\n")
            self._process.stdin.flush()
        threading.Thread(target=self._read, name="kafka-admin", daemon=True).start()

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, tuple[int, str]]:
        """Return the errors by topic. Raises AdminUnavailable."""
        number, answer = request["id"], dict[str, Any]()
        assert self._process.stdin is not None
        with self._changed:
            self._pending[number] = answer
            try:
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
            except (OSError, ValueError) as error:
                self._pending.pop(number, None)
                raise AdminUnavailable("the process that makes topics has ended") from error
            try:
                if not self._changed.wait_for(lambda: answer or self.has_ended, seconds):
                    raise AdminUnavailable(f"no answer within {seconds:g} s")
            finally:
                self._pending.pop(number, None)
        if not answer:
            raise AdminUnavailable("the process that makes topics has ended")
        return {name: (code, text) for name, (code, text) in answer["errors"].items()}

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout:
            for line in self._process.stdout:
                answer = json.loads(line)
                with self._changed:
                    if answer["id"] in self._pending:
                        self._pending[answer["id"]].update(answer)
                        self._changed.notify_all()
        status = self._process.wait()
        with self._changed:
            self.has_ended = True
            self._changed.notify_all()
        self._close()
        if status:
            tell(logging.WARNING, "kafka-admin-ended", status=status)

    def stop(self) -> None:
        """End the process."""
        self._close()
        try:
            self._process.wait(_STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _close(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # what was not written yet can't be
            self._process.stdin.close()


class Admin:
    """Requests of one node; a process that has ended is followed by another one at the next request."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._numbers = itertools.count(1)
        self._starting = threading.Lock()
        self._process: _Process | None = None

    def create(self, topics: Sequence[NewStore], seconds: float) -> dict[str, str]:
        """Make topics; return what Kafka has against each that is not there then. Raises AdminUnavailable."""
        errors = self._ask("create", seconds, topics=topics)
        return {
            name: text for name, (code, text) in errors.items() if code != KafkaError.TOPIC_ALREADY_EXISTS
        }

    def delete(self, names: Sequence[str], seconds: float) -> None:
        """Delete topics, as far as they exist. Raises AdminUnavailable."""
        self._ask("delete", seconds, topics=list(names))

    def delete_before(self, place: tuple[str, int], offset: int, seconds: float) -> str:
        """Delete the entries of a partition before an offset; return the error, "" without one.

        Raises AdminUnavailable.
        """
        errors = self._ask("delete before", seconds, places=[[*place, offset]])
        return next((text for _, text in errors.values()), "")

    def _ask(self, kind: str, seconds: float, **members: Any) -> dict[str, tuple[int, str]]:
        with self._starting:
            if self._process is None or self._process.has_ended:
                self._process = _Process(self._settings)
            process = self._process
        request = {"id": next(self._numbers), "kind": kind, "seconds": seconds, **members}
        return process.ask(request, seconds + _EXTRA)

    def stop(self) -> None:
        """End the process; a later request would begin another one."""
        with self._starting:
            if self._process is not None:
                self._process.stop()
                self._process = None
