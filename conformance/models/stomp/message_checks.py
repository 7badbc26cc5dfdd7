"""MESSAGE frames: STOMP-MESSAGE-*, STOMP-SEND-*, STOMP-SUB-*, and messages that must not come.

Condition, for a MESSAGE on a session: its body is one that was sent; its message-id belongs to that message alone on
the session; it names a subscription of the session to the message's destination, whose UNSUBSCRIBE has no RECEIPT;
and the copy for that subscription is not FORBIDDEN and not UNSETTLED.

No false alarm: bodies are unique, so a body identifies its message; destinations are new, so no other client sends to
them; the state of a copy that the text allows to come again is ALLOWED.
"""

from typing import TYPE_CHECKING

from conformance.models.stomp.entities import (
    AUTO,
    CopyState,
    MessageCopy,
    MessageDelivery,
    Subscription,
    key_of,
)
from conformance.wire.cutting import cut_repr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.models.stomp.entities import Message, Session
    from conformance.models.stomp.judging import VersionJudge
    from conformance.models.stomp.server_findings import ServerFindings
    from conformance.wire.frames import Frame


class MessageChecks:
    """Judge of MESSAGE frames, given the messages that were sent."""

    def __init__(
        self,
        judge: "VersionJudge",
        sessions: "Sequence[Session]",
        messages: "Mapping[bytes, Message]",
        findings: "ServerFindings",
    ) -> None:
        self._judge = judge
        self._sessions = sessions
        self._messages = messages
        self._findings = findings

    def check(self, session: "Session", frame: "Frame") -> None:
        """Judge a MESSAGE on a session and note its delivery."""
        shown = _shown(frame)
        message = self._messages.get(frame.body)
        self._judge(
            "STOMP-SEND-005",
            message is not None,
            expected="the body of a message that was sent",
            observed=shown,
        )
        self._judge(
            "STOMP-MESSAGE-001",
            frame.get("destination") is not None,
            expected="a destination",
            observed=shown,
        )
        if message is None:
            return
        self._judge_id(session, message, frame)
        subscription = self._subscription_of(session, message, frame)
        if subscription is None:
            return
        self._judge(
            "STOMP-SEND-007",
            frame.get("destination") == message.destination.name,
            expected=f"destination:{message.destination}",
            observed=shown,
        )
        self._judge(
            "STOMP-UNSUB-001",
            not subscription.is_gone,
            expected=f"nothing more for {subscription}: its UNSUBSCRIBE got a RECEIPT",
            observed=shown,
        )
        copy = message.copy_for(subscription)
        self._judge_copy(copy, subscription, frame)
        self._deliver(copy, subscription, frame)

    def _judge_id(self, session: "Session", message: "Message", frame: "Frame") -> None:
        identifier = frame.get("message-id")
        known = session.message_ids.setdefault(identifier, message) if identifier is not None else None
        self._judge(
            "STOMP-MESSAGE-002",
            known is message,
            expected=f"a message-id that no message but {message} has on {session}",
            observed=_shown(frame),
        )

    def _subscription_of(self, session: "Session", message: "Message", frame: "Frame") -> Subscription | None:
        """Return the subscription that the frame names; in 1.0, which need not name one, any that fits; else None."""
        named = frame.get("subscription")
        everything = [*session.subscriptions.values(), *reversed(session.removed)]
        meant = [each for each in everything if each.id == named]
        fits = [each for each in everything if each.destination is message.destination]
        self._judge(
            "STOMP-MESSAGE-003",
            bool(meant),
            expected=f"the id of a subscription of {session}",
            observed=_shown(frame),
        )
        self._judge(
            "STOMP-MESSAGE-008",
            any(each in fits for each in meant),
            expected=f"the id of a subscription of {message.destination}",
            observed=_shown(frame),
        )
        # If another session uses the id for another destination, a broker that confuses the two would show here.
        others = [
            other.subscriptions[named].destination
            for other in self._sessions
            if other is not session and named is not None and named in other.subscriptions
        ]
        found = next((each for each in meant or fits if each in fits), None)
        if found is not None:
            if any(other is not found.destination for other in others):
                self._judge("STOMP-SUB-006", True, expected=f"{message}", observed=_shown(frame))
            self._judge("STOMP-SEND-006", True, expected=f"{message}", observed=_shown(frame))
            return found
        elsewhere = message.destination in others
        self._judge(
            "STOMP-SUB-006" if elsewhere else "STOMP-SEND-006",
            False,
            expected=f"{message} only for subscriptions of {message.destination}",
            observed=_shown(frame),
        )
        return None

    def _judge_copy(self, copy: MessageCopy, subscription: Subscription, frame: "Frame") -> None:
        if copy.state is CopyState.FORBIDDEN:
            self._judge(
                copy.clause,
                False,
                expected=f"{copy.message} does not come (again)",
                observed=_shown(frame),
            )
        elif copy.state is CopyState.UNSETTLED and copy.delivery is not None:
            # The server returned an unsettled message to the queue, most likely because of a NACK.
            suspect = "STOMP-NACK-002" if "STOMP-NACK-002" in copy.suspects else copy.suspect
            self._judge(
                suspect or "STOMP-SUB-017",
                False,
                expected=f"{copy.message} once: {copy.delivery.subscription} has it and did not give it back",
                observed=f"for {subscription}: {_shown(frame)}",
            )
        else:
            if copy.state is CopyState.DUE and copy.clause == "STOMP-ACK-001":
                self._findings.redelivery = True
            kept = copy.suspects if copy.state is CopyState.DUE else ()
            for clause in (copy.clause, "STOMP-SUB-001", *kept):
                self._judge(clause, True, expected="a message", observed=_shown(frame))
        group, copy.message.committed_together = copy.message.committed_together, []
        for message in group:
            message.committed_together = []
            message.mark_sent("STOMP-TX-003")

    def _deliver(self, copy: MessageCopy, subscription: Subscription, frame: "Frame") -> None:
        copy.arrivals += 1
        former, copy.delivery = copy.delivery, None
        if former is not None and not former.is_settled:
            former.subscription.session.settle(former)  # it was in doubt; this delivery replaces it
        if subscription.mode == AUTO:
            copy.set_state(
                CopyState.FORBIDDEN,
                "STOMP-SUB-007" if subscription.session.version == "1.0" else "STOMP-SUB-008",
            )
            return
        key = key_of(frame, subscription.session.version)
        session = subscription.session
        is_new = key is not None and all(
            other.key != key for other in session.unsettled if other.copy is not copy
        )
        self._judge(
            "STOMP-MESSAGE-004",
            is_new,
            expected="an ack header that no other outstanding message has",
            observed=_shown(frame),
        )
        copy.delivery = MessageDelivery(copy, subscription, key or ())
        copy.suspects = set()
        copy.set_state(CopyState.UNSETTLED)
        subscription.unsettled.append(copy.delivery)
        session.unsettled.append(copy.delivery)
        self._findings.delivered(subscription)


def _shown(frame: "Frame") -> str:
    return (
        cut_repr(frame.octets, 300)
        if frame.octets
        else f"{frame.command} {dict(frame.headers)} {frame.body!r}"
    )
