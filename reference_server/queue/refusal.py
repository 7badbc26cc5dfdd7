"""Refusals: an exception inside, a problem document (RFC 9457) outside."""

import re

import msgspec

#: Status and title of each cause. The `type` that a client sees is a URN made of the cause (REFUSE-3).
CAUSES: dict[str, tuple[int, str]] = {
    "topic-exists": (409, "The topic exists already"),
    "topic-unknown": (404, "There is no such topic"),
    "group-unknown": (404, "There is no such consumer group"),
    "consumer-unknown": (404, "There is no such consumer"),
    "consumer-exists": (409, "The name is taken by another consumer"),
    "not-in-flight": (409, "The record is not in flight with this consumer"),
    "partition-full": (507, "The bound of stored octets is reached"),
    "too-many": (409, "A limit of this server is reached"),
    "body-not-json": (400, "The body is not JSON"),
    "body-not-object": (400, "The body is not a JSON object"),
    "member-missing": (400, "A required member is missing"),
    "member-type": (400, "A member has the wrong type"),
    "member-value": (400, "A member has a value that cannot be used"),
    "name-invalid": (400, "This is not a name"),
    "log-unavailable": (503, "The log does not answer"),
    "path-unknown": (404, "There is no such operation"),
}


PROBLEM = "application/problem+json"


def problem_document(cause: str, status: int, title: str, detail: str, member: str | None = None) -> bytes:
    """Encode a problem document (REFUSE-2, REFUSE-3)."""
    kind = f"urn:stompliance:problem:{cause}"
    document = {"type": kind, "title": title, "status": status, "detail": detail}
    return msgspec.json.encode(document if member is None else document | {"member": member})


_TYPE = re.compile(rb'{"type":"urn:stompliance:problem:([a-z-]+)"')


def cause_of(problem: bytes) -> str:
    """Return the cause that a problem document of this module names."""
    found = _TYPE.match(problem)
    return found[1].decode() if found else "unknown"


class Refusal(Exception):
    """An operation is refused and has changed nothing (REFUSE-1).

    `cause` is a key of CAUSES, `member` the member of the request that is at fault, if one is.
    """

    def __init__(self, cause: str, detail: str, member: str | None = None) -> None:
        super().__init__(detail)
        self.cause = cause
        self.status, self.title = CAUSES[cause]
        self.detail = detail
        self.member = member

    def problem(self) -> bytes:
        """Return the body of type application/problem+json (REFUSE-2)."""
        return problem_document(self.cause, self.status, self.title, self.detail, self.member)
