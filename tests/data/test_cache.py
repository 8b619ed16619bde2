import os
import subprocess
import sys
import time

import pytest

from chainrule.base import ConfigError
from chainrule.data import Cache, find_cache, kept_file, link_shards, open_cache, open_dataset
from chainrule.data.preparation import write_shards
from chainrule.tokenizer.train import byte_tokenizer

KEY = "0123456789abcdef" * 4


def nobody_waits():
    raise AssertionError("another process is in the cache")


def test_an_entry_tells_its_text_its_size_and_the_runs_that_are_still_there(tmp_path):
    cache, run = Cache(tmp_path / "cache"), tmp_path / "runs" / "a"
    run.mkdir(parents=True)
    with cache.turn("shards", KEY, nobody_waits) as place:
        (place / "tokens").write_bytes(b"x" * 5000)
        cache.note(place, ["texts/"], run)
        cache.note(place, ["texts/"], tmp_path / "runs" / "gone")
    (entry,) = cache.entries()
    assert (entry.kind, entry.text, entry.runs) == ("shards", ("texts/",), (str(run),))
    assert entry.n_bytes > 5000 and entry.freed_bytes == entry.n_bytes
    assert abs(entry.used - time.time()) < 60
    os.link(place / "tokens", run / "tokens")
    assert cache.entries()[0].freed_bytes == entry.n_bytes - 5000


def test_what_is_kept_is_for_its_owner_alone(tmp_path):
    cache = Cache(tmp_path / "cache")
    with cache.turn("survey", KEY, nobody_waits):
        pass
    if sys.platform != "win32":
        assert cache.folder.stat().st_mode & 0o077 == 0


WORKER = """
import sys, time
from pathlib import Path
from chainrule.data import Cache
with Cache(Path(sys.argv[1])).turn("shards", sys.argv[2], lambda: None) as place:
    print("in", flush=True)
    sys.stdin.read(1)
    (place / "made").write_text("by the first")
"""


def test_of_two_processes_one_waits_and_finds_what_the_other_made(tmp_path):
    cache = Cache(tmp_path)
    command = [sys.executable, "-c", WORKER, str(tmp_path), KEY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "in\n"
        assert not cache.remove(cache.entries()[0])
        waited = []

        def wait():
            waited.append(1)
            if len(waited) == 1:
                first.stdin.write("x")
                first.stdin.close()

        with cache.turn("shards", KEY, wait) as place:
            assert (place / "made").read_text() == "by the first"
        assert waited
    assert cache.remove(cache.entries()[0])
    assert cache.entries() == []


def test_a_process_that_is_killed_leaves_no_lock_behind(tmp_path):
    command = [sys.executable, "-c", WORKER, str(tmp_path), KEY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "in\n"
        first.kill()
    with Cache(tmp_path).turn("shards", KEY, nobody_waits) as place:
        assert not (place / "made").exists()


def test_a_kept_file_is_taken_only_as_it_was_recorded(tmp_path):
    cache = Cache(tmp_path)
    with cache.turn("tokenizer", KEY, nobody_waits) as place:
        assert kept_file(place, "tokenizer.json") is None
        (place / "tokenizer.json").write_text("{}")
        assert kept_file(place, "tokenizer.json") is None
        cache.note(place, [], sha256="44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")
        assert kept_file(place, "tokenizer.json") == place / "tokenizer.json"
        (place / "tokenizer.json").write_text("[]")
        assert kept_file(place, "tokenizer.json") is None


def test_the_cache_is_where_the_user_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert find_cache("auto") == Cache(tmp_path / "chainrule")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    if sys.platform != "win32":
        monkeypatch.setenv("HOME", str(tmp_path))
        assert find_cache("auto") == Cache(tmp_path / ".cache" / "chainrule")
    assert find_cache("off") is None
    assert find_cache(str(tmp_path / "other")) == Cache(tmp_path / "other")


@pytest.mark.parametrize("before", ["nothing", "another text", "half of it"])
def test_a_linked_text_is_whole_and_outlives_what_it_came_from(workshop, prepared, tmp_path, before):
    target = tmp_path / "run" / "data"
    if before == "another text":
        workshop.fill(20)
        write_shards(workshop.survey(), byte_tokenizer(), target, context_length=16, workers=1, shard_bytes=2000)
    elif before == "half of it":
        link_shards(prepared, target)
        (target / "manifest.json").unlink()
        (target / "train-00001.safetensors").unlink()
    assert link_shards(prepared, target) == 0
    manifest = open_dataset(prepared).manifest
    for path in prepared.glob("*.safetensors"):
        path.unlink()
    opened = open_dataset(target, verify=True)
    assert opened.manifest == manifest
    assert {path.name for path in target.glob("*.safetensors")} == {entry.file for entry in manifest.shards}


def test_what_a_killed_removal_left_is_in_nobodys_way_and_goes(tmp_path):
    cache = Cache(tmp_path)
    with cache.turn("shards", KEY, nobody_waits) as place:
        (place / "tokens").touch()
    (entry,) = cache.entries()
    for name in (f".gone-{place.name}-{os.getpid()}", f".{place.name}.tmp-{os.getpid():012}"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokens").touch()
    assert cache.remove(entry)
    cache.clean()
    assert [path.name for path in tmp_path.iterdir()] == [f".{place.name}.lock"]


def test_a_file_is_no_cache(tmp_path):
    (tmp_path / "file").write_text("hello")
    with pytest.raises(ConfigError, match="is a file and no cache"):
        open_cache(str(tmp_path / "file"))
