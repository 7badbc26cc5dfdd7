"""The one exception of the STOMP side: what a client did that ends its connection with an ERROR."""


class ProtocolError(Exception):
    """A frame that cannot be served; it becomes an ERROR frame and the end of the connection.

    `summary` is the ERROR's `message` header: what was wrong, in a few words.
    `advice` is its body: what was expected and what to do next.
    `receipt` is the `receipt` of the faulty frame, where it is known (STOMP-ERROR-004).
    `headers` go into the ERROR frame besides (STOMP-ERROR-005).
    """

    def __init__(
        self,
        summary: str,
        advice: str = "",
        *,
        receipt: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        self.advice = advice
        self.receipt = receipt
        self.headers = headers
