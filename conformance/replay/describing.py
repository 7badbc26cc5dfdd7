"""Steps of a replay in words, and the order among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.wire.cutting import cut as cut_text
from conformance.wire.cutting import cut_octets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.replay.script import Step


def overlaps(steps: Sequence[Step]) -> int:
    """Number of times that a connection sent something while another one waited for an answer."""
    waiting: set[str] = set()
    found = 0
    for step in steps:
        if step.answer is not None:
            waiting.discard(step.connection)
        elif step.act is not None and step.act.what == "send":
            found += bool(waiting - {step.connection})
            waiting.add(step.connection)
    return found


def described(step: Step) -> str:
    """Short description of a step."""
    act = step.act
    assert act is not None
    if act.what == "open":
        path = f" to /{act.facts['path']}" if "path" in act.facts else ""
        return f"opening {step.connection}{path}"
    if act.what == "close":
        return f"closing {step.connection}"
    if act.kind == "ws" and "opcode" in act.facts:
        return f"a control frame {act.facts['opcode']}"
    head, *rest = cut_octets(act.octets, 400).replace("\r", "").split("\n")
    if act.kind == "http":
        return cut_text(head.removesuffix(" HTTP/1.1"), 100)
    named = next((line for line in rest if line.startswith(("destination:", "id:", "receipt:"))), "")
    return cut_text(f"{head or 'a heart-beat'} {named}".strip(), 100)


def cut(text: str) -> str:
    return cut_text(" ".join(text.split()), 300)
