"""What every operation that names a consumer must do about it: serve it, or refuse it as unknown.

`Consumers` holds every consumer that was ever registered. A consumer may be alive for certain, gone for
certain, or in the window between: then a success proves it alive, and a refusal that has no other reason
proves it gone.
"""

from typing import TYPE_CHECKING, NamedTuple, Protocol

from conformance.models.members import Member, When

if TYPE_CHECKING:
    from typing import Any

    from conformance.models.groups import GroupModel
    from conformance.models.judging import Judge


class Answer(Protocol):
    """The reply to an operation: the status of the operations table, and the decoded JSON body or None."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> "Any": ...


class Naming(NamedTuple):
    """The clauses of an operation that names a consumer: served, refused if unknown, with which status.

    `success`: the statuses of which one must come; empty where others are judged elsewhere.
    """

    operation: str
    served: str
    unknown: str
    unknown_status: str
    success: tuple[int, ...]


#: Any status answers a poll that has nothing to give, except 200: POLL-EMPTY-1, POLL-EMPTY-2. Where it is one of a
#: refusal, a heartbeat tells whether the consumer is there.
POLL = Naming("poll", "POLL-OK-1", "POLL-UNKNOWN-1", "POLL-UNKNOWN-2", ())
ACKNOWLEDGE = Naming("acknowledge", "ACK-OK-1", "ACK-CONSUMER-1", "ACK-CONSUMER-2", (202,))
RETURN = Naming("negative-acknowledge", "NACK-OK-1", "NACK-UNKNOWN-1", "NACK-UNKNOWN-2", (202,))
HEARTBEAT = Naming("heartbeat", "LIVE-BEAT-1", "LIVE-BEAT-2", "LIVE-BEAT-3", (202,))
SUBSCRIBE = Naming("subscribe", "MEMBER-SUBSCRIBE-1", "MEMBER-SUBSCRIBE-2", "MEMBER-SUBSCRIBE-3", (200,))
UNSUBSCRIBE = Naming(
    "unsubscribe", "MEMBER-UNSUBSCRIBE-1", "MEMBER-UNSUBSCRIBE-2", "MEMBER-UNSUBSCRIBE-3", (202,)
)
UNREGISTER = Naming("unregister", "MEMBER-UNREGISTER-1", "MEMBER-UNREGISTER-2", "MEMBER-UNREGISTER-3", (202,))

_ENDED_BY = {"left": "MEMBER-UNREGISTER-1", "removed": "GROUP-REMOVE-2"}


def served(reply: Answer) -> bool:
    """Whether the operation succeeded."""
    return 200 <= reply.status < 300


def refused(reply: Answer) -> bool:
    """Whether the operation was refused, as the text wants refusals: 4xx."""
    return 400 <= reply.status < 500


def judge_refusal(judge: "Judge", clauses: tuple[str, str], status: int, reply: Answer, why: str) -> None:
    """The operation must be refused with 4xx (the first clause), and should be with `status` (the second)."""
    judge(clauses[0], refused(reply), expected=f"a refusal, 4xx: {why}", observed=reply)
    judge(clauses[1], reply.status == status, expected=f"status {status}: {why}", observed=reply)


class Consumers:
    """Every consumer name that was registered, with its latest holder."""

    def __init__(self, judge: "Judge", groups: "dict[str, GroupModel]") -> None:
        self._judge = judge
        self._groups = groups
        self.by_name: dict[str, Member] = {}

    def group_of(self, member: Member) -> "GroupModel":
        """The group that the consumer belongs to."""
        return self._groups[member.group]

    def current(self, name: str, when: When) -> Member | None:
        """The latest consumer of that name, after time passed up to `when`; None if there never was one."""
        member = self.by_name.get(name)
        if member is not None and not member.fate:
            self._groups[member.group].refresh(when)
        return member

    def named(
        self,
        naming: Naming,
        name: str,
        reply: Answer,
        when: When,
        *,
        innocent: bool = True,
        is_there: bool = False,
    ) -> Member | None:
        """Judge the reply as to the consumer's existence. The consumer, if it was served; else None.

        `innocent`: nothing else about the operation could be a reason to refuse it. `is_there`: a heartbeat behind
        the operation was served, so that a refused poll is one that had nothing to give.
        """
        member = self.current(name, when)
        if member is None:
            clauses = naming.unknown, naming.unknown_status
            judge_refusal(self._judge, clauses, 404, reply, f"consumer {name!r} is unknown")
            return None
        if member.fate:
            self._judge_gone(naming, member, reply)
            return None
        group = self._groups[member.group]
        if served(reply) or (naming is POLL and (is_there or not refused(reply))):
            self._judge_kept(member, group, when)
            if innocent and naming.success:
                self._judge(
                    naming.served,
                    reply.status in naming.success,
                    expected=f"{naming.operation}: status {' or '.join(map(str, naming.success))}",
                    observed=reply,
                )
            group.proved_alive(member, when, naming.operation)
            return member
        if member.doubt is not None and refused(reply):
            if innocent:
                group.proved_gone(member, when)
            else:
                member.perhaps_signed(when)
            return None
        if innocent or not refused(reply):
            self._judge(
                self._clause_of_early_end(naming, member, group, reply, when),
                False,
                expected=f"{naming.operation} of {name!r} served: it is registered, and its last sign of "
                f"life ({member.sign_by}) was at most {when.latest - member.sign.earliest:.3f} s ago",
                observed=reply,
            )
        member.perhaps_signed(when)
        return None

    def _judge_gone(self, naming: Naming, member: Member, reply: Answer) -> None:
        """LIVE-EVICT-1, LIVE-GONE-1 to -3, and their like for those that left or whose group was removed."""
        if member.fate != "evicted":
            clause = _ENDED_BY[member.fate]
            why = f"consumer {member.name!r} is gone: {clause}"
            self._judge(clause, refused(reply), expected=f"a refusal, 4xx: {why}", observed=reply)
            return
        why = f"consumer {member.name!r} has been silent for longer than timeout and grace"
        if not member.observed:
            self._judge("LIVE-EVICT-1", refused(reply), expected=f"a refusal, 4xx: {why}", observed=reply)
        if naming is ACKNOWLEDGE:
            self._judge("LIVE-GONE-3", refused(reply), expected=f"a refusal, 4xx: {why}", observed=reply)
        judge_refusal(self._judge, ("LIVE-GONE-1", "LIVE-GONE-2"), 404, reply, why)
        member.observed = True

    def _judge_kept(self, member: Member, group: "GroupModel", when: When) -> None:
        """LIVE-KEEP-1, and LIVE-SIGN-1 where only the last sign of life kept the consumer."""
        timings = group.timings
        if when.earliest - member.sign.latest >= timings.heartbeat_timeout / 2 and member.doubt is None:
            self._judge("LIVE-KEEP-1", True, expected="served below the timeout", observed="served")
        if (
            member.sign_by != HEARTBEAT.operation
            and when.earliest > member.previous.latest + timings.heartbeat_timeout + timings.eviction_grace
        ):
            self._judge("LIVE-SIGN-1", True, expected=f"{member.sign_by} kept it alive", observed="served")

    def _clause_of_early_end(
        self, naming: Naming, member: Member, group: "GroupModel", reply: Answer, when: When
    ) -> str:
        """Which clause a refusal breaks that most likely takes a living consumer for unknown."""
        timeout = group.timings.heartbeat_timeout
        if reply.status in (400, 409) or not refused(reply):
            return naming.served
        if (
            when.latest - member.sign.earliest < timeout / 20
            and when.latest - member.previous.earliest < timeout
        ):
            return naming.served
        nearly = when.latest - member.sign.earliest >= 0.9 * timeout
        if not nearly and when.latest - member.previous.earliest >= timeout:
            return "LIVE-BEAT-1" if member.sign_by == HEARTBEAT.operation else "LIVE-SIGN-1"
        return "LIVE-KEEP-1"
