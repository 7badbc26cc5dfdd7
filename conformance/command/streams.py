"""Standard streams that outlive their reader: `python -m conformance … | head` still ends with the verdicts' status.

Characters that a stream's encoding lacks are escaped. After the first failed write the stream's descriptor leads to the
null device, so that no later write can fail, in any thread, and the interpreter's flush at exit can't either.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING

from conformance.wire.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


class LastingStream(io.TextIOBase):
    """A text stream whose write errors are kept in `failure` instead of being raised."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None
        """First error of a write, except that the reader is gone."""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a property there, a variable in typeshed
        return self._stream.encoding

    @property
    def buffer(self) -> object:
        """Binary layer, as of the stream itself."""
        return self._stream.buffer

    def write(self, text: str, /) -> int:
        try:
            try:
                return self._stream.write(text)
            except UnicodeEncodeError:  # nothing of the text was written
                return self._stream.write(printable(text, self.encoding))
        except OSError as error:
            self._discard(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._discard(error)

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def reconfigure(self, **options: bool) -> None:
        """Change options of the stream, such as `line_buffering`."""
        with contextlib.suppress(AttributeError, ValueError):
            self._stream.reconfigure(**options)  # type: ignore[attr-defined]

    def _discard(self, error: OSError) -> None:
        if not isinstance(error, BrokenPipeError):
            self.failure = self.failure or error
        with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor stays as it is
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


class Output:
    """The standard streams of a command."""

    def __init__(self, out: LastingStream, err: LastingStream) -> None:
        self._streams = out, err

    def failure(self) -> OSError | None:
        """First error of a write to standard output or error, except that the reader is gone."""
        for stream in self._streams:
            stream.flush()
        return next((stream.failure for stream in self._streams if stream.failure), None)


@contextlib.contextmanager
def lasting_output() -> Iterator[Output]:
    """Replace standard output and error by lasting streams during the context; a closed one is the null device."""
    kept = sys.stdout, sys.stderr
    with contextlib.ExitStack() as stack:
        out, err = (
            LastingStream(stream or stack.enter_context(open(os.devnull, "w", encoding="utf-8")))  # noqa: PTH123
            for stream in kept
        )
        sys.stdout, sys.stderr = out, err
        try:
            yield Output(out, err)
        finally:
            out.flush()
            err.flush()
            sys.stdout, sys.stderr = kept
