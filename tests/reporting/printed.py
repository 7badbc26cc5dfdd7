"""Terminal output of a finished run, and its parts."""

import dataclasses
import io

import pytest

from conformance.reporting.terminal import Presenter
from conformance.specification.clauses import Book
from conformance.verdicts.verdicts import Result
from tests.reporting.samples import BOOK, TARGET, WAIVERS

WIDTHS = pytest.mark.parametrize("width", [80, 120])
WITH_WAIVERS = dataclasses.replace(TARGET, waivers=WAIVERS)


def finished(result: Result, width: int = 80, *, book: Book = BOOK, verbose: bool = False, **more) -> str:
    """Output of `finish` on a stream that is no terminal."""
    stream = io.StringIO()
    Presenter(stream, width=width, verbose=verbose).finish(result, book, TARGET, **more)
    return stream.getvalue()


def flat(text: str) -> str:
    """Text with single blanks, without its wrapping."""
    return " ".join(text.split())


def row(text: str, clause: str) -> str:
    """Row of a clause in the table."""
    return next(line for line in text.splitlines() if line.startswith(f"{clause} "))


def section(text: str, begin: str) -> str:
    """Text from a heading to the next empty line."""
    return text.split(begin, 1)[1].split("\n\n", 1)[0]
