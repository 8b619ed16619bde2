"""A copy of the package to which a test adds something, in the files that docs/ARCHITECTURE.md names."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import chainrule

PACKAGE = Path(chainrule.__file__).parent


@dataclass
class Copy:
    """The package in a folder of its own; `touched` are the files that were written or changed."""

    folder: Path
    touched: set[str] = field(default_factory=set)

    @classmethod
    def below(cls, folder: Path) -> "Copy":
        shutil.copytree(PACKAGE, folder / "chainrule")  # with its bytecode, which holds for what is not changed
        return cls(folder)

    def write(self, name: str, content: str) -> None:
        """A new file."""
        path = self.folder / "chainrule" / name
        assert not path.exists()
        path.write_text(content)
        self.touched.add(name)

    def change(self, name: str, old: str, new: str) -> None:
        """One place of a file."""
        path = self.folder / "chainrule" / name
        content = path.read_text()
        assert content.count(old) == 1, f"{name} has {old!r} {content.count(old)} times"
        path.write_text(content.replace(old, new))
        self.touched.add(name)

    def run(self, code: str, *arguments: object) -> str:
        """What a program with that copy prints."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def chainrule(self, *arguments: object) -> str:
        """What the command prints."""
        return self.run("import sys; from chainrule.cli import main; sys.exit(main())", *arguments)
