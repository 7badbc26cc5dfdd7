"""HTTP operations of a broker on one kept-alive connection, and shared options of the sample clients."""

from __future__ import annotations

import argparse
import http.client
import io
import json
import sys
from typing import Any, NamedTuple
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 10.0


class BrokerRefused(Exception):
    """The broker refused a request; the message is its reason."""


class BrokerUnreachable(Exception):
    """No broker answered at the address."""


class Reply(NamedTuple):
    """Reply of the broker: the HTTP status and the decoded JSON body, None if empty, text if it is no JSON."""

    status: int
    body: Any

    @property
    def reason(self) -> str:
        """Status and the broker's explanation of a refusal."""
        detail = self.body.get("detail") if isinstance(self.body, dict) else None
        return f"{self.status} {detail or self.body or ''}".strip()


class BrokerApi:
    """Operations of one broker, by path; `url` is any http, https, ws or wss URL of that broker.

    Raises BrokerUnreachable for a malformed URL.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
            host.encode("idna")  # raises UnicodeError for what no resolver looks up, as two dots in a row
        except ValueError:
            host = ""
        if not host or parts.scheme not in {"http", "https", "ws", "wss"}:
            raise BrokerUnreachable(
                f"{url!r} is no URL of a broker; expected ws://host:port/path or http://host:port"
            )
        secure = parts.scheme in {"https", "wss"}
        connection = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connection = connection(host, port, timeout=TIMEOUT_SECONDS)

    def call(self, path: str, body: dict[str, Any]) -> Reply:
        """POST `body` to `path`; a refusal is a Reply, too. Raises BrokerUnreachable if no answer comes."""
        return self._ask("POST", path, json.dumps(body), {"Content-Type": "application/json"})

    def get(self, path: str) -> Reply:
        """GET `path`. Raises BrokerUnreachable if no answer comes."""
        return self._ask("GET", path, None, {})

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Reply:
        try:
            if self._connection.sock is None:
                self._connection.connect()  # connect() sets TCP_NODELAY, since head and body are two writes
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            octets = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise BrokerUnreachable(str(error) or type(error).__name__) from error
        try:
            return Reply(answer.status, json.loads(octets) if octets else None)
        except ValueError:
            return Reply(answer.status, octets.decode("utf-8", "replace"))

    def require(self, path: str, body: dict[str, Any], *, also: tuple[int, ...] = ()) -> Reply:
        """As `call`, but raises BrokerRefused for a status that is neither 2xx nor in `also`."""
        reply = self.call(path, body)
        if not 200 <= reply.status < 300 and reply.status not in also:
            raise BrokerRefused(f"{path}: {reply.reason}")
        return reply

    def close(self) -> None:
        """Close the connection. May be called twice."""
        self._connection.close()


def advice(url: str, error: Exception) -> str:
    """Message about a broker that does not answer."""
    return (
        f"No broker answers at {url} ({error}).\n"
        "Start one with `python -m reference_server --port 8080`, or name another one with --url."
    )


def print_by_lines() -> None:
    """Flush standard output after each line, also to a pipe or a file; escape what its encoding lacks."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")


def seconds(text: str) -> float:
    """Number of seconds from the command line. Raises argparse.ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 86400")
    return number


def count(text: str) -> int:
    """Number of records from the command line, at least 1. Raises argparse.ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of records")
    return int(text)
