"""A real file system in memory, of any size and number of files, that can be filled, made read-only and taken away."""

import ctypes
import os
import shutil
import sys
from pathlib import Path

import pytest

READ_ONLY, REMOUNT, BIND, AT_ONCE = 1, 32, 4096, 2


class SmallDisk:
    """tmpfs at a new folder; a test that may not mount one is skipped."""

    def __init__(self, folder: Path, size: int, n_files: int = 0) -> None:
        if sys.platform != "linux":
            pytest.skip("tmpfs")
        folder.mkdir()
        self.folder, self.rest = folder, folder / "others.bin"
        self.words = f"size={size}" + (f",nr_inodes={n_files}" if n_files else "")
        if self._mount(b"none", b"tmpfs", 0):
            pytest.skip("this user may mount nothing")

    def leave(self, n_bytes: int) -> None:
        """Fills it up to this."""
        self.rest.unlink(missing_ok=True)
        with self.rest.open("wb") as stream:
            stream.write(bytes(max(0, shutil.disk_usage(self.folder).free - n_bytes)))

    def use_up_files(self, left: int = 0) -> None:
        """Makes empty files until only so many more can be made."""
        for number in range(os.statvfs(self.folder).f_favail - left):
            (self.folder / f"empty-{number}").touch()

    def be_read_only(self, yes: int = 1) -> None:
        assert self._mount(b"none", b"tmpfs", REMOUNT | (READ_ONLY if yes else 0)) == 0

    def appear_at(self, place: Path, *, how: int = 0) -> None:
        """A second way to it, which can be taken away while it is in use, or, over itself, be READ_ONLY from now on."""
        place.mkdir(exist_ok=True)
        assert _LIBC.mount(os.fsencode(self.folder), os.fsencode(place), None, BIND, None) == 0
        if how:
            assert _LIBC.mount(None, os.fsencode(place), None, BIND | REMOUNT | how, None) == 0

    def close(self) -> None:
        take_away(self.folder)

    def _mount(self, source: bytes, kind: bytes, how: int) -> int:
        return _LIBC.mount(source, os.fsencode(self.folder), kind, how, self.words.encode())


def take_away(place: Path) -> None:
    """As when a disk is pulled: nothing is below `place` any more, whoever has files of it open."""
    assert _LIBC.umount2(os.fsencode(place), AT_ONCE) == 0


_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
