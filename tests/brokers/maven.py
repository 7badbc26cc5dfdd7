"""Installation from Maven Central: an archive that is unpacked, or libraries with a main program of ours."""

from __future__ import annotations

import shutil
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.brokers.installing import PROGRAMS, CannotInstall, carry_out, new_folder, tool

if TYPE_CHECKING:
    from pathlib import Path

POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>brokers</groupId><artifactId>broker</artifactId><version>1</version>
  <dependencies>{dependencies}</dependencies>
</project>
"""


@dataclass(frozen=True)
class MavenArchive:
    """The binary distribution of a server: `group:artifact:version`, of type tar.gz and classifier bin."""

    artifact: str

    @property
    def source(self) -> str:
        """Package and registry, for people."""
        return f"Maven Central, {self.artifact}"

    def install(self, cache: Path) -> Path:
        """Folder of the unpacked distribution. Raises CannotInstall."""
        _, name, version = self.artifact.split(":")
        tool("java", "a JRE of version 17 or later")
        home = cache / f"{name}-{version}"
        if not home.exists():
            with new_folder(home) as folder:
                carry_out(
                    [
                        tool("mvn", "Maven"),
                        "-q",
                        "-B",
                        "dependency:copy",
                        f"-Dartifact={self.artifact}:tar.gz:bin",
                        f"-DoutputDirectory={folder / 'archive'}",
                    ]
                )
                for archive in (folder / "archive").iterdir():
                    try:
                        with tarfile.open(archive) as opened:
                            opened.extractall(folder / "unpacked", filter="data")
                    except (OSError, tarfile.TarError) as error:
                        raise CannotInstall(f"{archive.name} can't be unpacked: {error}") from error
                (inner,) = (folder / "unpacked").iterdir()
                for entry in inner.iterdir():
                    entry.rename(folder / entry.name)
                shutil.rmtree(folder / "archive")
                shutil.rmtree(folder / "unpacked")
        return home


@dataclass(frozen=True)
class MavenLibraries:
    """Libraries, `group:artifact:version` each, and the main class of ours that is compiled against them."""

    artifacts: tuple[str, ...]
    program: str

    @property
    def source(self) -> str:
        """Package and registry, for people."""
        return f"Maven Central, {self.artifacts[0]}"

    def install(self, cache: Path) -> Path:
        """Folder with `lib/` and the compiled `classes/`. Raises CannotInstall."""
        _, name, version = self.artifacts[0].split(":")
        home = cache / f"{name}-{version}"
        if not home.exists():
            with new_folder(home) as folder:
                (folder / "pom.xml").write_text(
                    POM.format(dependencies="".join(map(dependency, self.artifacts)))
                )
                carry_out(
                    [
                        tool("mvn", "Maven"),
                        "-q",
                        "-B",
                        "-f",
                        str(folder / "pom.xml"),
                        "dependency:copy-dependencies",
                        "-DincludeScope=runtime",
                        f"-DoutputDirectory={folder / 'lib'}",
                    ]
                )
        # The program may be newer than the libraries.
        carry_out(
            [
                tool("javac", "a JDK of version 17 or later"),
                "-nowarn",
                "-d",
                str(home / "classes"),
                "-cp",
                str(home / "lib" / "*"),
                str(PROGRAMS / self.program),
            ]
        )
        return home


def dependency(artifact: str) -> str:
    group, name, version = artifact.split(":")
    return (
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId>"
        f"<version>{version}</version></dependency>"
    )
