"""HTTP responses: refusals of the HTTP layer, and the octets of all responses."""

import email.utils
import time
from functools import lru_cache
from http import HTTPStatus

from reference_server.queue.outcomes import Outcome
from reference_server.queue.refusal import PROBLEM, problem_document


def problem(status: int, cause: str, detail: str, *, allow: str = "") -> Outcome:
    """Make a refusal of the HTTP layer in the form of RFC 9457 (REFUSE-2, REFUSE-3)."""
    document = problem_document(cause, status, HTTPStatus(status).phrase, detail)
    return Outcome(status, document, PROBLEM, allow=allow)


def write(response: Outcome, *, keep_alive: bool, with_body: bool = True, lines: str = "") -> bytes:
    """Return the octets of a response.

    `with_body` is false for the answer to HEAD (HTTP-HEAD-1); `lines` are further headers.
    """
    status, body = response.status, response.body
    status_line = _STATUS_LINES.get(status, f"HTTP/1.1 {status} Unknown")
    head = f"{status_line}\r\nDate: {_date(int(time.time()))}\r\n"
    if status != HTTPStatus.NO_CONTENT:  # RFC 9110, section 8.6
        head += f"Content-Length: {len(body)}\r\n"
    if body:
        head += f"Content-Type: {response.content_type}\r\n"  # HTTP-TYPE-1
    if status == HTTPStatus.UNAUTHORIZED:
        head += 'WWW-Authenticate: Basic realm="stompliance", charset="UTF-8"\r\n'  # SECURITY-LOGIN-2
    if response.allow:
        head += f"Allow: {response.allow}\r\n"
    head += response.headers + lines
    if not keep_alive:
        head += "Connection: close\r\n"
    octets = head.encode() + b"\r\n"
    return octets + body if with_body else octets


_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in HTTPStatus}


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    """The Date header, which changes once a second."""
    return email.utils.formatdate(second, usegmt=True)
