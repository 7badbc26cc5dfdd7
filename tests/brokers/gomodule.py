"""Installation of a Go module, with a main program of ours or with its own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.brokers.installing import PROGRAMS, carry_out, new_folder, tool

if TYPE_CHECKING:
    from pathlib import Path

_GO_MOD = "module broker\n\ngo 1.22\n"


@dataclass(frozen=True)
class GoModule:
    """A module as `path@version`, and the program that is built with it."""

    module: str
    program: str

    @property
    def source(self) -> str:
        """Package and registry, for people."""
        return f"Go module proxy, {self.module}"

    def install(self, cache: Path) -> Path:
        """Folder with the program `broker`. Raises CannotInstall."""
        home = cache / self.module.rsplit("/", 2)[-2].replace("@", "-") / self.module.rsplit("@", 1)[1]
        go = tool("go", "Go")
        if not home.exists():
            with new_folder(home) as folder:
                (folder / "go.mod").write_text(_GO_MOD)
                shutil.copy(PROGRAMS / self.program, folder / "main.go")
                carry_out([go, "get", self.module], folder=folder)
        # The program may be newer than the module.
        shutil.copy(PROGRAMS / self.program, home / "main.go")
        carry_out([go, "build", "-o", "broker", "."], folder=home)
        return home


@dataclass(frozen=True)
class GoProgram:
    """A module as `path@version` that is a program itself, called `name`."""

    module: str
    name: str

    @property
    def source(self) -> str:
        """Package and registry, for people."""
        return f"Go module proxy, {self.module}"

    def install(self, cache: Path) -> Path:
        """Folder with the program. Raises CannotInstall."""
        home = cache / f"{self.name}-{self.module.rsplit('@', 1)[1].removeprefix('v')}"
        if not home.exists():
            go = tool("go", "Go")
            with new_folder(home) as folder:
                carry_out([tool("env", "coreutils"), f"GOBIN={folder}", go, "install", self.module])
        return home
