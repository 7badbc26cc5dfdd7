"""Target files: facts about a server that are known before a run, in TOML.

`conformance/targets/README.md` describes the format. Of a file's content only the waivers change how verdicts count.
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from conformance.specification.clauses import BINDINGS, CLASSES, Book
from conformance.targets.address import (
    check_connect_headers,
    check_http_headers,
    connect_text,
    endpoint_path,
    http_url,
)
from conformance.verdicts.verdicts import Waiver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FOLDER = Path(__file__).resolve().parent
TIMINGS = ("heartbeat_timeout", "eviction_grace", "rebalance_timeout", "first_frame_timeout")
#: Boolean facts that tests ask for, with the meaning of True. `USUAL_FACTS` are true unless a file denies them.
FACTS = {
    "serves_every_path": "an upgrade is accepted on any path",
    "checks_login": "a wrong passcode is refused",
    "knows_hosts": "a `host` that it doesn't know is refused",
    "persistent_queues": "a queue destination outlives the connections that used it",
    "receipts": "frames besides DISCONNECT get the RECEIPT that they ask for",
    "transactions": "BEGIN, COMMIT and ABORT are obeyed",
    "queues": "a queue destination gives each message to one of its subscriptions, and keeps it until there is one",
    "redelivers": "what was not acknowledged goes to another consumer of the queue",
    "own_messages": "a subscription gets also what its own connection sends",
}


#: Prefixes of the clauses that demand what a denied fact says is missing.
FACT_CLAUSES = {
    "receipts": ("STOMP-RECEIPT",),
    "transactions": ("STOMP-TX",),
    "redelivers": ("STOMP-ACK", "STOMP-NACK"),
}


class BadTargetFile(Exception):
    """An unusable target file; the message names the file, the key, and the expected value."""


@dataclass(frozen=True)
class TargetFile:
    """Content of a target file; `conformance.targets.target.Target` explains the fields."""

    name: str
    title: str = ""
    url: str = ""
    http: str = ""
    login: str | None = None
    passcode: str | None = None
    host_header: str = ""
    classes: tuple[str, ...] = ()
    partitions: int | None = None
    queue: str = "/queue/{name}"
    topic: str = "/topic/{name}"
    refused: str = ""
    queue_headers: Mapping[str, str] = field(default_factory=dict)
    topic_headers: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    connect_headers: Mapping[str, str] = field(default_factory=dict)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int | float] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, bool] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()


#: Target of a run that names none.
GENERIC = TargetFile(name="generic")


def known_targets() -> list[TargetFile]:
    """Targets that come with the suite, by file name. Raises BadTargetFile."""
    return [read_target(path) for path in sorted(FOLDER.glob("*.toml"))]


def find_target(name: str) -> TargetFile:
    """Target of that name, or the file at that path. Raises BadTargetFile."""
    known = FOLDER / f"{name}.toml"
    is_path = name.endswith(".toml") or "/" in name or not known.is_file()
    path = Path(name) if is_path else known
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in FOLDER.glob("*.toml")))
        raise BadTargetFile(
            f"there is no target {name!r}: expected {names or 'none that has a name'}, or the path of a TOML file"
        )
    return read_target(path)


def read_target(path: Path) -> TargetFile:
    """Read a target file. Raises BadTargetFile."""
    try:
        document = tomllib.loads(path.read_text("utf-8-sig"))  # editors on Windows write a byte order mark
    except UnicodeDecodeError as error:
        raise BadTargetFile(
            f"{path}: {error.reason} at octet {error.start}: expected TOML in UTF-8, without another encoding"
        ) from error
    except RecursionError as error:
        raise BadTargetFile(f"{path}: nested too deeply: expected tables of texts and numbers") from error
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadTargetFile(f"{path}: {error}") from error
    return parse_target(document, str(path))


def parse_target(document: dict[str, Any], source: str) -> TargetFile:
    """Check the decoded content of a target file, named `source` in messages. Raises BadTargetFile."""
    values: dict[str, Any] = {}
    for key, value in document.items():
        if key not in _READERS:
            raise BadTargetFile(f"{source}: {key!r} is no key; expected {', '.join(_READERS)}")
        try:
            values[key] = _READERS[key](value)
        except ValueError as error:
            raise BadTargetFile(f"{source}: {key}: {error}") from error
    if not values.get("name"):
        raise BadTargetFile(f"{source}: name is missing: expected the word for --target")
    return TargetFile(**values)


def check_waivers(file: TargetFile, book: Book) -> None:
    """Raises BadTargetFile if a waiver names an unknown clause."""
    if unknown := [waiver.clause for waiver in file.waivers if waiver.clause not in book]:
        raise BadTargetFile(
            f"target {file.name}: waivers of {', '.join(unknown)}, which no chapter has; `--list-clauses` shows all ids"
        )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a string, found {value!r}")
    return value


def is_template(value: object) -> bool:
    """True for a destination with `{name}` in it once, without other braces and control characters."""
    return (
        isinstance(value, str)
        and value.isprintable()
        and value.count("{name}") == 1
        and not {"{", "}"} & set(value.replace("{name}", ""))
    )


def _template(value: object) -> str:
    text = _text(value)
    if not is_template(text):
        raise ValueError(f"expected a destination with {{name}} in it once, found {text!r}")
    return text


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"expected a whole number from 1, found {value!r}")
    return value


def is_amount(value: object) -> TypeGuard[int | float]:
    """True for a finite number from 0 that a float can hold; booleans are no numbers."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return 0 <= value <= sys.float_info.max


