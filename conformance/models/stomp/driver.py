"""Driver of a broker under test: performs operations and gives each answer to the model."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from conformance.models.stomp.broker_under_test import FrameOutcome
from conformance.models.stomp.connections import Connections, ModelConnection

if TYPE_CHECKING:
    from conformance.models.stomp.entities import Destination, MessageDelivery, Subscription
    from conformance.models.stomp.settling import OutcomeHandler


class StompDriver(Connections):
    """One method for each operation; each collects the frames that follow on every connection."""

    # Sessions

    def connect(self) -> ModelConnection:
        """Open a session."""
        connection = ModelConnection(self.model.add_session(), self.system.connect())
        self.connections.append(connection)
        self.program.append(f"{connection.session}: CONNECT")
        return connection

    def destination(self, *, is_queue: bool) -> "Destination":
        """Return a new destination."""
        return self.model.add_destination(self.system.destination(is_queue=is_queue), is_queue=is_queue)

    def disconnect(self, connection: ModelConnection) -> None:
        """DISCONNECT, and end the connection after its RECEIPT, unless the server ends it first."""
        self.model.end(connection.session, orderly=True)
        self.send_with_receipt(connection, "DISCONNECT", [])
        self.end_connection(connection, "close")

    def end(self, connection: ModelConnection, how: str = "cut") -> None:
        """End a connection without DISCONNECT: "close" with a Close frame, "cut" as a failing host does."""
        self.program.append(f"{connection.session}: {how}")
        self.actions += 1
        self.model.end(connection.session)
        self.end_connection(connection, how)

    # Subscriptions and messages

    def subscribe(
        self, connection: ModelConnection, identifier: str, destination: "Destination", mode: str
    ) -> FrameOutcome:
        """SUBSCRIBE; mode auto is sent as no `ack` header."""
        headers = [("id", identifier), *self._headers_for(destination)]
        if mode != "auto":
            headers.append(("ack", mode))
        handle_outcome = self.model.subscribe(connection.session, identifier, destination, mode)
        is_new = all(former.id != identifier for former in connection.session.removed)
        return self.request(connection, "SUBSCRIBE", headers, handle_outcome, must_be_granted=is_new)

    def unsubscribe(self, subscription: "Subscription") -> None:
        """UNSUBSCRIBE."""
        handle_outcome = self.model.unsubscribe(subscription)
        headers = [
            ("id", subscription.id),
            *self.system.destination_headers[subscription.destination.is_queue],
        ]
        self.request(self.connection_of(subscription.session), "UNSUBSCRIBE", headers, handle_outcome)

    def send(self, connection: ModelConnection, destinations: "Iterable[Destination]") -> None:
        """SEND a message to each destination; a RECEIPT for the last one confirms all (STOMP-RECEIPT-004)."""
        messages = [self.model.new_message(each) for each in destinations]
        outcome_handlers = [self.model.send(message) for message in messages]
        for message in messages[:-1]:
            self.send_frame(connection, "SEND", self._headers_for(message.destination), message.body)
        last = messages[-1]
        outcome = self.send_with_receipt(
            connection, "SEND", self._headers_for(last.destination), last.body, must_be_granted=True
        )
        for handle_outcome in outcome_handlers:
            handle_outcome(outcome)
        self.collect()

    # Settling

    def ack(self, delivery: "MessageDelivery") -> None:
        """ACK a delivery that must be settled."""
        self._settle("ACK", delivery, self.model.settling.ack(delivery))

    def nack(self, delivery: "MessageDelivery") -> None:
        """NACK a delivery that must be settled."""
        self._settle("NACK", delivery, self.model.settling.nack(delivery))

    def settle_late(self, delivery: "MessageDelivery", command: str) -> None:
        """ACK or NACK a delivery that is settled or may be; RECEIPT and refusal are both allowed, but not together."""
        connection = self.connection_of(delivery.subscription.session)
        again = connection.session.find(delivery.key)
        if again is not None and again is not delivery:
            return  # these headers name a later delivery of the message
        self.request(connection, command, delivery.key, self.model.settling.late(delivery), is_certain=False)

    def ack_stray(self, connection: ModelConnection, key: tuple[tuple[str, str], ...]) -> None:
        """ACK a message that this session never received; the server may leave it unanswered."""
        known = [*connection.session.unsettled, *connection.session.former]
        if any(delivery.key == key for delivery in known):
            return
        handle_outcome = self.model.settling.stray(connection.session, key, self.model.sessions)
        receipt = self.receipt(connection)
        self.send_frame(connection, "ACK", [*key, ("receipt", receipt)])
        self.fence(connection)
        outcome = FrameOutcome(receipt in connection.granted, connection.error, connection.client.is_over)
        handle_outcome(outcome)
        self.check_receipt(connection, outcome)
        self.collect()

    # Transactions

    def begin(self, connection: ModelConnection, name: str, *, used_before: bool) -> None:
        """BEGIN; `used_before`: True if the session has used the name for an earlier transaction."""
        handle_outcome = self.model.transactions.begin(connection.session, name, used_before=used_before)
        self.request(
            connection, "BEGIN", [("transaction", name)], handle_outcome, must_be_granted=not used_before
        )

    def begin_again(self, connection: ModelConnection, name: str) -> None:
        """BEGIN of an open transaction."""
        if name not in connection.session.transactions:
            return
        handle_outcome = self.model.transactions.begin_again(connection.session, name)
        self.request(connection, "BEGIN", [("transaction", name)], handle_outcome, must_be_granted=False)

    def send_in(self, connection: ModelConnection, name: str, destination: "Destination") -> None:
        """SEND in a transaction, if it is open."""
        if name not in connection.session.transactions:
            return
        message = self.model.new_message(destination)
        self.model.send_in(connection.session, name, message)
        self.send_frame(
            connection, "SEND", [*self._headers_for(destination), ("transaction", name)], message.body
        )

    def settle_in(
        self, connection: ModelConnection, name: str, delivery: "MessageDelivery", command: str
    ) -> None:
        """ACK or NACK in a transaction, if it is open."""
        if name not in connection.session.transactions:
            return
        self.model.settle_in(connection.session, name, delivery, is_ack=command == "ACK")
        self.send_frame(connection, command, [*delivery.key, ("transaction", name)])

    def commit(self, connection: ModelConnection, name: str) -> None:
        """COMMIT, after reading messages that must not come before it."""
        self.collect()
        if name in connection.session.transactions:
            self.request(
                connection,
                "COMMIT",
                [("transaction", name)],
                self.model.transactions.commit(connection.session, name),
            )

    def commit_and_cut(self, connection: ModelConnection, name: str) -> None:
        """COMMIT, and cut the connection before the answer."""
        if name not in connection.session.transactions:
            return
        self.model.transactions.commit_unanswered(connection.session, name)
        self.send_frame(connection, "COMMIT", [("transaction", name)])
        self.end(connection)

    def abort(self, connection: ModelConnection, name: str) -> None:
        """ABORT."""
        if name not in connection.session.transactions:
            return
        self.request(
            connection,
            "ABORT",
            [("transaction", name)],
            self.model.transactions.abort(connection.session, name),
        )

    def commit_spoilt(
        self,
        connection: ModelConnection,
        name: str,
        destinations: "Iterable[Destination]",
        key: tuple[tuple[str, str], ...],
    ) -> None:
        """COMMIT a transaction with SENDs and, among them, an ACK of a message that does not exist."""
        self.begin(connection, name, used_before=False)
        if name not in connection.session.transactions:
            return
        for number, destination in enumerate(destinations):
            self.send_in(connection, name, destination)
            if number == 0:
                self.send_frame(connection, "ACK", [*key, ("transaction", name)])
        handle_outcome = self.model.transactions.spoilt(connection.session, name)
        outcome = self.send_with_receipt(connection, "COMMIT", [("transaction", name)])
        handle_outcome(outcome)
        if outcome.granted and connection in self.connections:
            connection.may_end = True  # an ERROR for the ACK may come late
            self.fence(connection)
        self.collect()

    # Frames to refuse

    def refused(
        self,
        connection: ModelConnection,
        clause: str,
        expected: str,
        command: str,
        headers: Iterable[tuple[str, str]],
        behind: "Destination",
    ) -> None:
        """Send a frame that `clause` requires to be refused, and a SEND behind it."""
        receipt, message = self.receipt(connection), self.model.new_message(behind)
        connection.must_be_refused[receipt] = (clause, expected)
        sent = self.model.send(message)
        self.send_frame(connection, command, [*headers, ("receipt", receipt)])
        outcome = self.send_with_receipt(connection, "SEND", self._headers_for(behind), message.body)
        if outcome.granted and not outcome.is_over:
            self.fence(connection)  # the ERROR may come after the RECEIPT of a later frame
        for broken in (clause, "STOMP-RECEIPT-003"):
            self.model.judge(broken, receipt not in connection.granted, expected=expected, observed="RECEIPT")
        if outcome.granted:
            sent(outcome)
        elif connection.error is not None:
            self.model.judge_dropped(message)
        self.collect()

    # Helpers

    def _headers_for(self, destination: "Destination") -> list[tuple[str, str]]:
        return [("destination", destination.name), *self.system.destination_headers[destination.is_queue]]

    def _settle(self, command: str, delivery: "MessageDelivery", handle_outcome: "OutcomeHandler") -> None:
        self.request(self.connection_of(delivery.subscription.session), command, delivery.key, handle_outcome)
