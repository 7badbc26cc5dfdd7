"""Entry point of the command: everything that must hold before the suite is imported, and the last resort for errors.

Status 1 says that a server breaks a requirement. Python ends with status 1 after any uncaught exception, so that none
may get past this module.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import traceback
from typing import TYPE_CHECKING

from conformance.command.streams import lasting_output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PROGRAM = "python -m conformance"
# The values of `conformance.verdicts.verdicts.Exit`, which can't be imported yet.
_NOT_CONFORMING, _USAGE, _SUITE_FAILED, _INCONCLUSIVE = 1, 2, 3, 4
_STORAGE = "HYPOTHESIS_STORAGE_DIRECTORY"
_OLDEST_PYTHON = (3, 11)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status, 3 for any exception that nothing else handles.

    Raises SystemExit for `--help` and for arguments that can't be parsed.
    """
    with lasting_output() as output:
        try:
            status = _run(arguments)
        except KeyboardInterrupt:
            print("Interrupted.", file=sys.stderr)
            status = _INCONCLUSIVE
        except Exception as error:  # noqa: BLE001  the last resort: Python itself would end with status 1
            if missing := _missing_package(error):
                print(
                    f"{_PROGRAM}: the package {missing} is not installed for {sys.executable}: expected `pip install "
                    "stompliance`, or `pip install .` in a checkout, with that Python",
                    file=sys.stderr,
                )
                return _USAGE
            traceback.print_exc()
            print(f"{_PROGRAM}: the suite itself failed; please report the lines above", file=sys.stderr)
            status = _SUITE_FAILED
        if (failure := output.failure()) and status != _NOT_CONFORMING:
            print(f"{_PROGRAM}: the output could not be written: {failure}", file=sys.stderr)
            status = _SUITE_FAILED
    return status


def _run(arguments: Sequence[str] | None) -> int:
    if sys.version_info < _OLDEST_PYTHON:
        found, oldest = (".".join(map(str, version[:2])) for version in (sys.version_info, _OLDEST_PYTHON))
        print(f"{_PROGRAM}: this is Python {found}: expected {oldest} or newer", file=sys.stderr)
        return _USAGE
    try:
        os.getcwd()  # noqa: PTH109  pathlib calls it too
    except OSError as error:
        print(
            f"{_PROGRAM}: the working directory is gone or can't be entered ({error.strerror}): change to another one",
            file=sys.stderr,
        )
        return _USAGE
    with hypothesis_storage():
        from conformance.command import cli

        return cli.main(arguments)


def _missing_package(error: Exception) -> str:
    """Name of the package that is not installed; "" for any other error, or if a module of the suite is missing."""
    if not isinstance(error, ModuleNotFoundError):
        return ""
    package = (error.name or "").partition(".")[0]
    return "" if package == __name__.partition(".")[0] else package


@contextlib.contextmanager
def hypothesis_storage() -> Iterator[None]:
    """Folder for Hypothesis' caches during the context, which would leave `.hypothesis` in the working directory.

    A folder that the user has chosen by the environment is kept. Where no file can be written, there are no caches.
    """
    if os.environ.get(_STORAGE):
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="stompliance-", ignore_cleanup_errors=True)
            )
        except OSError:
            folder = os.path.join(os.devnull, "no-caches")  # noqa: PTH118  no folder: nothing can be in a device
        os.environ[_STORAGE] = folder
        try:
            yield
        finally:
            os.environ.pop(_STORAGE, None)
