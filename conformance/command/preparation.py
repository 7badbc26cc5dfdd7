"""Files and folders of the command line, checked before a run that may take minutes and would lose its results."""

from __future__ import annotations

import contextlib
import tempfile
from typing import TYPE_CHECKING

from conformance.command.tls_options import check_tls_files
from conformance.reporting import REPORTS

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.run.options import Options

#: Octets that a report needs at least.
_ROOM = 4096


def check_files(options: Options) -> None:
    """Raises ValueError if a file for TLS can't be read, or the reports or waivers can't be written."""
    check_tls_files(options)
    if options.report is not None:
        check_folder(options.report)
    if options.write_waivers is not None:
        _check_output(options.write_waivers, "--write-waivers")


def check_folder(folder: Path) -> None:
    """Create the folder, as the report would, and a file in it that is gone again. Raises ValueError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_ROOM))  # a full disk takes a file, and nothing into it
    except OSError as error:
        why = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise ValueError(
            f"--report {folder}: {why}; expected a folder that can be written, or that can be made"
        ) from error
    for name in REPORTS:
        if (folder / name).exists():
            _check_output(folder / name, "--report")


def _check_output(path: Path, option: str) -> None:
    """Open the file for writing without changing it; one that did not exist is gone again."""
    existed = path.exists()
    if existed and not path.is_file() and not path.is_dir():
        return  # a pipe or a device: to open it may wait for its reader
    try:
        with path.open("ab"):
            pass
    except OSError as error:
        raise ValueError(f"{option} {path}: {error.strerror}; expected a file that can be written") from error
    if not existed:
        with contextlib.suppress(OSError):
            path.unlink()
