"""What the files of a system say of it, as far as this one has them."""

from pathlib import Path


def told(path: Path) -> str:
    """The text of a file under /proc or /sys; nothing where it is not there or may not be read.

    Other systems have none of these files, and older kernels and containers lack some.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
