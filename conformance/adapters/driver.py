"""Requests to an adapter, each recorded as events of a history. Times are in seconds since the driver was made."""

import threading
import time
from typing import Any

from conformance.adapters.protocol import Adapter, AdapterGone, Announcement, Answer
from conformance.history.events import Event, History
from conformance.history.file_decoding import decoded_events
from conformance.history.system_facts import BadHistory


class Driver:
    """An adapter, and the events so far. Thread-safe; each client is for one thread at a time."""

    def __init__(self, adapter: Adapter, announcement: Announcement) -> None:
        self.announcement = announcement
        self._adapter = adapter
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._events: list[Event] = []
        #: Latest time at which each consumer that has heartbeats in the background asked for something.
        self._heard: dict[str, float] = {}

    def now(self) -> float:
        """Seconds since the driver was made, to the microsecond."""
        return round(time.monotonic() - self._started, 6)

    @property
    def events(self) -> History:
        """All events so far; `with_restarts` adds those that a restart stands for."""
        with self._lock:
            return tuple(self._events)

    def create_topic(self, topic: str, partitions: int) -> int | None:
        """Make a topic; returns its number of partitions, None if the engine does not tell. Raises AdapterGone."""
        if not self.announcement.can("create-topic"):
            return None
        answer = self._ask("set-up", "create-topic", topic=topic, partitions=partitions)
        if answer is None or answer["outcome"] != "ok":
            reason = "no answer came" if answer is None else answer.get("reason", answer["outcome"])
            raise AdapterGone(f"the topic {topic} could not be made: {reason}")
        made = answer.get("partitions", partitions)
        return made if type(made) is int and made > 0 else None

    def publish(self, client: str, topic: str, text: str, key: str | None) -> Answer | None:
        """Send a record."""
        told = {"topic": topic, "text": text, "key": key}
        return self._perform(client, "publish", told, told)

    def join(self, client: str, consumer: str, group: str, topic: str) -> Answer | None:
        """Make a member of the group that reads the topic."""
        told = {"consumer": consumer, "group": group, "topics": [topic]}
        return self._perform(client, "join", told, told)

    def poll(self, client: str, consumer: str, wait: float) -> tuple[Answer | None, list[dict[str, Any]]]:
        """Ask for one record, for up to `wait` seconds; returns the answer and its records."""
        answer = self._perform(
            client, "poll", {"consumer": consumer}, {"consumer": consumer, "max": 1}, wait=wait
        )
        records = answer["records"] if answer is not None and answer["outcome"] == "ok" else []
        return answer, list(records)

    def settle(self, client: str, op: str, consumer: str, record: dict[str, Any]) -> Answer | None:
        """Acknowledge a record, or give it back."""
        told = {"consumer": consumer, "id": record["id"]}
        return self._perform(client, op, told, {"consumer": consumer, "record": record})

    def operation(self, client: str, op: str, consumer: str) -> Answer | None:
        """Leave, or send a heartbeat."""
        return self._perform(client, op, {"consumer": consumer}, {"consumer": consumer})

    def cut(self, client: str, consumer: str) -> None:
        """Cut the connection of a consumer, if the adapter can; the consumer is not used any more."""
        if self.announcement.can("cut"):
            begin = self.now()
            self._beat(client, consumer, begin, last=True)
            self._ask(client, "cut", consumer=consumer)
            self._record(client, "cut", begin, None, "unknown", {"consumer": consumer})

    def silence(self, client: str, consumer: str) -> bool:
        """Let a consumer fall silent; returns False if the adapter could not."""
        if self.announcement.background_heartbeats and not self.announcement.can("silence"):
            return False
        if self.announcement.can("silence"):
            answer = self._ask(client, "silence", consumer=consumer)
            if answer is None or answer["outcome"] != "ok":
                return False
        self._beat(client, consumer, self.now(), last=True)
        return True

    def restart(self) -> None:
        """Restart the engine."""
        begin = self.now()
        self._ask("set-up", "restart")
        self._record("set-up", "restart", begin, self.now(), "unknown", {})

    def _perform(
        self, client: str, op: str, told: dict[str, Any], request: dict[str, Any], wait: float = 0.0
    ) -> Answer | None:
        begin = self.now()
        if "consumer" in told:
            self._beat(client, told["consumer"], begin)
        answer = self._ask(client, op, wait, **request)
        end = self.now()
        outcome = "unknown" if answer is None else answer["outcome"]
        members = dict(told)
        if answer is not None and op == "publish":
            members |= {name: answer.get(name) for name in ("partition", "offset")}
        if op == "poll":
            members |= {"records": answer["records"]} if answer is not None and "records" in answer else {}
        self._record(client, op, begin, end, outcome, members)
        if answer is not None and answer.get("closed") is True and "consumer" in told:
            self._beat(client, told["consumer"], begin, last=True)
            self._record(client, "cut", begin, None, "unknown", {"consumer": told["consumer"]})
        return None if outcome == "unknown" else answer

    def _ask(self, client: str, op: str, wait: float = 0.0, **request: Any) -> Answer | None:
        answer = self._adapter.ask(op, wait, client=client, **request)
        if answer is not None and answer["outcome"] == "unsupported":
            raise AdapterGone(f'the adapter announces "{op}", and answers unsupported')
        return answer

    def _beat(self, client: str, consumer: str, now: float, *, last: bool = False) -> None:
        """Record the heartbeats that a client library may have sent since the consumer's last request."""
        if not self.announcement.background_heartbeats:
            return
        since = self._heard.get(consumer)
        if since is not None:
            self._record(client, "heartbeat", since, now, "failed", {"consumer": consumer})
        if last:
            self._heard.pop(consumer, None)
        else:
            self._heard[consumer] = now

    def _record(
        self, client: str, op: str, begin: float, end: float | None, outcome: str, members: dict[str, Any]
    ) -> None:
        document = {"op": op, "process": client, "begin": begin, "end": end, "outcome": outcome, **members}
        try:
            events: list[Event] = list(decoded_events(document))
        except BadHistory as error:
            raise AdapterGone(f'the answer of the adapter to "{op}": {error}') from None
        with self._lock:
            self._events.extend(events)
