"""Stories: histories written by hand, with one operation after another unless an interval is given."""

from typing import Any

from conformance.history.events import (
    NEVER,
    Acknowledge,
    AckSubscription,
    ClockAdvanced,
    Event,
    Fence,
    GiveBack,
    Heartbeat,
    History,
    Poll,
    PolledRecord,
    ProducerAck,
    Publish,
    Register,
    Subscribe,
    Unregister,
    Unsubscribe,
)
from conformance.history.server_parameters import ServerParameters

Interval = tuple[float, float]
#: The default key: that of the partition for a publish, that of the publish for a delivery.
AUTO = "auto"


class Story:
    """Events in the order of their calls. Times are in seconds; a group's clock is the wall clock until it is advanced.

    Every operation takes `during`, its interval, and `status`, which is None if no reply came. A record has the topic
    `t` and a message id of its own, unless given otherwise.
    """

    def __init__(self, **parameters: Any) -> None:
        self.parameters = ServerParameters(
            **{"rebalance_timeout": 5.0, "positions": True, "partitions": {"t": 2}, **parameters}
        )
        self.events: list[Event] = []
        self.now = 0.0
        self.ahead = 0.0
        self.ids: dict[str, int] = {}
        self.keys: dict[str, str | None] = {}

    @property
    def history(self) -> History:
        """The events so far."""
        return tuple(self.events)

    def wait(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.now += seconds

    def clock(self, seconds: float, group: str = "g") -> None:
        """The virtual clock of a group was advanced by so many seconds."""
        before = self.now + self.ahead
        self.ahead += seconds
        common = self._common(None, 200) | {
            "group_time_began": before,
            "group_time_ended": self.now + self.ahead,
        }
        self.events.append(ClockAdvanced(process="clock", group=group, **common))

    def _common(self, during: Interval | None, status: int | None) -> dict[str, Any]:
        begun, ended = during if during is not None else (self.now + 1.0, self.now + 1.5)
        self.now = max(self.now, ended)
        return {
            "invoked": begun,
            "completed": ended if status is not None else NEVER,
            "group_time_began": begun + self.ahead,
            "group_time_ended": ended + self.ahead if status is not None else NEVER,
            "status": status,
        }

    def id_of(self, text: str) -> int:
        """The message id of a record."""
        return self.ids.setdefault(text, len(self.ids) + 1)

    # Producers

    def published(
        self,
        text: str,
        key: str | None = AUTO,
        place: tuple[int, int] | None = None,
        *,
        topic: str = "t",
        label: str | None = None,
        status: int | None = 200,
        during: Interval | None = None,
    ) -> None:
        """A record was sent; `place` is the position in the reply. By default each partition has a key of its own."""
        partition, offset = place if place is not None else (None, None)
        if key == AUTO:
            key = f"key of {partition}" if place is not None else None
        self.keys[text] = key
        common = self._common(during, status)
        self.events.append(
            Publish(
                process=f"producer of {text}",
                topic=topic,
                text=text,
                label=label or text,
                key=key,
                partition=partition,
                offset=offset,
                **common,
            )
        )

    def listened(self, listener: str = "l", topic: str = "t") -> None:
        """A client subscribed to producer acknowledgements."""
        self.events.append(
            AckSubscription(process="listener", subscription=listener, topic=topic, **self._common(None, 200))
        )

    def told(self, label: str, outcome: str = "ACK", listener: str = "l") -> None:
        """A producer acknowledgement arrived."""
        common = self._common(None, 200)
        self.events.append(
            ProducerAck(process="listener", subscription=listener, label=label, outcome=outcome, **common)
        )

    def fenced(self, listener: str = "l") -> None:
        """All producer acknowledgements that were sent have arrived."""
        self.events.append(Fence(process="listener", subscription=listener, **self._common(None, 200)))

    # Consumers

    def registered(self, name: str, group: str = "g", status: int | None = 200) -> None:
        """A consumer was registered."""
        self.events.append(Register(process=name, consumer=name, group=group, **self._common(None, status)))

    def joined(self, *names: str, group: str = "g", topics: tuple[str, ...] = ("t",)) -> None:
        """Consumers were registered and subscribed, one after another."""
        for name in names:
            self.registered(name, group)
            self.subscribed(name, *topics)

    def subscribed(self, name: str, *topics: str, status: int | None = 200) -> None:
        """A consumer subscribed."""
        common = self._common(None, status)
        self.events.append(Subscribe(process=name, consumer=name, topics=topics or ("t",), **common))

    def unsubscribed(self, name: str, *topics: str, status: int | None = 202) -> None:
        """A consumer unsubscribed."""
        common = self._common(None, status)
        self.events.append(Unsubscribe(process=name, consumer=name, topics=topics or ("t",), **common))

    def left(self, name: str, status: int | None = 202, during: Interval | None = None) -> None:
        """A consumer left."""
        self.events.append(Unregister(process=name, consumer=name, **self._common(during, status)))

    def beat(self, name: str, status: int | None = 202) -> None:
        """A consumer sent a heartbeat."""
        self.events.append(Heartbeat(process=name, consumer=name, **self._common(None, status)))

    def got(
        self,
        name: str,
        text: str,
        place: tuple[int, int] | None = None,
        *,
        key: str | None = AUTO,
        topic: str = "t",
        number: int | None = None,
        redelivered: bool | None = None,
        during: Interval | None = None,
    ) -> None:
        """A consumer polled and got a record."""
        partition, offset = place if place is not None else (None, None)
        if number is not None:
            self.ids[text] = number
        key = self.keys.get(text) if key == AUTO else key
        record = PolledRecord(self.id_of(text), topic, text, key, partition, offset, redelivered)
        self.events.append(Poll(process=name, consumer=name, records=(record,), **self._common(during, 200)))

    def polled(self, name: str, status: int | None = 204, during: Interval | None = None) -> None:
        """A consumer polled and got nothing."""
        self.events.append(Poll(process=name, consumer=name, **self._common(during, status)))

    def acknowledged(
        self, name: str, text: str, status: int | None = 202, during: Interval | None = None
    ) -> None:
        """A consumer acknowledged a record."""
        common = self._common(during, status)
        self.events.append(Acknowledge(process=name, consumer=name, message_id=self.id_of(text), **common))

    def gave_back(
        self, name: str, text: str, status: int | None = 202, during: Interval | None = None
    ) -> None:
        """A consumer gave a record back."""
        common = self._common(during, status)
        self.events.append(GiveBack(process=name, consumer=name, message_id=self.id_of(text), **common))

    def read(self, name: str, *texts: str) -> None:
        """A consumer got records and acknowledged each."""
        for text in texts:
            self.got(name, text)
            self.acknowledged(name, text)
