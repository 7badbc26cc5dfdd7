"""Installation of a package from PyPI."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.brokers.installing import carry_out, new_folder

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class PypiPackage:
    """A package as `name==version`, in a virtual environment of its own."""

    requirement: str

    @property
    def source(self) -> str:
        """Package and registry, for people."""
        return f"PyPI, {self.requirement}"

    def install(self, cache: Path) -> Path:
        """Folder of the virtual environment. Raises CannotInstall."""
        home = cache / self.requirement.replace("==", "-")
        if not home.exists():
            with new_folder(home) as folder:
                carry_out([sys.executable, "-m", "venv", str(folder)])
                # A script of the environment would name the folder that it was installed in.
                carry_out([str(folder / "bin" / "python"), "-m", "pip", "install", "-q", self.requirement])
        return home
