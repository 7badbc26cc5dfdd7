"""A failure as a file: JSON Lines by `spec/schemas/failure-record.json`, a header and then the events.

The file holds no passcode, token or credentials: `conformance.replay.hiding` describes what stands for them.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from conformance.replay.answers import Answer
from conformance.replay.hiding import bare_path, collapsed, hidden_events, origins
from conformance.replay.script import Place, place_of, steps_of
from conformance.specification import schemas
from conformance.targets.secrets import Secrets
from conformance.wire.access import Access
from conformance.wire.trace import Event, Recording

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.wire.trace import What

#: Raised when a member changes its meaning or is removed, not when one is added.
FORMAT = 1
SCHEMA = "failure-record"
#: Longest file that is read, in octets, and most lines.
FILE_LIMIT = 64 << 20
LINE_LIMIT = 100_000


class BadRecord(Exception):
    """The file is no record of a failure; the message says what was expected."""


@dataclass(frozen=True)
class FailureRecord:
    """A failure with what was sent and received before it.

    `url` has no user, passcode and query. `path` is that of the WebSocket under test, below the prefix of the run;
    `http` is the authority of HTTP requests, "" if it is that of `url`. `token` is in all fresh names of the run.
    `patience` is in seconds. `place` is None if no server was asked for anything.
    """

    suite: str
    url: str
    clause: str
    binding: str
    test: str
    expected: str
    observed: str
    token: str
    patience: float
    recording: Recording
    place: Place | None
    path: str = ""
    http: str = ""

    @property
    def is_whole(self) -> bool:
        """True if every event up to the failure was kept."""
        return not self.recording.dropped

    @property
    def wanted(self) -> set[str]:
        """Origins of the hidden secrets that were sent, such as `passcode` or `header cookie`."""
        return origins(self.recording.events)


def record_of(
    recording: Recording,
    *,
    observed: str,
    token: str,
    secrets: Secrets | None = None,
    access: Access | None = None,
    **facts: Any,
) -> FailureRecord:
    """Record of a failure, without the `secrets`, and without what `access` adds to each path.

    `facts` are the other members.
    """
    secrets, access = secrets or Secrets(), access or Access()
    events = hidden_events(recording.events, secrets, access)
    hidden = replace(recording, events=events)
    observed = secrets.text(observed)
    place = place_of(hidden, steps_of(events, token), collapsed(observed))
    facts["expected"] = secrets.text(facts["expected"])
    facts["url"] = bare_url(facts["url"])
    facts["path"] = bare_path(facts.get("path") or urlsplit(facts["url"]).path or "/", access).partition("?")[
        0
    ]
    return FailureRecord(observed=observed, token=token, recording=hidden, place=place, **facts)


def bare_url(url: str) -> str:
    """URL without user, password, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def lines_of(record: FailureRecord) -> list[str]:
    """Lines of the file."""
    recording, place = record.recording, record.place
    header = {
        "format": FORMAT,
        "suite": {"name": "stompliance", "version": record.suite},
        "url": record.url,
        **({"path": record.path} if record.path else {}),
        **({"http": record.http} if record.http else {}),
        "clause": record.clause,
        "binding": record.binding,
        "test": record.test,
        "expected": record.expected,
        "observed": record.observed,
        "token": record.token,
        "patience": round(record.patience, 3),
        "failed_at": round(recording.failed_at, 6),
        "dropped": recording.dropped,
        "held": {"": recording.held.get("", 0), record.clause: recording.held.get(record.clause, 0)},
        "place": place
        and {
            "event": place.event,
            "connection": place.connection,
            "kind": place.answer.kind,
            "form": place.answer.form,
            "exact": place.exact,
            "seconds": round(place.seconds, 3),
        },
    }
    documents = [header, *map(_document, recording.events)]
    return [json.dumps(_encodable(document), ensure_ascii=False, allow_nan=False) for document in documents]


def read(text: str) -> FailureRecord:
    """Record in the text of a file. Raises BadRecord."""
    lines = text.rstrip("\n").split("\n")
    if len(lines) > LINE_LIMIT:
        raise BadRecord(f"expected at most {LINE_LIMIT} lines, found {len(lines)}")
    documents = [_parsed(line, number) for number, line in enumerate(lines, 1)]
    if not documents or "token" not in documents[0]:
        raise BadRecord("expected a header with `format`, `clause` and `token` in line 1")
    header, events = documents[0], tuple(map(_event, documents[1:]))
    recording = Recording(events, header["failed_at"], header["dropped"], header["held"])
    given = header["place"]
    if given is not None and given["event"] >= len(events):
        raise BadRecord(f"the failure is at event {given['event']}, but there are {len(events)} events")
    place = given and Place(
        given["event"],
        given["connection"],
        Answer(given["kind"], given["form"]),
        given["exact"],
        given["seconds"],
    )
    names = ("url", "clause", "binding", "test", "expected", "observed", "token", "patience")
    return FailureRecord(
        suite=header["suite"]["version"],
        recording=recording,
        place=place,
        path=header.get("path", ""),
        http=header.get("http", ""),
        **{name: header[name] for name in names},
    )


def _parsed(line: str, number: int) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRecord(f"line {number} is no JSON: {error}") from error
    if found := schemas.problems(SCHEMA, document):
        raise BadRecord(f"line {number} is not as schema {SCHEMA} has it: {found[0][:300]}")
    return cast("dict[str, Any]", document)


def _document(event: Event) -> dict[str, Any]:
    document: dict[str, Any] = {
        "at": round(event.at, 6),
        "connection": event.connection,
        "what": event.what,
    }
    if event.kind:
        document["kind"] = event.kind
    if event.what in ("send", "receive"):
        document["size"] = event.size
        try:
            document["text"] = event.octets.decode("utf-8")
        except UnicodeDecodeError:
            document["base64"] = base64.b64encode(event.octets).decode("ascii")
    if event.facts:
        document["facts"] = dict(event.facts)
    return document


def _event(document: Mapping[str, Any]) -> Event:
    octets = document["text"].encode() if "text" in document else b""
    if "base64" in document:
        try:
            octets = base64.b64decode(document["base64"], validate=True)
        except ValueError as error:
            raise BadRecord(f"an event at {document['at']} s has no base64: {error}") from error
    return Event(
        document["at"],
        document["connection"],
        cast("What", document["what"]),
        document.get("kind", ""),
        octets,
        document.get("size", 0),
        document.get("facts", {}),
    )


def _encodable(value: Any) -> Any:
    """Value without lone surrogates, which UTF-8 can't encode."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(name): _encodable(member) for name, member in value.items()}
    return [_encodable(member) for member in value] if isinstance(value, list) else value
