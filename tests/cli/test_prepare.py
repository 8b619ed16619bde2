import json

from chainrule.cli import main


def test_a_text_is_prepared_listed_used_and_removed(texts, tiny, tmp_path, capsys):
    cache = str(tmp_path / "cache")
    settings = [*tiny, "--machine.cache", cache]
    assert main(["prepare", str(texts), "--json", *settings]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["data"]["documents"] == 30 and made["folder"].startswith(cache)

    assert main(["cache", "--folder", cache, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["entries"]
    assert {entry["kind"] for entry in listed} == {"survey", "tokenizer", "shards"}
    assert all(entry["text"] == [str(texts)] and entry["runs"] == [] for entry in listed)

    runs = tmp_path / "runs"
    assert main(["pretrain", str(texts), "--name", "a", "--runs-folder", str(runs), *settings]) == 0
    capsys.readouterr()
    assert main(["cache", "--folder", cache]) == 0
    assert "shards-" in capsys.readouterr().out

    assert main(["cache", "prune", "--folder", cache, "--days", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"] == []
    assert main(["cache", "prune", "shards", "--folder", cache, "--json"]) == 0
    (removed,) = json.loads(capsys.readouterr().out)["removed"]
    assert removed["runs"] == [str(runs / "a")]
    assert main(["cache", "prune", "--folder", cache]) == 0
    assert "removed 2 of 2" in capsys.readouterr().err
    assert main(["evaluate", str(runs / "a"), "--json"]) == 0


def test_a_dry_look_names_what_is_wrong_and_writes_nothing(texts, tmp_path, capsys):
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "good.txt").write_text("All is well here.\n" * 20)
    (folder / "latin.txt").write_bytes("caf\xe9 au lait\n".encode("latin-1"))
    (folder / "binary.txt").write_bytes(bytes(range(256)) * 40)
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (folder / "gone.txt").symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    assert main(["prepare", str(folder), "--check", "--json", "--machine.cache", str(tmp_path / "cache")]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert seen["files"] == 3 and seen["kinds"]["text"]["files"] == 3
    assert seen["skipped_by"] == {".png": 1}
    assert any("gone.txt" in line for line in seen["left_out"])
    assert any("latin.txt" in line for line in seen["found"]) and any("binary.txt" in line for line in seen["found"])
    assert sorted(tmp_path.rglob("*")) == before
    assert main(["prepare", str(folder), "--check"]) == 0
    assert "latin.txt" in capsys.readouterr().err


def test_unknown_entries_and_a_cache_that_is_off_are_refused(tmp_path, texts, capsys):
    assert main(["cache", "prune", "shards-77", "--folder", str(tmp_path)]) == 2
    assert "is not in" in capsys.readouterr().err
    assert main(["cache", "--folder", "off"]) == 2
    assert main(["prepare", str(texts), "--machine.cache", "off"]) == 2
    assert "machine.cache is off" in capsys.readouterr().err
