"""Pages of other origins that are served: leave for their browser to send requests, and to read the answers (CORS)."""

from reference_server.queue.outcomes import Outcome
from reference_server.server.requests import Request

_METHODS = "GET, HEAD, POST"
_HEADERS = "Content-Type, Authorization"
_READABLE = "Retry-After, WWW-Authenticate"
_DAY = 86400


def is_question(request: Request) -> bool:
    """Return true if a browser asks what a page may send, before it sends it."""
    return request.method == "OPTIONS" and "access-control-request-method" in request.fields


def leave_to_send() -> Outcome:
    """Answer the browser's question: methods and headers that pages may use, on any path."""
    lines = (
        f"Access-Control-Allow-Methods: {_METHODS}\r\n"
        f"Access-Control-Allow-Headers: {_HEADERS}\r\n"
        f"Access-Control-Max-Age: {_DAY}\r\n"
    )
    return Outcome(204, headers=lines)


def leave_to_read(origin: str) -> str:
    """Header lines of an answer to a page of this origin; none if it is ""."""
    if not origin:
        return ""
    return (
        f"Access-Control-Allow-Origin: {origin}\r\n"
        f"Access-Control-Expose-Headers: {_READABLE}\r\n"
        "Vary: Origin\r\n"
    )
