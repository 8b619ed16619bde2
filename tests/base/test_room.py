"""Room is looked at before the first byte, and what is no full disk is named as what it is."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_disk import SmallDisk

from chainrule.base import FLOOR_BYTES, DiskError, disk_faults, free_bytes, require_room, write_bytes
from chainrule.base.room import FLOOR_FILES, free_files


@pytest.fixture
def disk(tmp_path):
    made = SmallDisk(tmp_path / "disk", 8 << 20, n_files=64)
    yield made
    made.close()


def test_what_fits_beside_the_floor_is_let_pass_and_a_byte_more_is_not(disk):
    room = free_bytes(disk.folder) - FLOOR_BYTES
    require_room(disk.folder / "new", room, "a thing", "Free some")
    with pytest.raises(DiskError) as caught:
        require_room(disk.folder / "new", room + 1, "a thing", "Free some")
    told = str(caught.value)
    assert "8.0 MiB free" in told and "8.0 MiB are needed for a thing" in told and str(disk.folder) in told
    assert "4.0 MiB that stay free for the journals" in told and told.endswith("Free some")
    assert caught.value.__cause__.errno == errno.ENOSPC


def test_files_that_cannot_be_made_are_foreseen_and_named(disk):
    disk.use_up_files(left=FLOOR_FILES)
    require_room(disk.folder, 1, "a thing", "")
    (disk.folder / "one more").touch()
    with pytest.raises(DiskError, match=r"15 more files.* inodes are used up, while \d.* MiB are free. Remove some"):
        require_room(disk.folder, 1, "a thing", "")


def test_inodes_that_are_gone_are_no_full_disk(disk):
    disk.use_up_files()
    assert free_files(disk.folder) == 0
    with pytest.raises(DiskError, match=r"writing .*/new: .*inodes are used up.* free\)\. What was saved"):
        write_bytes(disk.folder / "new", b"one")


def test_bytes_that_are_gone_are_a_full_disk(disk):
    disk.leave(0)
    with pytest.raises(DiskError, match=r"/new: the disk is full \(0 B free\)"):
        write_bytes(disk.folder / "new", bytes(1 << 16))


def test_a_read_only_file_system_is_named(disk):
    write_bytes(disk.folder / "old", b"old")
    disk.be_read_only()
    with pytest.raises(DiskError, match="the file system is read-only"):
        write_bytes(disk.folder / "old", b"new")
    assert (disk.folder / "old").read_bytes() == b"old"


# Refused for real, in a process of its own: what is done before, and what is said then.
REFUSED = {
    "descriptors": ("resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))", "too many files open; raise its limit"),
    "size": ("resource.setrlimit(resource.RLIMIT_FSIZE, (8, 8))", "would be larger than allowed"),
    "owner": ("os.setuid(65534)", "permission was denied"),
    "name": ("place = place.with_name('n' * 300)", "the name or the whole path is too long"),
}
WRITING = """
import os, resource, signal, sys
from pathlib import Path
from chainrule.base import DiskError, write_bytes
place = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
{before}
try:
    write_bytes(place, b"more than eight bytes")
except DiskError as fault:
    print(fault)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limits")
@pytest.mark.parametrize("what", REFUSED)
def test_what_the_system_refuses_for_real_is_named(tmp_path, what):
    before, told = REFUSED[what]
    if what == "owner" and os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    done = subprocess.run(
        [sys.executable, "-c", WRITING.format(before=before), str(tmp_path / "a")],
        **{"capture_output": True, "text": True, "timeout": 60},
    )
    assert told in done.stdout and not done.stderr, done
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EIO])
def test_a_sync_that_fails_is_told_as_such(tmp_path, monkeypatch, number):
    # A patched layer: no disk that fails is at hand.
    write_bytes(tmp_path / "a", b"old")

    def refuse(handle: int) -> None:
        raise OSError(number, "as the system words it")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DiskError, match=r"did not confirm that it keeps what was written \(fsync: Input/output error"):
        write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_a_write_that_fails_is_no_failed_sync(tmp_path):
    with pytest.raises(DiskError, match="reported an input/output error"), disk_faults(tmp_path, "writing"):
        raise OSError(errno.EIO, "")


def test_room_below_a_name_that_is_too_long_is_that_of_its_parent(tmp_path):
    assert free_bytes(tmp_path / ("n" * 300) / "a") == pytest.approx(free_bytes(Path(tmp_path)), rel=0.1)
