"""Registry of faults and variants, by name."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Patch = Callable[[], None]

#: Bindings in which a fault is judged: one is enough if both share the faulty code.
HTTP = ("queue-http",)
STOMP = ("queue-stomp",)
PUBLISH = ("stomp-publish",)

#: Modules whose `main` serves a mutant: the reference server, patched, or the stand-in for the first server.
REFERENCE = "reference_server.__main__"
FIRST_SERVER = "tests.first_server.__main__"


@dataclass(frozen=True)
class Fault:
    """A seeded fault: the clauses that it breaks, and the selection that the suite judges it by.

    `breaks` are the broken clauses; the first is the one that the suite should name. `bindings` are the judged
    columns, and `scope` limits them, to save time: to the chapters of those clauses, or not (`binding`); `server`
    widens them to all classes that the server declares. `effort` is the lowest effort at which the suite must catch the
    fault. A `hard` fault shows rarely, or only in a state that few sequences of operations reach; it is judged with
    several seeds. `flags` go to the server, `options` to the suite. `server` is the module whose `main` serves it.
    """

    name: str
    summary: str
    breaks: tuple[str, ...]
    bindings: tuple[str, ...]
    apply: Patch
    effort: str = "quick"
    hard: bool = False
    scope: Literal["chapter", "binding", "server"] = "chapter"
    flags: tuple[str, ...] = ("--virtual-clock",)
    options: tuple[str, ...] = ()
    server: str = REFERENCE


@dataclass(frozen=True)
class Variant:
    """An odd but conforming broker. `freedom` names the freedom of the text that it uses.

    `bindings` are the judged columns; `near` limits them to the clauses whose ids begin with one of these prefixes.
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
    scope: Literal["chapter", "binding", "server"] = "chapter",
    flags: tuple[str, ...] = ("--virtual-clock",),
    options: tuple[str, ...] = (),
    server: str = REFERENCE,
) -> Callable[[Patch], Patch]:
    """Register a fault, named by the function, with the first line of its docstring as summary."""

    def register(patch: Patch) -> Patch:
        name, summary = _described(patch, _FAULTS)
        _FAULTS[name] = Fault(
            name, summary, breaks, bindings, patch, effort, hard, scope, flags, options, server
        )
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
    """Register an odd but conforming broker, named and summarised as a fault is."""

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
    """All variants by name."""
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
