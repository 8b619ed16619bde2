"""Files are whole or absent, and a refusing disk says why."""

import errno
import json
import os
import secrets
import sys
import threading
from pathlib import Path

import pytest

import chainrule
from chainrule.base import (
    DiskError,
    disk_faults,
    folder_bytes,
    free_bytes,
    fsync_folder,
    new_file,
    sha256_of_file,
    temporary_name,
    whole_file,
    write_bytes,
    write_json,
)


def test_what_is_written_reads_back_and_leaves_no_temporary(tmp_path):
    write_bytes(tmp_path / "a", b"one")
    write_bytes(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_failed_write_leaves_the_old_file_and_no_temporary(tmp_path, monkeypatch):
    write_bytes(tmp_path / "a", b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskError, match=r"writing .*a: the disk is full \(.* free\)\. What was saved before is intact"):
        write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission was denied"),
        (errno.EDQUOT, "quota"),
        (errno.EIO, "input/output error"),
        (errno.ESTALE, "stale handle"),
        (errno.ETIMEDOUT, "did not answer in time"),
        (errno.ENOTCONN, "no longer connected"),
        (errno.EMFILE, "too many files open; raise its limit"),
        (errno.ENFILE, "too many files open"),
        (errno.ENOLCK, "no locks to give"),
        (errno.ENAMETOOLONG, "too long"),
        (errno.ELOOP, "symbolic link"),
        (errno.ENOTDIR, "a file and not a folder"),
    ],
)
def test_the_systems_refusals_become_one_clear_error(tmp_path, number, told):
    with pytest.raises(DiskError, match=told) as caught, disk_faults(tmp_path / "x", "saving"):
        raise OSError(number, "as the system words it")
    assert str(tmp_path / "x") in str(caught.value)
    assert caught.value.exit_code == 2


def test_other_faults_pass_through(tmp_path):
    with pytest.raises(FileNotFoundError), disk_faults(tmp_path, "reading"):
        (tmp_path / "absent").read_bytes()


def test_json_refuses_nan_and_keeps_every_letter(tmp_path):
    write_json(tmp_path / "a.json", {"é": [1, None]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"é": [1, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})


def test_the_hash_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_hard_link_counts_once(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "c").write_bytes(b"123")
    assert folder_bytes(tmp_path) == 8


def test_free_space_of_a_folder_that_is_yet_to_be_made(tmp_path):
    assert free_bytes(tmp_path / "not" / "yet") == pytest.approx(free_bytes(tmp_path), rel=0.1)


def test_a_folder_can_be_made_durable(tmp_path):
    fsync_folder(tmp_path)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.ENOSYS])
def test_a_file_system_that_cannot_sync_is_written_to_all_the_same(tmp_path, monkeypatch, number):
    def refuse(handle: int) -> None:
        raise OSError(number, "as a network mount words it")

    monkeypatch.setattr(os, "fsync", refuse)
    fsync_folder(tmp_path)
    write_bytes(tmp_path / "a", b"one")
    assert (tmp_path / "a").read_bytes() == b"one"


def test_a_planted_link_under_a_guessed_temporary_name_is_not_written_through(tmp_path, monkeypatch):
    treasure = tmp_path / "treasure"
    treasure.write_bytes(b"kept")
    monkeypatch.setattr(secrets, "randbelow", lambda limit: 7)
    (tmp_path / ".a.tmp-000000000007").symlink_to(treasure)
    with pytest.raises(FileExistsError):
        write_bytes(tmp_path / "a", b"new")
    assert treasure.read_bytes() == b"kept"


def test_a_link_in_the_place_of_the_file_is_replaced_and_its_target_kept(tmp_path):
    (tmp_path / "treasure").write_bytes(b"kept")
    (tmp_path / "a").symlink_to(tmp_path / "treasure")
    write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "treasure").read_bytes() == b"kept"
    assert (tmp_path / "a").read_bytes() == b"new" and not (tmp_path / "a").is_symlink()


def test_a_long_name_has_a_temporary_name_that_is_not_too_long(tmp_path):
    path = tmp_path / ("n" * 255)
    write_bytes(path, b"one")
    assert path.read_bytes() == b"one"


def test_a_block_that_fails_leaves_the_old_file(tmp_path):
    write_bytes(tmp_path / "a", b"old")
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "a") as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


@pytest.mark.skipif(not hasattr(os, "statvfs"), reason="no inodes there")
def test_inodes_that_are_used_up_are_no_full_disk(tmp_path, monkeypatch):
    state = os.statvfs(tmp_path)
    empty = os.statvfs_result((*state[:7], 0, *state[8:]))
    monkeypatch.setattr(os, "statvfs", lambda path: empty if str(path) == str(tmp_path) else state)
    with pytest.raises(DiskError, match=r"inodes are used up.* free\)\. What"), disk_faults(tmp_path, "writing"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_is_measured_while_its_files_come_and_go(tmp_path):
    (tmp_path / "stays").write_bytes(b"12345")
    over = threading.Event()

    def stir() -> None:
        while not over.is_set():
            (tmp_path / "f").mkdir()
            (tmp_path / "f" / "a").write_bytes(b"")
            (tmp_path / "f" / "a").unlink()
            (tmp_path / "f").rmdir()

    stirring = threading.Thread(target=stir)
    stirring.start()
    try:
        for _ in range(300):
            assert folder_bytes(tmp_path) == 5
    finally:
        over.set()
        stirring.join()


@pytest.mark.skipif(sys.platform == "win32", reason="links are for those with a right to them")
def test_a_new_file_takes_the_place_of_a_planted_link_and_leaves_what_it_led_to(tmp_path):
    (tmp_path / "theirs").write_bytes(b"precious")
    (tmp_path / "ours").symlink_to(tmp_path / "theirs")
    with new_file(tmp_path / "ours") as stream:
        stream.write(b"a")
        stream.seek(0)
        assert stream.read() == b"a"
    assert (tmp_path / "theirs").read_bytes() == b"precious" and not (tmp_path / "ours").is_symlink()


def test_temporary_names_are_never_the_same(tmp_path):
    names = {temporary_name(tmp_path / "a").name for _ in range(200)}
    assert len(names) == 200 and all(name.startswith(".a.tmp-") for name in names)
    assert not any(str(os.getpid()) == name.rpartition("-")[2] for name in names)


def test_no_temporary_is_named_by_its_process_alone():
    package = Path(chainrule.__file__).parent
    named = [
        path.relative_to(package).as_posix() for path in package.rglob("*.py") if "getpid" in path.read_text("utf-8")
    ]
    # Who holds a lock is no temporary; a task's folder names its machine too, and takes the place of one of a dead
    # process; the other two have a random part besides.
    assert sorted(named) == ["checkpoint/names.py", "data/tasks.py", "export/unfinished.py", "run/lock.py"]
