"""Installation of npm packages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.brokers.installing import carry_out, new_folder, tool

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class NpmPackage:
    """A package as `name@version`, with what it depends on; install scripts don't run."""

    package: str

    @property
    def source(self) -> str:
        """Package and registry, for people."""
        return f"npm, {self.package}"

    def install(self, cache: Path) -> Path:
        """Folder with `node_modules/`. Raises CannotInstall."""
        tool("node", "Node.js")
        home = cache / self.package.replace("@", "-").replace("/", "-").strip("-")
        if not home.exists():
            with new_folder(home) as folder:
                carry_out(
                    [
                        tool("npm", "npm"),
                        "install",
                        "--prefix",
                        str(folder),
                        "--ignore-scripts",
                        "--no-audit",
                        "--no-fund",
                        self.package,
                    ]
                )
        return home
