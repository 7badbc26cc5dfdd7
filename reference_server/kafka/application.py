"""The server around a log: sessions and requests wait for Kafka in the thread of their connection, without the lock."""

import logging
from collections.abc import Hashable, Iterator

from reference_server.config import Settings
from reference_server.events import tell
from reference_server.kafka.acknowledging import Listening
from reference_server.kafka.binding import Asked, LogBinding, LogRouter
from reference_server.kafka.cluster import Cluster
from reference_server.kafka.log import OutcomeUnknown, Unavailable
from reference_server.kafka.operations import LogOperations
from reference_server.kafka.topics import Publication
from reference_server.kafka.waiting import Waiting
from reference_server.queue.operation_table import published_topic
from reference_server.queue.outcomes import Outcome, ProducerAcknowledgement
from reference_server.server.application import Application
from reference_server.server.clock import wall
from reference_server.server.long_poll import LongPoll
from reference_server.stomp.frame import Frame
from reference_server.stomp.outlet import Outlet
from reference_server.stomp.queue_binding import ACKNOWLEDGEMENTS, ReplyAddress
from reference_server.stomp.session import Parsed, Session

_RUN = 256
"""Records of one session that are on their way at once."""


class LogApplication(Application):
    """One node: it keeps nothing that it could not read again from the log."""

    def __init__(self, settings: Settings, name: str) -> None:
        """Raises ConfigError if the log can't be used."""
        super().__init__(settings, name)
        self.has_page = False
        self._cluster = Cluster(settings)
        self._log_operations = LogOperations(self._cluster)
        self._waiting = Waiting(self._cluster, self._log_operations.groups, self._answer_late)
        hub = self._hub
        hub.router = LogRouter(self.operations, settings, self.budget)
        numbers = hub.router.numbers
        self._binding = hub.router.binding = LogBinding(self.operations, settings, numbers, self.budget)
        self._binding.asked = []
        self._binding.waiting = self._waiting
        self._listening = Listening(self._cluster, self._tell_all)
        self._listened_at = 0.0
        self._cluster.start()
        self._listening.start()
        self._waiting.start()

    def close(self) -> None:
        """End the threads of the log."""
        self._waiting.stop()
        self._cluster.stop()

    # STOMP sessions

    def handle(self, session: Session, items: Parsed) -> None:
        """Process frames of a session in their order; each operation has ended before the frame after it.

        Only records that are published in a row are on their way together, and long polls wait beside all else.
        """
        understood = self._read(session, items)
        for run in _runs(understood) if understood else [[]]:
            self._listen_first(session, run)
            with self._turn("stomp") as now:
                self.events.frames_received += len(run)
                session.handle(run, wall(), now)
                if self.on_frames is not None:
                    self.on_frames(session, run)
                asked, self._binding.asked = self._binding.asked, []
                if asked:
                    # The client may be silent meanwhile: what it sends is not read.
                    session.liveness.heard_at = wall() + 4 * self._cluster.log.timeout
            if asked:
                self._perform_all(session, asked)

    def _listen_first(self, session: Session, run: Parsed) -> None:
        for item in run:
            if isinstance(item, Frame) and item.command == "SUBSCRIBE":
                destination = item.headers.get("destination", "")
                for prefix in ACKNOWLEDGEMENTS:
                    if destination.startswith(prefix):
                        self._listen(destination.removeprefix(prefix))

    def _listen(self, topic: str) -> None:
        if self._listened_at + 5 < wall():
            self._listened_at = wall()
            with self._turn():
                names = self._binding.listened_topics()
            self._listening.keep(names)
        try:
            self._listening.listen(topic)
        except Unavailable as error:
            tell(logging.WARNING, "outcome-unknown", path="SUBSCRIBE", error=error)
            raise OutcomeUnknown("the log does not answer") from None

    def _perform_all(self, session: Session, asked: list[Asked]) -> None:
        try:
            answers = self._outcomes(asked)
        except OutcomeUnknown as error:
            tell(
                logging.WARNING,
                "outcome-unknown",
                session=session.name,
                path=asked[0].path[:200],
                error=error,
            )
            self._cut(session)
            return
        with self._turn("stomp"):
            session.liveness.heard_at = wall()
            for each, outcome in answers:
                if outcome is not None and not session.closing:
                    self._binding.answer_late(each.address, outcome)

    def _outcomes(self, asked: list[Asked]) -> list[tuple[Asked, Outcome | None]]:
        first = published_topic(asked[0].path)
        if first is None:
            return [(each, self._outcome(each)) for each in asked]
        publications = [Publication(published_topic(each.path) or "", each.body) for each in asked]
        ends = [each.address.receipt is not None for each in asked]
        return list(zip(asked, self._log_operations.publish(publications, ends), strict=False))

    def _outcome(self, asked: Asked) -> Outcome | None:
        address = asked.address
        if not asked.may_wait:
            return self._log_operations.perform(asked.path, asked.body, None)

        def park(name: str, limit: int, seconds: float) -> None:
            with self._turn():
                self._binding.note_parked(address)
            try:
                self._waiting.park(address, name, limit, seconds)
            except BaseException:
                with self._turn():
                    self._binding.note_unparked(address)
                raise

        return self._log_operations.perform(asked.path, asked.body, park)

    def _cut(self, session: Outlet) -> None:
        with self._turn():
            peer = self._peers.get(session)  # type: ignore[call-overload]
        if peer is not None:
            peer.cut()

    def _answer_late(self, waiter: Hashable, outcome: Outcome | None) -> None:
        if isinstance(waiter, LongPoll):
            if outcome is None:
                waiter.lose()
            else:
                waiter.answer(outcome)
            waiter.flush()
            return
        assert isinstance(waiter, ReplyAddress)
        if outcome is None:
            self._cut(waiter.outlet)
            return
        with self._turn():
            self._hub.now = wall()
            if not waiter.outlet.closing:
                self._binding.answer_late(waiter, outcome)

    def _tell_all(self, acknowledgements: list[ProducerAcknowledgement]) -> None:
        with self._turn():
            self._hub.now = wall()
            for each in acknowledgements:
                self._binding.acknowledge_producer(each)

    # Operations over HTTP

    def perform(self, path: str, body: bytes, waiter: LongPoll) -> Outcome | None:
        """Perform an operation; None: a long poll, whose answer `waiter` will get. Raises OutcomeUnknown."""
        began = wall()

        def park(name: str, limit: int, seconds: float) -> None:
            self._waiting.park(waiter, name, limit, seconds)

        try:
            outcome = self._log_operations.perform(path, body, park)
        except OutcomeUnknown as error:
            tell(logging.WARNING, "outcome-unknown", path=path[:200], error=error)
            raise
        self.events.request_time["http"].add(wall() - began)
        if outcome is not None and outcome.acknowledgement is not None:
            self._tell_all([outcome.acknowledgement])  # PUB-ACK-8
        return outcome

    def cancel(self, waiter: LongPoll) -> None:
        """End a long poll whose client is gone."""
        self._waiting.cancel(waiter)

    def read(self, path: str) -> Outcome:
        """Answer an introspection request."""
        return self._log_operations.read(path)


def _runs(items: Parsed) -> Iterator[Parsed]:
    """Yield SENDs that publish in runs, and every other frame alone."""
    run: Parsed = []
    for item in items:
        is_publish = (
            isinstance(item, Frame)
            and item.command == "SEND"
            and "transaction" not in item.headers
            and published_topic(item.headers.get("destination", "")) is not None
        )
        if run and (not is_publish or len(run) >= _RUN):
            yield run
            run = []
        if is_publish:
            run.append(item)
        else:
            yield [item]
    if run:
        yield run
