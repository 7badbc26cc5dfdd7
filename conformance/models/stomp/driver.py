"""Performs operations on a server, and lets the model judge what comes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from conformance.models.stomp.broker_under_test import Outcome
from conformance.models.stomp.connections import Line, Lines

if TYPE_CHECKING:
    from conformance.models.stomp.entities import Delivery, Destination, Subscription
    from conformance.models.stomp.settling import Then


class StompDriver(Lines):
    """One method for each operation; all of them collect what came of it on every connection."""

    # Sessions

    def connect(self) -> Line:
        """Open a session."""
        line = Line(self.model.add_session(), self.system.connect())
        self.lines.append(line)
        self.program.append(f"{line.session}: CONNECT")
        return line

    def destination(self, *, is_queue: bool) -> "Destination":
        """A new destination."""
        return self.model.add_destination(self.system.destination(is_queue=is_queue), is_queue=is_queue)

    def disconnect(self, line: Line) -> None:
        """DISCONNECT, and end the connection when its RECEIPT is there, or when the server ends it first."""
        self.model.end(line.session, orderly=True)
        self.perform(line, "DISCONNECT", [])
        self.hang_up(line, "close")

    def end(self, line: Line, how: str = "cut") -> None:
        """End a connection without DISCONNECT: "close" with a Close frame, "cut" as a failing host does."""
        self.program.append(f"{line.session}: {how}")
        self.done += 1
        self.model.end(line.session)
        self.hang_up(line, how)

    # Subscriptions and messages

    def subscribe(self, line: Line, identifier: str, destination: "Destination", mode: str) -> Outcome:
        """SUBSCRIBE; mode auto is left to the default."""
        headers = [("id", identifier), *self._place(destination)]
        if mode != "auto":
            headers.append(("ack", mode))
        then = self.model.subscribe(line.session, identifier, destination, mode)
        is_new = all(former.id != identifier for former in line.session.removed)
        return self.ask(line, "SUBSCRIBE", headers, then, is_fine=is_new)

    def unsubscribe(self, subscription: "Subscription") -> None:
        """UNSUBSCRIBE."""
        then = self.model.unsubscribe(subscription)
        headers = [("id", subscription.id), *self.system.place_headers[subscription.destination.is_queue]]
        self.ask(self.line_of(subscription.session), "UNSUBSCRIBE", headers, then)

    def send(self, line: Line, destinations: "Iterable[Destination]") -> None:
        """SEND a message to each, the last one with a receipt: by then the server has got all (STOMP-RECEIPT-004)."""
        messages = [self.model.new_message(each) for each in destinations]
        thens = [self.model.send(message) for message in messages]
        for message in messages[:-1]:
            self.send_frame(line, "SEND", self._place(message.destination), message.body)
        last = messages[-1]
        outcome = self.perform(line, "SEND", self._place(last.destination), last.body, is_fine=True)
        for then in thens:
            then(outcome)
        self.collect()

    # Settling

    def ack(self, delivery: "Delivery") -> None:
        """ACK a delivery that is certainly to be settled."""
        self._settle("ACK", delivery, self.model.settling.ack(delivery))

    def nack(self, delivery: "Delivery") -> None:
        """NACK such a delivery."""
        self._settle("NACK", delivery, self.model.settling.nack(delivery))

    def settle_late(self, delivery: "Delivery", command: str) -> None:
        """ACK or NACK a delivery that is settled, or perhaps is; a refusal is as good as a RECEIPT, not both."""
        line = self.line_of(delivery.subscription.session)
        again = line.session.find(delivery.key)
        if again is not None and again is not delivery:
            return  # the same headers name a later delivery of the message
        self.ask(line, command, delivery.key, self.model.settling.late(delivery), is_certain=False)

    def ack_stray(self, line: Line, key: tuple[tuple[str, str], ...]) -> None:
        """ACK by headers that name nothing that this session was sent; the answer may be silence."""
        known = [*line.session.unsettled, *line.session.former]
        if any(delivery.key == key for delivery in known):
            return
        then = self.model.settling.stray(line.session, key, self.model.sessions)
        receipt = self.receipt(line)
        self.send_frame(line, "ACK", [*key, ("receipt", receipt)])
        self.fence(line)
        outcome = Outcome(receipt in line.granted, line.error, line.link.is_over)
        then(outcome)
        self.check_receipt(line, outcome)
        self.collect()

    # Transactions

    def begin(self, line: Line, name: str, *, used_before: bool) -> None:
        """BEGIN."""
        then = self.model.transactions.begin(line.session, name, used_before=used_before)
        self.ask(line, "BEGIN", [("transaction", name)], then, is_fine=not used_before)

    def begin_again(self, line: Line, name: str) -> None:
        """BEGIN of a transaction that is open."""
        if name not in line.session.transactions:
            return
        then = self.model.transactions.begin_again(line.session, name)
        self.ask(line, "BEGIN", [("transaction", name)], then, is_fine=False)

    def send_in(self, line: Line, name: str, destination: "Destination") -> None:
        """SEND in a transaction, if it is open."""
        if name not in line.session.transactions:
            return
        message = self.model.new_message(destination)
        self.model.send_in(line.session, name, message)
        self.send_frame(line, "SEND", [*self._place(destination), ("transaction", name)], message.body)

    def settle_in(self, line: Line, name: str, delivery: "Delivery", command: str) -> None:
        """ACK or NACK in a transaction, if it is open."""
        if name not in line.session.transactions:
            return
        self.model.settle_in(line.session, name, delivery, is_ack=command == "ACK")
        self.send_frame(line, command, [*delivery.key, ("transaction", name)])

    def commit(self, line: Line, name: str) -> None:
        """COMMIT; what nobody may see before it has had its chance to show."""
        self.collect()
        if name in line.session.transactions:
            self.ask(
                line, "COMMIT", [("transaction", name)], self.model.transactions.commit(line.session, name)
            )

    def commit_and_cut(self, line: Line, name: str) -> None:
        """COMMIT, and cut the connection before the answer."""
        if name not in line.session.transactions:
            return
        self.model.transactions.commit_unanswered(line.session, name)
        self.send_frame(line, "COMMIT", [("transaction", name)])
        self.end(line)

    def abort(self, line: Line, name: str) -> None:
        """ABORT."""
        if name not in line.session.transactions:
            return
        self.ask(line, "ABORT", [("transaction", name)], self.model.transactions.abort(line.session, name))

    def commit_spoilt(
        self, line: Line, name: str, destinations: "Iterable[Destination]", key: tuple[tuple[str, str], ...]
    ) -> None:
        """A transaction with SENDs and, among them, an ACK of something that doesn't exist."""
        self.begin(line, name, used_before=False)
        if name not in line.session.transactions:
            return
        for number, destination in enumerate(destinations):
            self.send_in(line, name, destination)
            if number == 0:
                self.send_frame(line, "ACK", [*key, ("transaction", name)])
        then = self.model.transactions.spoilt(line.session, name)
        outcome = self.perform(line, "COMMIT", [("transaction", name)])
        then(outcome)
        if outcome.granted and line in self.lines:
            line.may_end = True  # an ERROR for the ACK may come late
            self.fence(line)
        self.collect()

    # Frames to refuse

    def refused(
        self,
        line: Line,
        clause: str,
        expected: str,
        command: str,
        headers: Iterable[tuple[str, str]],
        behind: "Destination",
    ) -> None:
        """A frame that `clause` has refused, and a SEND right behind it."""
        receipt, message = self.receipt(line), self.model.new_message(behind)
        line.to_refuse[receipt] = (clause, expected)
        sent = self.model.send(message)
        self.send_frame(line, command, [*headers, ("receipt", receipt)])
        outcome = self.perform(line, "SEND", self._place(behind), message.body)
        if outcome.granted and not outcome.is_over:
            self.fence(line)  # the ERROR may come after the RECEIPT of a later frame
        for broken in (clause, "STOMP-RECEIPT-003"):
            self.model.judge(broken, receipt not in line.granted, expected=expected, observed="RECEIPT")
        if outcome.granted:
            sent(outcome)
        elif line.error is not None:
            self.model.not_carried_out(message)
        self.collect()

    # Parts of the above

    def _place(self, destination: "Destination") -> list[tuple[str, str]]:
        return [("destination", destination.name), *self.system.place_headers[destination.is_queue]]

    def _settle(self, command: str, delivery: "Delivery", then: "Then") -> None:
        self.ask(self.line_of(delivery.subscription.session), command, delivery.key, then)
