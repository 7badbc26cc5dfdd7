"""Installations in a cache folder: bounded commands, and folders that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Longest time that one command of an installation may take, in seconds.
COMMAND_SECONDS = 600.0
PROGRAMS = Path(__file__).resolve().parent / "programs"
_LAST_LINES = 8


class CannotInstall(Exception):
    """A broker's parts can't be had; the message names the command, what it printed, and what to do."""


class Installation(Protocol):
    """One way to get a broker onto the machine."""

    @property
    def source(self) -> str:
        """Package and registry, for people."""
        ...

    def install(self, cache: Path) -> Path:
        """Folder of the installed broker, from the cache if it is there. Raises CannotInstall."""
        ...


def default_cache() -> Path:
    """`stompliance/brokers` in the user's folder for caches."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stompliance" / "brokers"


def tool(name: str, package: str) -> str:
    """Path of a program that an installation needs. Raises CannotInstall, naming the package that has it."""
    path = shutil.which(name)
    if path is None:
        raise CannotInstall(f"there is no program {name!r} on PATH: expected one, install {package}")
    return path


def carry_out(words: Sequence[str], *, folder: Path | None = None, seconds: float = COMMAND_SECONDS) -> str:
    """Output of a command. Raises CannotInstall if it fails or takes too long."""
    try:
        done = subprocess.run(
            list(words),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except OSError as error:
        raise CannotInstall(f"cannot start {words[0]}: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise CannotInstall(
            f"`{' '.join(words)}` did not end within {seconds:g} s: try again, what it loaded is kept"
        ) from error
    if done.returncode:
        lines = "\n".join(f"    {line}" for line in done.stdout.strip().splitlines()[-_LAST_LINES:])
        raise CannotInstall(
            f"`{' '.join(words)}` ended with status {done.returncode}:\n{lines or '    no output'}"
        )
    return done.stdout


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Folder to fill, which becomes `path` at the end of the context, and is removed if that raises.

    Raises CannotInstall if the cache can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        filled = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise CannotInstall(f"the cache can't be written: {error}; name another folder by --cache") from error
    try:
        yield filled
        # Another run may have filled the cache meanwhile: what it made is as good.
        if not path.exists():
            filled.rename(path)
    finally:
        shutil.rmtree(filled, ignore_errors=True)


def environment(**more: str) -> Mapping[str, str]:
    """Environment of this process with further variables."""
    return {**os.environ, **more}
