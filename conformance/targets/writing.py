"""Target files made from a run: every requirement that it found broken becomes a known deviation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from conformance.targets.files import GENERIC, TargetFile
from conformance.verdicts.verdicts import Waiver
from conformance.wire.cutting import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.verdicts.verdicts import Result, Verdict

#: Characters kept of what was observed.
REASON_LENGTH = 300
_HEAD = """\
# Known deviations as `python -m conformance --write-waivers` found them.
# Each reason is what the server did; replace it by why that is accepted, or mend the server and take it out.
"""
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def with_failures(file: TargetFile, result: Result, name: str) -> TargetFile:
    """Target file named `name` whose waivers cover all that made the server non-conforming.

    Waivers of `file` are kept, except stale ones.
    """
    kept = [waiver for waiver in file.waivers if waiver not in result.stale]
    new: dict[str, list[Verdict]] = {}
    for verdict in result.verdicts:
        if verdict.counts and not any(waiver.covers(verdict.key) and not waiver.transport for waiver in kept):
            new.setdefault(verdict.key.clause, []).append(verdict)
    made = [
        Waiver(clause, _reason(verdicts), tuple(verdict.key.binding for verdict in verdicts))
        for clause, verdicts in new.items()
    ]
    return replace(file, name=name, waivers=(*kept, *made))


def to_toml(file: TargetFile) -> str:
    """Text of the target file, without keys that have their default."""
    default = replace(GENERIC, name="")
    lines, tables = [_HEAD], []
    for field in fields(TargetFile):
        value = getattr(file, field.name)
        if value == getattr(default, field.name) or field.name == "waivers":
            continue
        if isinstance(value, Mapping):
            tables.append(_table(f"[{field.name}]", value))
        else:
            lines.append(f"{field.name} = {_value(value)}\n")
    for waiver in file.waivers:
        members: dict[str, Any] = {"clause": waiver.clause, "reason": waiver.reason}
        if waiver.bindings:
            members["bindings"] = waiver.bindings
        if waiver.goes_on:
            members["goes_on"] = True
        if waiver.transport:
            members["transport"] = waiver.transport
        tables.append(_table("[[waivers]]", members))
    return "".join(lines) + "".join(f"\n{table}" for table in tables)


def _reason(verdicts: Sequence[Verdict]) -> str:
    said = next((verdict.reason for verdict in verdicts if verdict.reason.strip()), "")
    text = cut(" ".join(said.split()), REASON_LENGTH)
    expected = next((failure.expected for verdict in verdicts for failure in verdict.failures), "")
    return f"Expected {cut(' '.join(expected.split()), REASON_LENGTH)}; observed: {text or 'nothing'}"


def _table(head: str, members: Mapping[str, Any]) -> str:
    rows = (f"{_key(name)} = {_value(value)}\n" for name, value in members.items())
    return f"{head}\n{''.join(rows)}"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _text(name)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"a target file has no values like {value!r}")


def _text(text: str) -> str:
    """Basic string of TOML, which holds no control characters and no lone surrogates."""
    return '"' + "".join(_ESCAPES.get(c) or (c if _is_plain(c) else _escaped(c)) for c in text) + '"'


def _is_plain(character: str) -> bool:
    return character.isprintable() and not "\ud800" <= character <= "\udfff"


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
