"""The faults and the oddities by name."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Patch = Callable[[], None]

#: In which binding a fault is looked for: one is enough, where it breaks something below both.
HTTP = ("queue-http",)
STOMP = ("queue-stomp",)


@dataclass(frozen=True)
class Fault:
    """A seeded fault: what it breaks, and where it is looked for.

    `breaks` are the clauses that are not obeyed any more, the one that the suite should name first. `bindings` are
    the columns that are judged, and `scope` how much of them, to save time: the chapters of those clauses, or the
    whole `binding`. `effort` is the least at which the suite has to find it. A `hard` fault shows rarely, or only in
    a state that few sequences of operations reach; it is looked for with several seeds. `flags` go to the server,
    `options` to the suite.
    """

    name: str
    summary: str
    breaks: tuple[str, ...]
    bindings: tuple[str, ...]
    apply: Patch
    effort: str = "quick"
    hard: bool = False
    scope: Literal["chapter", "binding"] = "chapter"
    flags: tuple[str, ...] = ("--virtual-clock",)
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variant:
    """An oddity that the text allows. `freedom` says what in the text leaves it open.

    `bindings` are judged; of one that shows in few places only the clauses whose ids begin with one of `near`.
    """

    name: str
    summary: str
    freedom: str
    bindings: tuple[str, ...]
    apply: Patch
    near: tuple[str, ...] = ()
    flags: tuple[str, ...] = ("--virtual-clock",)
    options: tuple[str, ...] = ()


_FAULTS: dict[str, Fault] = {}
_VARIANTS: dict[str, Variant] = {}


def fault(
    *breaks: str,
    bindings: tuple[str, ...],
    effort: str = "quick",
    hard: bool = False,
    scope: Literal["chapter", "binding"] = "chapter",
    flags: tuple[str, ...] = ("--virtual-clock",),
    options: tuple[str, ...] = (),
) -> Callable[[Patch], Patch]:
    """Register a fault; its name is that of the function, its summary the first line of the docstring."""

    def register(patch: Patch) -> Patch:
        name, summary = _described(patch, _FAULTS)
        _FAULTS[name] = Fault(name, summary, breaks, bindings, patch, effort, hard, scope, flags, options)
        return patch

    return register


def variant(
    freedom: str,
    *,
    bindings: tuple[str, ...],
    near: tuple[str, ...] = (),
    flags: tuple[str, ...] = ("--virtual-clock",),
    options: tuple[str, ...] = (),
) -> Callable[[Patch], Patch]:
    """Register an odd but conforming broker."""

    def register(patch: Patch) -> Patch:
        name, summary = _described(patch, _VARIANTS)
        _VARIANTS[name] = Variant(name, summary, freedom, bindings, patch, near, flags, options)
        return patch

    return register


def faults() -> dict[str, Fault]:
    """All faults by name."""
    _load("faults")
    return _FAULTS


def variants() -> dict[str, Variant]:
    """All oddities by name."""
    _load("variants")
    return _VARIANTS


def _described(patch: Patch, known: dict[str, Fault] | dict[str, Variant]) -> tuple[str, str]:
    name = patch.__name__.replace("_", "-")
    assert name not in known, f"two patches are named {name}"
    assert patch.__doc__, f"{name} needs a docstring that says what it does"
    return name, patch.__doc__.strip().splitlines()[0].rstrip(".")


@functools.cache
def _load(folder: str) -> None:
    package = importlib.import_module(f"tests.mutants.{folder}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
