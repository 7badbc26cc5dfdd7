"""Other protocols at a port or an endpoint of STOMP, and STOMP at a port of HTTP, told by their first octets."""

import re

_STRANGERS = (
    (
        re.compile(rb'\[\s*"'),
        "SockJS framing",
        "Frames came in a JSON array. Connect a plain WebSocket here, not a SockJS client.",
    ),
    (
        re.compile(rb"[A-Z]+ \S+ HTTP/\d"),
        "HTTP in place of STOMP",
        "This port speaks STOMP over TCP. HTTP and WebSocket have a port of their own.",
    ),
    (
        re.compile(rb"\x16\x03"),
        "TLS in place of STOMP",
        "This port speaks STOMP without TLS. Connect without it, or start the server with --tls-cert.",
    ),
    (
        re.compile(rb"PROXY |(\r\n\r\n)?\0\r\nQUIT"),
        "PROXY protocol",
        "A load balancer sent its PROXY protocol, which this server does not read. Turn it off there.",
    ),
)
_STOMP = re.compile(rb"(CONNECT|STOMP)\r?\n")


def stranger(octets: bytes) -> tuple[str, str] | None:
    """Name what is no STOMP, with advice; None for octets that are no known protocol."""
    return next(((name, advice) for begin, name, advice in _STRANGERS if begin.match(octets)), None)


def stranger_to_http(octets: bytes) -> str:
    """Advice for the sender of octets that are no HTTP; "" if they are no known protocol."""
    if _STOMP.match(octets):
        return "This port speaks HTTP and WebSocket. STOMP over TCP has a port of its own (--stomp-port)."
    found = stranger(octets)
    if found is None or found[0].startswith(("SockJS", "HTTP")):
        return ""
    return found[1].replace("speaks STOMP without", "speaks HTTP without")
