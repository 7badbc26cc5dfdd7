"""HTTP responses: what they say and how they are written."""

from __future__ import annotations

import email.utils
import time
from http import HTTPStatus

import msgspec

JSON = "application/json"
PROBLEM = "application/problem+json"


class Response(msgspec.Struct, frozen=True):
    """One response; `allow` is the value of the Allow header of a 405."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    allow: str = ""


def problem(status: int, cause: str, detail: str, *, member: str | None = None, allow: str = "") -> Response:
    """Make a refusal of the HTTP layer in the form of RFC 9457 (REFUSE-2, REFUSE-3)."""
    document: dict[str, object] = {
        "type": f"urn:stompliance:problem:{cause}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if member is not None:
        document["member"] = member
    return Response(status, msgspec.json.encode(document), PROBLEM, allow)


def write(response: Response, *, keep_alive: bool, with_body: bool = True) -> bytes:
    """Write a response; `with_body` is false for the answer to HEAD."""
    status, body = response.status, response.body
    head = f"{_status_line(status)}\r\nDate: {_date()}\r\n"
    if status != HTTPStatus.NO_CONTENT:  # RFC 9110, section 8.6
        head += f"Content-Length: {len(body)}\r\n"
    if body:
        head += f"Content-Type: {response.content_type}\r\n"  # HTTP-TYPE-1
    if response.allow:
        head += f"Allow: {response.allow}\r\n"
    if not keep_alive:
        head += "Connection: close\r\n"
    octets = head.encode() + b"\r\n"
    return octets + body if with_body else octets


def _status_line(status: int) -> str:
    line = _STATUS_LINES.get(status)
    return line if line is not None else f"HTTP/1.1 {status} Unknown"


_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in HTTPStatus}


class _Date:
    """The Date header, which changes once a second."""

    second = 0
    text = ""


def _date() -> str:
    second = int(time.time())
    if second != _Date.second:
        _Date.text = email.utils.formatdate(second, usegmt=True)
        _Date.second = second
    return _Date.text
