"""Reasons why Kafka can't be reached, as the client library tells them, and advice for each."""

import re
from typing import NamedTuple

from confluent_kafka import KafkaError

_START = "Expected Kafka 3.3 or newer at that address: start it, or name other brokers in --log kafka://HOST:PORT,HOST:PORT."
_REFUSED = (
    "Kafka answers at that address, but not to this: expected that it has started, and that this node may make topics, "
    "write and read there."
)
_CLOSED = "the broker closes the connection at the first request"
_WHERE = re.compile(
    r"^[a-z_]*(://)?[^ ]*/(bootstrap|\d+): |^Connect to ipv[46]#| \(after \d+ms in state \w+\).*$"
)


class _Kind(NamedTuple):
    """Errors of a code, and with a text if there is one."""

    code: int
    text: str
    advice: str


_KINDS = (
    _Kind(
        KafkaError._AUTHENTICATION,
        "",
        "Expected a login that the broker knows: sasl.mechanism, sasl.username and sasl.password, as --log-option "
        "NAME=VALUE.",
    ),
    _Kind(
        KafkaError._SSL,
        "",
        "Expected a certificate for the host that --log names, from an authority that this machine trusts, or that is "
        "in the file of --log-option ssl.ca.location=FILE.",
    ),
    _Kind(
        KafkaError._TRANSPORT,
        "PLAINTEXT broker listener",
        "Expected a port of the broker with TLS: name that in --log, or say --log-option security.protocol=PLAINTEXT, "
        "SASL_PLAINTEXT with a login.",
    ),
    _Kind(
        KafkaError._TRANSPORT,
        "alert",
        "Expected a certificate of this node that the broker trusts: --log-option ssl.certificate.location=FILE and "
        "ssl.key.location=FILE.",
    ),
    _Kind(
        KafkaError._TRANSPORT, "certificate verify failed", ""
    ),  # comes beside one of _SSL, which says more
    _Kind(KafkaError._RESOLVE, "", _START),
    _Kind(KafkaError._TRANSPORT, "", _START),
    _Kind(
        KafkaError._ALL_BROKERS_DOWN,
        "",
        "A port with TLS does so: expected --log-option security.protocol=SSL, or SASL_SSL with a login; or a port "
        "without, in --log.",
    ),
)


class Contact:
    """Errors that the client library has told since the last answer of Kafka."""

    def __init__(self) -> None:
        self._errors: dict[int, str] = {}
        """The last error of each kind, by its place in the list of kinds, the most telling first."""
        self._has_answered = False

    def note(self, error: KafkaError) -> None:
        """Note an error of a connection."""
        for place, kind in enumerate(_KINDS):
            if error.code() == kind.code and kind.text in error.str():
                self._errors[place] = error.str()
                return

    def answered(self) -> None:
        """Forget the errors: Kafka has answered."""
        self._has_answered = True
        self._errors.clear()

    def explain(self, otherwise: Exception) -> str:
        """The reason why Kafka can't be reached, and what to do; `otherwise` is taken where none was noted."""
        found = sorted(place for place in self._errors if _KINDS[place].advice)
        if not found:
            return f"{otherwise}. {_REFUSED if self._has_answered else _START}"
        kind = _KINDS[found[0]]
        is_closed = kind.code == KafkaError._ALL_BROKERS_DOWN
        text = _CLOSED if is_closed else _WHERE.sub("", self._errors[found[0]])
        return f"{text.rstrip('?. ')}. {kind.advice}"
