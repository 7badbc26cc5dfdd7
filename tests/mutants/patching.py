"""Decorators for patches: replace a method, or wrap it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def replace(owner: Any, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace `owner.name` by the decorated function. Raises AttributeError if the owner has no such attribute."""
    original = getattr(owner, name)

    def put(function: Callable[..., Any]) -> Callable[..., Any]:
        functools.update_wrapper(function, original)
        setattr(owner, name, function)
        return function

    return put


def wrap(owner: Any, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace `owner.name` by the decorated function, which gets the original as its first argument.

    Raises AttributeError if the owner has no such attribute.
    """
    original = getattr(owner, name)

    def put(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def wrapper(*arguments: Any, **named: Any) -> Any:
            return function(original, *arguments, **named)

        setattr(owner, name, wrapper)
        return wrapper

    return put
