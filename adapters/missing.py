"""Packages that an adapter needs and that are not installed."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def needs(package: str) -> Iterator[None]:
    """Context of the imports from `package`; without it, the program ends with status 2 and a sentence on it.

    Raises SystemExit.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        print(
            f"This adapter needs the package {package}, which this Python does not have ({error}): "
            f"{sys.executable} -m pip install {package}",
            file=sys.stderr,
        )
        sys.exit(2)
