"""Exceptions of talking to a server, by whom they count against."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NamedTuple

from conformance.wire.cutting import cut_octets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.wire.trace import Recording, TraceEntry


class Evidence(NamedTuple):
    """Steps of the test and frames up to a failure; `recording` is what `replay` sends again, if it was asked for."""

    steps: Sequence[str] = ()
    frames: Sequence[TraceEntry] = ()
    recording: Recording | None = None


class Violation(AssertionError):
    """The peer broke a clause."""

    def __init__(self, clause: str, expected: object, observed: object) -> None:
        super().__init__(f"{clause}: expected {expected}; observed {observed}")
        self.clause = clause
        self.evidence: Evidence | None = None
        self.expected = str(expected)
        self.observed = observed


class PeerFailure(AssertionError):
    """The peer closed a connection, or left a request unanswered.

    `promise` is the clause that promises the answer; empty if only the test knows which clause that is.
    """

    def __init__(self, expected: object, observed: object, promise: str = "") -> None:
        super().__init__(f"expected {expected}; observed {observed}")
        self.promise = promise
        self.evidence: Evidence | None = None
        self.expected = str(expected)
        self.observed = observed


class TooLong(PeerFailure):
    """The peer sent more octets for one message or reply than the suite accepts."""


#: Alerts of servers that want a certificate of the client, or don't accept the one that they got (RFC 8446, 6.2). TLS
#: 1.2 has no alert for a certificate that is missing: it fails the handshake.
_CERTIFICATE_ALERTS = frozenset(
    {
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "SSLV3_ALERT_NO_CERTIFICATE",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    }
)


class NotAdmitted(PeerFailure):
    """The server refused a connection as any client makes it: the upgrade, or CONNECT with the right login.

    It counts against the first of the `promises` that the test is about, and shows nothing in any other test. Without
    `promises` the connection was the test's own, such as an upgrade with odd headers: that test's clauses decide.
    """

    promises: tuple[str, ...] = ()

    def promised_by(self, *clauses: str) -> NotAdmitted:
        """The same failure, with the clauses that promise the connection."""
        self.promises = clauses
        return self


class UpgradeRefused(NotAdmitted):
    """The server answered the upgrade with a status other than 101."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__("101 Switching Protocols", f"{status} {cut_octets(body, 200)}".strip())
        self.status = status
        self.headers = headers
        self.body = body


class Unreachable(Exception):
    """No server answers at the address: there is nothing to judge.

    `is_final` is true if another attempt would end in the same way, as with a certificate that is not trusted.
    """

    is_final = False


class NoTls(Unreachable):
    """The server ended the TLS handshake, or its certificate is not trusted."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        super().__init__(f"no TLS connection to {host}:{port}: {error}")
        self.error = error
        self.is_final = isinstance(error, ssl.SSLError)


def is_about_certificates(error: OSError) -> bool:
    """True if the server broke off TLS since it wants a certificate of the client, or another one."""
    return isinstance(error, ssl.SSLError) and error.reason in _CERTIFICATE_ALERTS


class Crowded(BaseException):
    """The server, or a gateway in front of it, took no further connection for now: the test shows nothing.

    Derived from BaseException, as TooSlow is.
    """


class TooSlow(BaseException):
    """This machine was too late for a timer of the test: the test shows nothing, and must be repeated.

    Derived from BaseException, so that Hypothesis doesn't take it for a failure to shrink.
    """


class WaitTooLong(TooSlow):
    """The test needs more time, or more steps in time, than the suite takes: its clauses are skipped at once."""


class RunEnded(BaseException):
    """The run ended, by Ctrl-C for instance, while a test was waiting for its server: the test shows nothing.

    Derived from BaseException, as TooSlow is.
    """
