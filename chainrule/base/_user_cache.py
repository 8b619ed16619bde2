"""Where this user's programs keep what can be made again."""

import os
import sys
from pathlib import Path


def user_cache() -> Path:
    """Our folder in the user's cache: ~/.cache/chainrule, under $XDG_CACHE_HOME, or under %LOCALAPPDATA%."""
    home = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", "")
    # The specification: a path that is not absolute is to be ignored.
    return (Path(home) if Path(home).is_absolute() else Path("~/.cache").expanduser()) / "chainrule"
