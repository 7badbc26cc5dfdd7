"""Every consumer that was registered, and the replies to operations that name one: MEMBER-*, LIVE-*.

Condition, for an operation sent in the interval [a, b] of the group's time by a consumer whose last sign of life lies
in [s, t]: it succeeds if b < s + timeout (LIVE-KEEP-1); it is refused with 4xx if a > t + timeout + grace + slack
(LIVE-EVICT-1), or if the consumer left, was removed with its group, or never registered.

No false alarm: between the two bounds either reply is allowed, and the reply decides the consumer's state: success
proves it registered, and a refusal that has no other possible reason proves it evicted. A refused operation may count
as a sign of life, and widens [s, t].
"""

from typing import TYPE_CHECKING, NamedTuple, Protocol

from conformance.models.members import Member, TimeInterval

if TYPE_CHECKING:
    from typing import Any

    from conformance.models.groups import GroupModel
    from conformance.models.judging import Judge


class OperationReply(Protocol):
    """Reply to an operation: the status of the operations table, and the decoded JSON body or None."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> "Any": ...


class ConsumerOperation(NamedTuple):
    """An operation that names a consumer, with its clauses.

    `served_clause` requires success, with one of `success_statuses` (empty if the caller judges the status).
    `unknown_clause` requires a refusal for an unknown consumer, `unknown_status_clause` recommends its status.
    """

    name: str
    served_clause: str
    unknown_clause: str
    unknown_status_clause: str
    success_statuses: tuple[int, ...]


#: An empty poll may have any status but 200 (POLL-EMPTY-1, POLL-EMPTY-2). If it is 4xx, a heartbeat shows whether the
#: consumer is registered.
POLL = ConsumerOperation("poll", "POLL-OK-1", "POLL-UNKNOWN-1", "POLL-UNKNOWN-2", ())
ACKNOWLEDGE = ConsumerOperation("acknowledge", "ACK-OK-1", "ACK-CONSUMER-1", "ACK-CONSUMER-2", (202,))
NEGATIVE_ACKNOWLEDGE = ConsumerOperation(
    "negative-acknowledge", "NACK-OK-1", "NACK-UNKNOWN-1", "NACK-UNKNOWN-2", (202,)
)
HEARTBEAT = ConsumerOperation("heartbeat", "LIVE-BEAT-1", "LIVE-BEAT-2", "LIVE-BEAT-3", (202,))
SUBSCRIBE = ConsumerOperation(
    "subscribe", "MEMBER-SUBSCRIBE-1", "MEMBER-SUBSCRIBE-2", "MEMBER-SUBSCRIBE-3", (200,)
)
UNSUBSCRIBE = ConsumerOperation(
    "unsubscribe", "MEMBER-UNSUBSCRIBE-1", "MEMBER-UNSUBSCRIBE-2", "MEMBER-UNSUBSCRIBE-3", (202,)
)
UNREGISTER = ConsumerOperation(
    "unregister", "MEMBER-UNREGISTER-1", "MEMBER-UNREGISTER-2", "MEMBER-UNREGISTER-3", (202,)
)

_OF_SUBSCRIPTIONS = {SUBSCRIBE.served_clause, UNSUBSCRIBE.served_clause}
_ENDED_BY = {"left": "MEMBER-UNREGISTER-1", "removed": "GROUP-REMOVE-2"}


def is_success(reply: OperationReply) -> bool:
    """True if the operation succeeded (2xx)."""
    return 200 <= reply.status < 300


def is_refusal(reply: OperationReply) -> bool:
    """True if the operation was refused as the text requires it (4xx)."""
    return 400 <= reply.status < 500


def judge_refusal(
    judge: "Judge", clauses: tuple[str, str], status: int, reply: OperationReply, why: str
) -> None:
    """Require a refusal with 4xx (`clauses[0]`), and recommend `status` for it (`clauses[1]`)."""
    judge(clauses[0], is_refusal(reply), expected=f"a refusal, 4xx: {why}", observed=reply)
    # The status of a producer acknowledgement only stands for FAILED.
    if not getattr(reply, "is_acknowledgement", False):
        judge(clauses[1], reply.status == status, expected=f"status {status}: {why}", observed=reply)


class ConsumerRegistry:
    """Every registered consumer name with its latest holder."""

    def __init__(self, judge: "Judge", groups: "dict[str, GroupModel]") -> None:
        self._judge = judge
        self._groups = groups
        self.by_name: dict[str, Member] = {}

    def group_of(self, member: Member) -> "GroupModel":
        """Return the group of a consumer."""
        return self._groups[member.group]

    def current(self, name: str, when: TimeInterval) -> Member | None:
        """Return the latest consumer named `name`, with its group's state as of `when`; None if no such name was
        registered.
        """
        member = self.by_name.get(name)
        if member is not None and not member.end_reason:
            self._groups[member.group].refresh(when)
        return member

    def judge_named(
        self,
        operation: ConsumerOperation,
        name: str,
        reply: OperationReply,
        when: TimeInterval,
        *,
        otherwise_valid: bool = True,
        is_registered: bool = False,
    ) -> Member | None:
        """Judge the reply as to the consumer's registration. Returns the consumer if it was served, else None.

        `otherwise_valid`: True if an unknown consumer is the only possible reason for a refusal. `is_registered`:
        True if a heartbeat sent after this operation succeeded, so that a refused poll is an empty one.
        """
        member = self.current(name, when)
        if member is None:
            clauses = operation.unknown_clause, operation.unknown_status_clause
            judge_refusal(self._judge, clauses, 404, reply, f"consumer {name!r} is unknown")
            return None
        if member.end_reason:
            self._judge_gone(operation, member, reply)
            return None
        group = self._groups[member.group]
        if is_success(reply) or (operation is POLL and (is_registered or not is_refusal(reply))):
            self._judge_kept(member, group, when)
            if otherwise_valid and operation.success_statuses:
                self._judge(
                    operation.served_clause,
                    reply.status in operation.success_statuses,
                    expected=f"{operation.name}: status {' or '.join(map(str, operation.success_statuses))}",
                    observed=reply,
                )
            group.proved_alive(member, when, operation.name)
            member.last_served_clause = operation.served_clause
            return member
        if member.possible_eviction is not None and is_refusal(reply):
            if otherwise_valid:
                group.proved_evicted(member, when)
            else:
                member.may_have_signed(when)
            return None
        if otherwise_valid or not is_refusal(reply):
            self._judge(
                self._clause_of_early_end(operation, member, group, reply, when),
                False,
                expected=f"{operation.name} of {name!r} served: it is registered, and its last sign of "
                f"life ({member.last_sign_operation}) was at most {when.latest - member.last_sign.earliest:.3f} s ago",
                observed=reply,
            )
        member.may_have_signed(when)
        return None

    def _judge_gone(self, operation: ConsumerOperation, member: Member, reply: OperationReply) -> None:
        """LIVE-EVICT-1 and LIVE-GONE-1 to LIVE-GONE-3 for an evicted consumer; MEMBER-UNREGISTER-1 or GROUP-REMOVE-2
        for others.
        """
        if member.end_reason != "evicted":
            clause = _ENDED_BY[member.end_reason]
            why = f"consumer {member.name!r} is gone: {clause}"
            self._judge(clause, is_refusal(reply), expected=f"a refusal, 4xx: {why}", observed=reply)
            return
        why = f"consumer {member.name!r} has been silent for longer than timeout and grace"
        if not member.end_was_observed:
            self._judge("LIVE-EVICT-1", is_refusal(reply), expected=f"a refusal, 4xx: {why}", observed=reply)
        if operation is ACKNOWLEDGE:
            self._judge("LIVE-GONE-3", is_refusal(reply), expected=f"a refusal, 4xx: {why}", observed=reply)
        judge_refusal(self._judge, ("LIVE-GONE-1", "LIVE-GONE-2"), 404, reply, why)
        member.end_was_observed = True

    def _judge_kept(self, member: Member, group: "GroupModel", when: TimeInterval) -> None:
        """LIVE-KEEP-1, and LIVE-SIGN-1 if no heartbeat but another operation kept the consumer alive."""
        timings = group.timings
        if (
            when.earliest - member.last_sign.latest >= timings.heartbeat_timeout / 2
            and member.possible_eviction is None
        ):
            self._judge("LIVE-KEEP-1", True, expected="served below the timeout", observed="served")
        if (
            member.last_sign_operation != HEARTBEAT.name
            and when.earliest
            > member.previous_sign.latest + timings.heartbeat_timeout + timings.eviction_grace
        ):
            self._judge(
                "LIVE-SIGN-1", True, expected=f"{member.last_sign_operation} kept it alive", observed="served"
            )

    def _clause_of_early_end(
        self,
        operation: ConsumerOperation,
        member: Member,
        group: "GroupModel",
        reply: OperationReply,
        when: TimeInterval,
    ) -> str:
        """Return the clause broken by a refusal that most likely takes a live consumer for unknown."""
        timeout = group.timings.heartbeat_timeout
        if reply.status in (400, 409) or not is_refusal(reply):
            return operation.served_clause
        if (
            when.latest - member.last_sign.earliest < timeout / 20
            and when.latest - member.previous_sign.earliest < timeout
        ):
            # The server lost the member by an operation before: most likely by that which changed its subscriptions.
            has_changed = operation is HEARTBEAT and member.last_served_clause in _OF_SUBSCRIPTIONS
            return member.last_served_clause if has_changed else operation.served_clause
        nearly = when.latest - member.last_sign.earliest >= 0.9 * timeout
        if not nearly and when.latest - member.previous_sign.earliest >= timeout:
            return "LIVE-BEAT-1" if member.last_sign_operation == HEARTBEAT.name else "LIVE-SIGN-1"
        return "LIVE-KEEP-1"
