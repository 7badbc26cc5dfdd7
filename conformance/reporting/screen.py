"""Output to a terminal, a pipe or a file, in lines that fit its width."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, cast

from rich.console import Console
from rich.text import Text

from conformance.wire.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TextIO

#: Narrowest output, in columns: below it most lines would be cut off before their first word ends.
_NARROWEST = 40


class _Encodable(io.TextIOBase):
    """A stream that escapes characters its encoding lacks, instead of raising."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a property there, a variable in typeshed
        return self._stream.encoding

    def write(self, text: str, /) -> int:
        return self._stream.write(printable(text, self.encoding))

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


class Screen:
    """Output of a run. `width` is in columns; None takes that of the terminal, at least _NARROWEST, or 80."""

    def __init__(self, stream: TextIO | None = None, width: int | None = None) -> None:
        stream = stream or sys.stdout
        encoding = (getattr(stream, "encoding", None) or "utf-8").lower()
        if not encoding.startswith(("utf", "cp65001")):
            stream = cast("TextIO", _Encodable(stream))
        self.console = Console(
            file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False
        )
        if width is None and self.console.width < _NARROWEST:
            self.console.width = _NARROWEST
        # rich treats FORCE_COLOR as a terminal; on a pipe it may force colours, but not animations.
        self.can_animate = (
            stream.isatty() and not self.console.is_dumb_terminal and os.environ.get("TERM") != "unknown"
        )
        if not self.can_animate:
            # Only a terminal changes its size; otherwise rich would query the size several times per line.
            self.console.size = self.console.size
        self._held: list[Text] | None = None

    @property
    def width(self) -> int:
        """Width in columns."""
        return self.console.width

    @contextlib.contextmanager
    def buffered(self) -> Iterator[None]:
        """Print all lines of the context together at its end, in half the time of printing each alone.

        Contexts must not be nested.
        """
        held: list[Text] = []
        self._held = held
        try:
            yield
        finally:
            self._held = None
            if held:
                self.console.print(Text("\n").join(held), soft_wrap=True)

    def line(self, *parts: str | Text | tuple[str, str]) -> None:
        """Print one line, cut off at the width."""
        self._print(Text.assemble(*parts, end=""))

    def blank(self) -> None:
        """Print an empty line."""
        self._show(Text())

    def rule(self) -> None:
        """Print a horizontal rule."""
        self.line(("─" * min(self.width, 100), "dim"))

    def heading(self, text: str) -> None:
        """Print a title after an empty line."""
        self.blank()
        self.line((text, "bold"))

    def paragraph(self, body: str | Text, indent: int = 0, label: str | Text = "") -> None:
        """Print wrapped text at `indent`, its first line behind `label`."""
        text = body if isinstance(body, Text) else Text(body)
        head = label if isinstance(label, Text) else Text(label)
        gap = max(indent, head.cell_len)
        lines = text.wrap(self.console, max(self.width - gap, 8), overflow="fold", tab_size=4) or [Text()]
        for number, line in enumerate(lines):
            line.rstrip()
            lead = head.copy() if not number else Text()
            lead.append(" " * (gap - lead.cell_len))
            self._print(lead.append_text(line))

    def command(self, words: Sequence[str], indent: int = 4) -> None:
        """Print a command line for copying, broken with backslashes between words only."""
        room = self.width - indent - 4 - len(" \\")
        lines: list[str] = []
        for word in words:
            if lines and len(lines[-1]) + 1 + len(word) <= room:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
        for number, line in enumerate(lines):
            more = number + 1 < len(lines)
            text = Text(" " * (indent + (4 if number else 0)) + line + (" \\" if more else ""), "cyan")
            # A word longer than the line is left to the terminal to wrap: a break here could not be copied.
            self._show(text)

    def listing(self, lines: Iterable[str], indent: int) -> None:
        """Print lines without wrapping, cut off at the width."""
        for line in lines:
            self.line(" " * indent + line)

    def _print(self, text: Text) -> None:
        text.truncate(self.width, overflow="ellipsis")
        text.rstrip()
        self._show(text)

    def _show(self, line: Text) -> None:
        """Print or buffer a line as it is."""
        if self._held is None:
            self.console.print(line, soft_wrap=True)
        else:
            self._held.append(line)
