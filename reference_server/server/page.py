"""The live page at /, and the document at /live that it shows; both belong to introspection."""

import base64
import hashlib
from importlib import resources
from typing import Any
from urllib.parse import parse_qs

import msgspec

from reference_server.queue.live import describe_live
from reference_server.queue.outcomes import Outcome
from reference_server.server.application import Application
from reference_server.server.clock import wall
from reference_server.server.requests import Request

PATHS = ("/", "/live")
_SETTINGS = ("heartbeat_timeout", "rebalance_timeout", "virtual_clock")
_PLAIN = "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
_REST = (
    "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)


class LivePage:
    """Answers both addresses; one for all connections."""

    def __init__(self, application: Application) -> None:
        self._application = application
        body = resources.files("reference_server.server").joinpath("page.html").read_bytes()
        policy = f"script-src {_hash_of(b'script', body)}; style-src {_hash_of(b'style', body)}; {_REST}"
        headers = f"{_PLAIN}Content-Security-Policy: {policy}\r\nReferrer-Policy: no-referrer\r\n"
        self._page = Outcome(200, body, "text/html; charset=utf-8", headers=headers)

    def answer(self, request: Request) -> Outcome:
        """Answer with the page, or with the document; `match` in its query chooses by names."""
        if request.path == "/":
            return self._page
        application = self._application
        text = parse_qs(request.query.decode("latin-1")).get("match", [""])[0].lower()
        settings = application.settings
        document: dict[str, Any] = {name: getattr(settings, name) for name in _SETTINGS}
        document |= {
            "began": application.began,
            "uptime": wall() - application.began,
            "login": bool(settings.user),
        }
        for name, part in application.read_in_pieces(describe_live(application.operations.broker, text)):
            if name:
                document[name].append(part)
            else:
                document |= part
        return Outcome(200, msgspec.json.encode(document), headers=_PLAIN)


def _hash_of(element: bytes, page: bytes) -> str:
    """The source expression of the Content Security Policy for the content of an element."""
    content = page.partition(b"<%b>" % element)[2].partition(b"</%b>" % element)[0]
    return f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"
