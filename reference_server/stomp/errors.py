"""The one exception of the STOMP side."""

from reference_server.budget import Budget

Headers = tuple[tuple[str, str], ...]


class ProtocolError(Exception):
    """A frame that cannot be processed; it becomes an ERROR frame and the end of the connection.

    `summary` is the ERROR's `message` header: the fault in a few words.
    `advice` is its body: the expected input, or the next step.
    `receipt` is the `receipt` of the faulty frame, if it is known (STOMP-ERROR-004).
    `headers` are further ones of the ERROR frame (STOMP-ERROR-005).
    """

    def __init__(
        self, summary: str, advice: str = "", *, receipt: str | None = None, headers: Headers = ()
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        self.advice = advice
        self.receipt = receipt
        self.headers = headers


def check_budget(budget: Budget, octets: int) -> None:
    """Raise ProtocolError unless the server may keep so many more octets."""
    if not budget.has_room(octets):
        advice = f"{budget.bound} octets are kept at most. Send again when consumers have caught up."
        raise ProtocolError("server full", advice)
