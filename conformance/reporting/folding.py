"""Folding of the steps and frames of a failure, so that a reader sees what led to it.

Condition: every folded line stands for steps that are equal, or equal but for names of the run and ids of the server,
and then the line says so. Nothing else is left out silently: gaps are counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.wire.cutting import cut_octets, cut_repr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.wire.trace import TraceEntry

#: Most steps of a group that is repeated.
LONGEST_GROUP = 6
#: Repetitions from which a single step, and a group of several, is folded.
_FEWEST, _FEWEST_OF_GROUP = 3, 2
#: Lines shown of the beginning and of the end, if there are too many.
FIRST_SHOWN, LAST_SHOWN, MOST_SHOWN = 8, 12, 30
#: Frames shown before the point of the failure, and after it.
FRAMES_BEFORE, FRAMES_AFTER = 8, 2

_NAME = re.compile(r"\b[A-Za-z][\w-]*-[0-9a-f]{8}-\d+\b")
_ID = re.compile(
    r"""(['"]?(?:message_?[iI]d|messageID|message-id|ack|offset)['"]?\s*[:=]\s*)(['"]?)[\w-]+\2"""
)
_TEXT = re.compile(r"\b(text|id)[- ]\d+\b")


@dataclass(frozen=True)
class Fold:
    """`steps` that were performed `times` times from step number `first` on; `exact` if they were equal each time.

    A fold without steps stands for `times` steps that are not shown.
    """

    first: int
    steps: tuple[str, ...]
    times: int = 1
    exact: bool = True

    @property
    def text(self) -> str:
        """The fold as one line."""
        if not self.steps:
            return f"… {self.times} step{'s' if self.times > 1 else ''} about other things"
        shown = ", ".join(self.steps)
        if self.times == 1:
            return shown
        return f"{shown}: {self.times} times{'' if self.exact else ', with other names and ids'}"

    @property
    def length(self) -> int:
        """Number of steps that the fold stands for."""
        return max(1, len(self.steps)) * self.times


def folded(steps: Sequence[str]) -> list[Fold]:
    """Steps with runs of equal ones, and of equal groups of up to LONGEST_GROUP, folded."""
    keys = [_key(step) for step in steps]
    found: list[Fold] = []
    at = 0
    while at < len(steps):
        fold = _longest(steps, keys, at)
        found.append(fold)
        at += fold.length
    return found


def shown(steps: Sequence[str], subject: str, most: int = MOST_SHOWN) -> list[Fold]:
    """Folded steps; if there are more than `most`, the first ones, the last ones, and those that share a name with
    `subject`, which holds what was expected and observed.
    """
    folds = folded(steps)
    if len(folds) <= most:
        return folds
    names = set(_NAME.findall(subject)) or set(_NAME.findall(steps[-1]))
    kept = {*range(FIRST_SHOWN), *range(len(folds) - LAST_SHOWN, len(folds))}
    room = most - len(kept)
    for number in reversed(range(FIRST_SHOWN, len(folds) - LAST_SHOWN)):
        if room > 0 and any(name in step for step in folds[number].steps for name in names):
            kept.add(number)
            room -= 1
    return _with_gaps(folds, kept)


def around(frames: Sequence[TraceEntry], observed: str) -> tuple[int, int]:
    """Range of the frames around the point of the failure: the newest frame that `observed` shows, else the last."""
    point = len(frames) - 1
    for number in reversed(range(len(frames))):
        octets = frames[number].octets
        body = octets.partition(b"\r\n\r\n")[2] if octets.startswith(b"HTTP/") else octets
        if frames[number].direction == "<" and len(body) > 1 and _occurs(body, observed):
            point = number
            break
    end = min(len(frames), point + FRAMES_AFTER + 1)
    return max(0, end - FRAMES_BEFORE - FRAMES_AFTER), end


def _occurs(body: bytes, observed: str) -> bool:
    return (
        body.decode("utf-8", "replace") in observed
        or cut_repr(body, 500) in observed
        or cut_octets(body, 500) in observed
    )


def _with_gaps(folds: Sequence[Fold], kept: set[int]) -> list[Fold]:
    found: list[Fold] = []
    hidden = 0
    for number, fold in enumerate(folds):
        if number not in kept:
            hidden += fold.length
            continue
        if hidden:
            found.append(Fold(fold.first - hidden, (), hidden))
            hidden = 0
        found.append(fold)
    return found


def _longest(steps: Sequence[str], keys: Sequence[str], at: int) -> Fold:
    """Fold at a position that covers the most steps; of two that cover the same, the one with the shorter group."""
    best = Fold(at + 1, (steps[at],))
    for size in range(1, min(LONGEST_GROUP, (len(steps) - at) // 2) + 1):
        times = 1
        while keys[at : at + size] == keys[at + times * size : at + (times + 1) * size]:
            times += 1
        covered = size * times
        if times >= (_FEWEST if size == 1 else _FEWEST_OF_GROUP) and covered > best.length:
            group = tuple(steps[at : at + size])
            exact = all(steps[at + number] == group[number % size] for number in range(covered))
            best = Fold(at + 1, group, times, exact)
    return best


def _key(step: str) -> str:
    """Step without names of the run and ids of the server; numbers with a meaning, such as statuses, stay."""
    step = _NAME.sub(lambda found: found[0].rsplit("-", 2)[0], step)
    return _TEXT.sub(r"\1", _ID.sub(r"\1#", step))
