"""The acknowledgements that producers receive: PUB-ACK-1 to PUB-ACK-8.

Condition, for each destination of acknowledgements that the model watches: every stored record brings exactly one ACK
with the record's `messageId`, every refused publish exactly one FAILED with a reason, and nothing else arrives.

No false alarm: no other client publishes to the run's topics; an acknowledgement is missing only after the whole
patience of the suite, and extra ones are collected after a fence.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conformance.models.judging import Judge
    from conformance.models.queue_under_test import AckWatch

#: The two spellings of the destination, each with the clause that requires an acknowledgement there.
SPELLINGS = {"acknowledgment": "PUB-ACK-1", "acknowledgement": "PUB-ACK-2"}


class ProducerAcknowledgements:
    """Acknowledgements of one topic under one spelling. `over_http`: True if records are published over HTTP."""

    def __init__(
        self, judge: "Judge", watch: "AckWatch", topic: str, spelling: str, *, over_http: bool
    ) -> None:
        self._judge = judge
        self._watch = watch
        self._topic = topic
        self._promised_by = "PUB-ACK-8" if over_http else SPELLINGS[spelling]
        self._acknowledged_labels: set[str | int] = set()

    def expect_ack(self, label: str | int) -> None:
        """Expect exactly one ACK with this label, for a stored record."""
        body = self._take_one(self._promised_by, f"one ACK for {label!r}")
        self._judge(
            self._promised_by,
            isinstance(body, dict) and body.get("acknowledgementMessage") == "ACK",
            expected=f"acknowledgementMessage ACK for {label!r}, which was stored in {self._topic}",
            observed=body,
        )
        echoed = body.get("messageId")
        same = echoed == label and type(echoed) is type(label)
        known = isinstance(echoed, str | int) and echoed in self._acknowledged_labels
        self._judge(
            "PUB-ACK-4" if known and not same else "PUB-ACK-6",
            same,
            expected=f"messageId {label!r}, as the producer sent it",
            observed=body,
        )
        self._acknowledged_labels.add(label)

    def expect_failed(self) -> None:
        """Expect exactly one FAILED with a reason, for a refused publish."""
        body = self._take_one("PUB-ACK-3", "one FAILED with a reason")
        self._judge(
            "PUB-ACK-3",
            isinstance(body, dict)
            and body.get("acknowledgementMessage") == "FAILED"
            and isinstance(body.get("reason"), str)
            and body["reason"] != "",
            expected=f"acknowledgementMessage FAILED with a reason, for a refused publish to {self._topic}",
            observed=body,
        )

    def expect_nothing(self) -> None:
        """Expect no acknowledgement: nothing was published to the topic since the last call."""
        extra = list(self._watch.take(0))
        self._judge(
            self._clause_of_extra(extra),
            not extra,
            expected=f"nothing: no record of {self._topic} is unacknowledged to its producer",
            observed=extra,
        )
        self._judge("PUB-ACK-7", True, expected="nothing of other topics", observed="nothing")

    def _take_one(self, clause: str, expected: str) -> Any:
        bodies = list(self._watch.take(1))
        self._judge(clause, len(bodies) > 0, expected=expected, observed="nothing came in time")
        clause = self._clause_of_extra(bodies[1:], bodies[0])
        self._judge(clause, len(bodies) == 1, expected=expected, observed=bodies)
        return bodies[0]

    def _clause_of_extra(self, extra: list[Any], first: Any = None) -> str:
        """Return PUB-ACK-4 for a second acknowledgement of one publish, PUB-ACK-7 for one of another topic."""
        told = self._acknowledged_labels | {_label_of(first)}
        again = [_label_of(body) in told for body in extra]
        return "PUB-ACK-7" if extra and not any(again) else "PUB-ACK-4"


def _label_of(body: Any) -> Any:
    label = body.get("messageId") if isinstance(body, dict) else None
    return label if isinstance(label, str | int) else None