def _number(value: object) -> int | float:
    if not is_amount(value):
        raise ValueError(f"expected a number from 0, found {value!r}")
    return value


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, found {value!r}")
    return value


def _one_of(allowed: tuple[str, ...]) -> Callable[[object], tuple[str, ...]]:
    def check(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or any(item not in allowed for item in value):
            raise ValueError(f"expected a list of {', '.join(allowed)}; found {value!r}")
        return tuple(value)

    return check


def _table(
    reader: Callable[[object], Any], keys: tuple[str, ...] | None = None
) -> Callable[[object], dict[str, Any]]:
    def check(value: object) -> dict[str, Any]:
        if not isinstance(value, dict) or (keys and not value.keys() <= set(keys)):
            raise ValueError(f"expected a table of {', '.join(keys) if keys else 'values'}; found {value!r}")
        read: dict[str, Any] = {}
        for key, item in value.items():
            try:
                read[key] = reader(item)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from error
        return read

    return check


def _waivers(value: object) -> tuple[Waiver, ...]:
    if not isinstance(value, list):
        raise ValueError(f"expected [[waivers]] tables, found {value!r}")
    return tuple(_waiver(entry) for entry in value)


def _waiver(entry: object) -> Waiver:
    known = {"clause", "reason", "bindings", "goes_on", "transport"}
    if not isinstance(entry, dict) or not {"clause", "reason"} <= entry.keys() <= known:
        raise ValueError(
            f"expected clause, reason and perhaps bindings, transport and goes_on; found {entry!r}"
        )
    transport = _text(entry.get("transport", ""))
    if transport not in ("", "websocket", "tcp"):
        raise ValueError(f"transport is {transport!r}: expected websocket or tcp")
    reason = _text(entry["reason"]).strip()
    if not reason:
        raise ValueError(f"the waiver of {entry['clause']} needs a reason")
    bindings = _one_of(BINDINGS)(entry.get("bindings", []))
    return Waiver(_text(entry["clause"]), reason, bindings, _switch(entry.get("goes_on", False)), transport)


_READERS: dict[str, Callable[[object], Any]] = {
    "name": _text,
    "title": _text,
    "url": _text,
    "http": lambda value: http_url(_text(value)),
    "login": lambda value: connect_text(_text(value)),
    "passcode": lambda value: connect_text(_text(value)),
    "host_header": lambda value: connect_text(_text(value)),
    "classes": _one_of(CLASSES),
    "partitions": _count,
    "queue": _template,
    "topic": _template,
    "refused": _text,
    "queue_headers": _table(_text),
    "topic_headers": _table(_text),
    "headers": lambda value: check_http_headers(_table(_text)(value)),
    "connect_headers": lambda value: check_connect_headers(_table(_text)(value)),
    "endpoints": _table(lambda value: endpoint_path(_text(value))),
    "limits": _table(_number),
    "timings": _table(_number, TIMINGS),
    "facts": _table(_switch, tuple(FACTS)),
    "waivers": _waivers,
}
