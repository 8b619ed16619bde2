"""A folder that is not whole yet: it has a name of its own until it is, and goes when its writer fails or is gone."""

import hashlib
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from chainrule.base import fsync_folder

# Where nobody can be asked whether the writer lives (another machine, Windows), what is older was left behind.
LEFT_SECONDS = 24 * 3600


@contextmanager
def unfinished_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target` that gets its name when the block ends well, and is removed when it does not.

    What a killed process left of an earlier try is removed first. `target` must be absent or an empty folder.
    """
    for folder in _left_behind(target):
        shutil.rmtree(folder, ignore_errors=True)
    unfinished = target.with_name(f"{_prefix(target)}{_host()}-{os.getpid()}-{token_hex(4)}")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        fsync_folder(unfinished)
        if target.exists():
            target.rmdir()
        unfinished.rename(target)
        fsync_folder(target.absolute().parent)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _left_behind(target: Path) -> Iterator[Path]:
    """Folders of earlier tries whose writer is no more."""
    if not target.parent.is_dir():
        return
    for folder in target.parent.iterdir():
        parts = folder.name.removeprefix(_prefix(target)).split("-")
        if not folder.name.startswith(_prefix(target)) or not folder.is_dir():
            continue
        asked = len(parts) == 3 and parts[0] == _host() and parts[1].isdigit() and sys.platform != "win32"
        if not _lives(int(parts[1])) if asked else time.time() - folder.stat().st_mtime > LEFT_SECONDS:
            yield folder


def _prefix(target: Path) -> str:
    return f".{target.name}.new-"


def _host() -> str:
    """The machine, in a few letters that any file system takes."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)  # signal 0 reaches nobody; it only asks
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it lives, as another user
    return True
