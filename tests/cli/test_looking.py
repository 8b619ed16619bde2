"""The verbs that look at a trained run: runs, report, generate, evaluate."""

import io
import json
import shutil
import subprocess
import sys

import pytest

from chainrule.base import DataError, count_text, processor_class
from chainrule.cli import main
from chainrule.config import Layer, TextConfig, resolve
from chainrule.data import survey, write_shards
from chainrule.run import RunFolder, freed_bytes, read_manifest, run_lock
from chainrule.run.facts import read_anchors
from chainrule.tokenizer.train import byte_tokenizer
from chainrule.train.origin import find_origin
from chainrule.verdict.comparison import at_equal_tokens, overview

pytestmark = pytest.mark.xdist_group("trained")


def read_json(capsys, *arguments):
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_runs_lists_what_the_files_say(runs_folder, capsys):
    first = next(
        run for run in read_json(capsys, "runs", "--runs-folder", runs_folder)["runs"] if run["name"] == "first"
    )
    summary = json.loads((runs_folder / "first" / "summary.json").read_text())
    for key in ("parameters", "step", "steps", "tokens", "val_bits_per_byte", "seconds", "status"):
        assert first[key] == summary[key], key
    assert first["disk_bytes"] > 0
    assert main(["runs", "--runs-folder", str(runs_folder)]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("first"))
    assert "finished" in line and count_text(summary["parameters"]) in line


def test_a_run_that_cannot_be_read_is_listed_all_the_same(tmp_path):
    run = RunFolder(tmp_path / "odd")
    run.path.mkdir()
    run.config.write_text("[model]\nn_layer = 2\n")
    run.summary.write_text("torn {")
    seen = overview(run)
    assert (seen.status, seen.parameters, seen.step) == ("unreadable", None, 0)


def test_a_run_does_not_differ_from_itself(runs_folder, capsys):
    run = runs_folder / "first"
    told = read_json(capsys, "runs", "diff", run, run)
    assert told["settings"] == {}
    assert told["val_bits_per_byte"]
    assert all(point["a"] == point["b"] for point in told["val_bits_per_byte"])


def test_a_difference_in_settings_is_shown(runs_folder, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    text = (runs_folder / "first" / "config.toml").read_text()
    (other / "config.toml").write_text(text.replace("n_layers = 1 ", "n_layers = 2 "))
    told = read_json(capsys, "runs", "diff", runs_folder / "first", other)
    assert told["settings"] == {"model.n_layers": {"a": 1, "b": 2}}
    assert told["val_bits_per_byte"] == []
    assert main(["runs", "diff", str(runs_folder / "first"), str(other)]) == 0
    assert "model.n_layers" in capsys.readouterr().out


def test_curves_are_compared_at_equal_tokens():
    a, b = [(0, 8.0), (100, 4.0), (300, 2.0)], [(50, 7.0), (200, 3.0), (900, 1.0)]
    assert at_equal_tokens(a, b) == [
        (50, 6.0, 7.0),
        (100, 4.0, pytest.approx(17 / 3)),
        (200, 3.0, 3.0),
        (300, 2.0, pytest.approx(3 - 2 / 7)),
    ]
    assert at_equal_tokens(a, []) == []
    assert at_equal_tokens([(0, 1.0), (10, 1.0)], [(20, 1.0), (30, 1.0)]) == []
    assert len(at_equal_tokens([(t, 1.0) for t in range(500)], [(t, 2.0) for t in range(500)])) == 10


def test_a_report_is_written_again(runs_folder, capsys):
    page = runs_folder / "first" / "report.html"
    assert main(["report", "first", "--runs-folder", str(runs_folder)]) == 0
    assert capsys.readouterr().out.strip() == str(page)
    assert page.stat().st_size > 1000


def test_a_report_is_written_though_a_bit_of_the_training_text_has_flipped(runs_folder, tmp_path, capsys):
    run = RunFolder(tmp_path / "runs" / "flipped")
    shutil.copytree(runs_folder / "first", run.path)
    shard = next(run.data.rglob("train-*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-len(content) // 3 | 1] ^= 0x80  # the high byte of some token, so that its id is beyond the vocabulary
    shard.write_bytes(content)
    assert main(["report", "flipped", "--runs-folder", str(tmp_path / "runs")]) == 0
    page = run.report.read_text()
    assert "The training text could not be searched" in page and shard.name in page
    assert "Of the completions at the end" in page


def test_generate_writes_the_same_with_the_same_seed(runs_folder, capsys):
    run = runs_folder / "first"
    options = ("--max-new-tokens", 5, "--seed", 7)
    once = read_json(capsys, "generate", run, "the ", "a", *options)
    assert once == read_json(capsys, "generate", run, "the ", "a", *options)
    assert [one["prompt"] for one in once["completions"]] == ["the ", "a"]
    assert len(read_json(capsys, "generate", run, "the ", "--copies", 3, *options)["completions"]) == 3


def test_generate_with_packed_weights_says_what_they_lose_on_a_text(runs_folder, tmp_path, capsys):
    (tmp_path / "text").write_text("the quick brown fox " * 9)
    run, options = str(runs_folder / "first"), ["--max-new-tokens", "3", "--weights", "int8"]
    assert main(["generate", run, "the ", *options, "--lost-on", str(tmp_path / "text")]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("the ") and "bits per byte with full weights" in err
    assert read_json(capsys, "generate", run, "the ", *options)["model"].endswith(", int8 weights")
    assert main(["generate", run, "the ", *options, "--lost-on", str(tmp_path / "none")]) == 2
    assert "--lost-on" in capsys.readouterr().err


def test_the_stream_is_the_completion(runs_folder, capsys):
    run = str(runs_folder / "first")
    options = ["--max-new-tokens", "8", "--temperature", "0"]
    whole = read_json(capsys, "generate", run, "the ", *options)["completions"][0]
    assert main(["generate", run, "the ", *options]) == 0
    shown = capsys.readouterr().out
    assert len(shown.rstrip("\n")) == len(("the " + whole["text"]).rstrip("\n"))


def test_the_prompt_loop_answers_each_line_and_leaves_at_the_end(runs_folder, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("the \nquick \\n\n"))
    assert main(["generate", str(runs_folder / "first"), "--max-new-tokens", "3"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("the ") and "\nquick \n" in out
    assert "Ctrl-D leaves" in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--temperature", "-1"], "temperature=-1"),
        (["--top-p", "0"], "top_p=0"),
        (["--top-k", "0"], "top_k=0"),
        (["--min-p", "2"], "min_p=2"),
        (["--copies", "1000000"], "1,000,000 copies of 200 tokens are too many"),
        (["--max-new-tokens", "1000000000"], "copies of 1,000,000,000 tokens are too many"),
        (["--max-new-tokens", "0"], "max_new_tokens=0"),
        (["--device", "cud"], "cud"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_bad_setting_of_generate_is_one_message(options, told, runs_folder, capsys):
    assert main(["generate", str(runs_folder / "first"), "the ", *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and told in err and len(err.splitlines()) <= 2


def test_a_prompt_longer_than_the_context_is_cut_from_the_left_and_that_is_said(runs_folder, capsys):
    run, prompt = runs_folder / "first", "the quick brown fox " * 60
    told = read_json(capsys, "generate", run, prompt, "--max-new-tokens", 4)
    assert told["completions"][0]["prompt"] == prompt and told["completions"][0]["tokens_cut"] > 0
    assert main(["generate", str(run), prompt, "--max-new-tokens", "4"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("the quick brown fox") and "tokens are cut" in err


def test_an_older_checkpoint_is_never_taken_without_a_word(runs_folder, tmp_path, capsys):
    run = RunFolder(tmp_path / "run")
    shutil.copytree(runs_folder / "first", run.path)
    weights = run.checkpoints / "step-00000003" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    for verb in (["generate", run.path, "the "], ["evaluate", run.path], ["export", "hf", run.path, tmp_path / "out"]):
        assert main([*map(str, verb)]) == 0
        err = capsys.readouterr().err
        assert "passed over:" in err and "step-00000003" in err and "step 2 of" in err


def test_evaluate_gives_the_runs_own_figure_to_the_last_digit(runs_folder, capsys):
    run = runs_folder / "first"
    summary = json.loads((run / "summary.json").read_text())
    told = read_json(capsys, "evaluate", run)
    assert told["bits_per_byte"] == summary["val_bits_per_byte"] and told["loss"] == summary["val_loss"]
    assert told["n_tokens"] == summary["scored"]["n_tokens"] and told["n_bytes"] == summary["scored"]["n_bytes"]
    assert {key: summary["scored"][key] for key in told["scored"]} == told["scored"]
    assert main(["evaluate", str(run)]) == 0
    assert "the same figure as in the run's summary, to the last digit" in capsys.readouterr().err
    assert main(["evaluate", str(run), "--stride", "3"]) == 0
    assert "other settings were asked for" in capsys.readouterr().err


def test_evaluate_measures_other_text_by_source(runs_folder, tmp_path, capsys):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(f"{name}: the lazy dog and the quick brown fox. " * 20)
    told = read_json(capsys, "evaluate", runs_folder / "first", tmp_path / "one", tmp_path / "two")
    assert told["n_tokens"] == sum(part["n_tokens"] for part in told["by_source"].values())
    assert len(told["by_source"]) == 2


def test_evaluate_scores_all_bytes_that_it_was_given_copies_too(runs_folder, tmp_path, capsys):
    texts = ["the quick brown fox " * 40, "the quick brown fox " * 40, "the quick brown fox " * 39, "é", "a" * 700]
    for place, text in enumerate(texts):
        (tmp_path / f"{place}.txt").write_text(text)
    (tmp_path / "empty.txt").write_text("")
    told = read_json(capsys, "evaluate", runs_folder / "first", tmp_path)
    assert told["n_bytes"] == sum(len(text.encode()) for text in texts)
    assert (told["documents"], told["empty"], told["left_out"]) == (5, 1, [])
    one = read_json(capsys, "evaluate", runs_folder / "first", tmp_path / "0.txt")
    two = read_json(capsys, "evaluate", runs_folder / "first", tmp_path / "0.txt", tmp_path / "1.txt")
    assert two["nats"] == pytest.approx(2 * one["nats"], rel=1e-6) and two["n_tokens"] == 2 * one["n_tokens"]


def test_evaluate_tells_each_row_so_that_pairs_can_be_compared(runs_folder, tmp_path, capsys):
    rows = [{"good": "the quick fox jumps", "bad": "quick the jumps fox"}, {"good": "a lazy dog", "bad": "a dog lazy"}]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for field in ("good", "bad"):
        told = read_json(
            capsys,
            "evaluate",
            runs_folder / "first",
            tmp_path / "pairs.jsonl",
            "--text.field",
            field,
            "--by",
            "document",
        )
        assert [row["n_bytes"] for row in told["by_document"]] == [len(row[field]) for row in rows]
        assert sum(row["nats"] for row in told["by_document"]) == pytest.approx(told["nats"])
        assert [row["name"].rsplit(":")[-1] for row in told["by_document"]] == ["1", "2"]


def test_evaluate_says_what_it_left_out(runs_folder, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("the quick brown fox")
    (tmp_path / "b.txt").write_bytes(b"\x00\x01 no text")
    (tmp_path / "c.png").write_bytes(b"picture")
    (tmp_path / "d.jsonl").write_text('{"text": "a lazy dog"}\n{"text": \n')
    told = read_json(capsys, "evaluate", runs_folder / "first", tmp_path, "--text.on-bad", "skip")
    assert told["documents"] == 2 and len(told["left_out"]) == 3
    assert ".png" in told["left_out"][0] and "b.txt" in told["left_out"][1] and "d.jsonl:2" in told["left_out"][2]


@pytest.mark.parametrize("options", [["--by", "document"], ["--text.field", "body"]])
def test_options_of_texts_are_refused_without_texts(options, runs_folder, capsys):
    assert main(["evaluate", str(runs_folder / "first"), *options]) == 2
    assert "for texts that are named" in capsys.readouterr().err


def test_evaluate_leaves_nothing_in_the_temporary_folder_and_refuses_text_without_a_token(
    runs_folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "empty.txt").write_text("")
    assert main(["evaluate", str(runs_folder / "first"), str(tmp_path / "empty.txt")]) == 2
    assert "there is nothing to score" in capsys.readouterr().err
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_text_of_another_tokenizer_is_refused(runs_folder, texts, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(runs_folder / "first", other)
    shutil.rmtree(other / "data")
    found = survey(TextConfig(paths=(str(texts),)), other / "data")
    write_shards(found, byte_tokenizer(), other / "data", context_length=32)
    assert main(["evaluate", str(other)]) == 2
    assert "the folder is another run's" in capsys.readouterr().err
    (other / "SHA256SUMS").unlink()  # of a run from before there were checksums the ids tell
    assert main(["evaluate", str(other)]) == 2
    assert "with another tokenizer" in capsys.readouterr().err
    layer = Layer("flag", {"origin": {"start_from": str(other), "old_share": 0.5}})
    with pytest.raises(DataError, match="with another tokenizer"):  # nor is it learnt from again
        find_origin(resolve([layer]).config, [layer])


def test_what_is_no_model_is_refused(tmp_path, capsys):
    for verb in (["generate", str(tmp_path), "x"], ["evaluate", str(tmp_path)]):
        assert main(verb) == 2
        assert str(tmp_path) in capsys.readouterr().err


def test_an_export_says_how_equal_it_is(runs_folder, tmp_path, capsys):
    told = read_json(capsys, "export", "hf", runs_folder / "first", tmp_path / "json")
    assert told["largest_difference"] < 1e-5
    assert told["folder"] == str(tmp_path / "json")
    assert (tmp_path / "json" / "model.safetensors").is_file()
    assert main(["export", "hf", str(runs_folder / "first"), str(tmp_path / "json")]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main(["export", "hf", str(runs_folder / "first"), str(tmp_path / "out")]) == 0
    assert "largest difference of" in capsys.readouterr().out


def test_evaluate_asks_what_it_is_told_to_ask(runs_folder, tmp_path, capsys):
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps({"good": f"the {n}", "bad": f"{n} teh"}) + "\n" for n in range(5)))
    told = read_json(capsys, "evaluate", runs_folder / "first", "--task", pairs)
    (result,) = told["tasks"]
    assert (result["task"], result["n"], result["guess"]) == ("pairs:pairs.jsonl", 5, 0.5)
    assert 0 <= result["low"] <= result["share"] <= result["high"] <= 1 and "loss" not in told
    assert main(["evaluate", str(runs_folder / "first"), "--task", f"pairs:{pairs}"]) == 0
    out = capsys.readouterr().out
    assert f"pairs:pairs.jsonl: {result['right']} of 5 pairs are told apart: " in out and "chance gets 50% right" in out


def test_evaluate_refuses_a_task_that_is_none(runs_folder, capsys):
    assert main(["evaluate", str(runs_folder / "first"), "--task", "pair"]) == 2
    assert "Did you mean 'pairs'?" in capsys.readouterr().err


def test_a_run_is_removed_for_good_when_that_is_said(runs_folder, tmp_path, capsys, monkeypatch):
    for name in ("a", "b"):
        shutil.copytree(runs_folder / "first", tmp_path / name)
    assert main(["runs", "rm", str(tmp_path / "a")]) == 2
    assert "add --yes" in capsys.readouterr().err and (tmp_path / "a").is_dir()
    told = read_json(capsys, "runs", "rm", "a", tmp_path / "b", "--yes", "--runs-folder", tmp_path)
    assert told["freed_bytes"] > 0 and list(tmp_path.iterdir()) == []
    assert main(["runs", "rm", "a", "--yes", "--runs-folder", str(tmp_path)]) == 2
    assert main(["runs", "rm"]) == 2


def test_a_run_that_is_being_trained_is_not_removed(runs_folder, tmp_path, capsys):
    shutil.copytree(runs_folder / "first", tmp_path / "busy")
    with run_lock(RunFolder(tmp_path / "busy")):
        assert main(["runs", "rm", str(tmp_path / "busy"), "--yes"]) == 2
    assert "being trained" in capsys.readouterr().err and (tmp_path / "busy" / "config.toml").is_file()


def test_what_others_link_to_is_not_counted_as_freed(runs_folder, tmp_path):
    shutil.copytree(runs_folder / "first", tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    before, size = freed_bytes(run), run.tokenizer.stat().st_size
    (tmp_path / "kept.json").hardlink_to(run.tokenizer)
    assert freed_bytes(run) == before - size


def test_one_run_is_shown_with_what_it_wrote(runs_folder, capsys):
    assert main(["runs", "show", "first", "--runs-folder", str(runs_folder)]) == 0
    out, err = capsys.readouterr()
    assert "finished" in out and "the " in out and f"chainrule generate {runs_folder / 'first'}" in err
    told = read_json(capsys, "runs", "show", runs_folder / "first")
    assert told["summary"]["status"] == "finished" and told["run"]["name"] == "first"


def test_the_newest_run_writes_where_no_model_is_named(runs_folder, capsys, monkeypatch):
    monkeypatch.chdir(runs_folder.parent)
    for words in (["the quick "], ["last", "the quick "]):
        assert main(["generate", *words, "--max-new-tokens", "4", "--temperature", "0"]) == 0
        assert capsys.readouterr().out.startswith("the quick ")
    assert main(["generate", "Once"]) == 2
    assert "chainrule generate last Once" in capsys.readouterr().err
    monkeypatch.chdir(runs_folder)
    assert main(["generate", "the quick "]) == 2
    assert "there is no run in runs/ yet" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["generate", "chat", "evaluate", "serve"])
def test_a_mistyped_model_is_answered_before_torch_is_loaded(verb, tmp_path):
    (tmp_path / "runs" / "tales").mkdir(parents=True)
    (tmp_path / "runs" / "tales" / "config.toml").touch()
    for wrong in ("talse", "runs/talse"):
        called = f"from chainrule.cli import main; code = main([{verb!r}, {wrong!r}])"
        code = f"import sys; {called}; sys.exit(code or 9 * ('torch' in sys.modules))"
        ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
        assert ended.returncode == 2 and "tales" in ended.stderr, ended.stderr
        assert "loading" not in ended.stderr


def saved_steps(run: RunFolder) -> list[int]:
    return [int(folder.name.removeprefix("step-")) for folder in sorted(run.checkpoints.iterdir())]


def test_what_nobody_needs_of_runs_goes_and_what_stays_is_whole(texts, tiny, tmp_path, capsys):
    more = ["--training.save-every", "1", "--training.keep-last", "9", "--training.eval-every", "1"]
    place = ["--runs-folder", str(tmp_path)]
    assert main(["pretrain", str(texts), "--name", "tale", *place, *tiny, *more]) == 0
    run = RunFolder(tmp_path / "tale")
    shutil.copytree(run.path, tmp_path / "unsaved", ignore=shutil.ignore_patterns("checkpoints", "summary.json"))
    before, steps = freed_bytes(run), saved_steps(run)
    assert len(steps) > 2 and main(["runs", "prune", *place]) == 2
    assert "add --yes" in capsys.readouterr().err
    told = read_json(capsys, "runs", "prune", *place, "--yes")
    assert [row["what"] for row in told["removed"]][1] == "all of it: no step was saved"
    assert not (tmp_path / "unsaved").exists() and len(saved_steps(run)) <= 2 and saved_steps(run)[-1] == steps[-1]
    assert read_json(capsys, "runs", "prune", *place, "--yes")["freed_bytes"] == 0
    with run_lock(run):
        assert read_json(capsys, "runs", "prune", "--optimizer", *place, "--yes")["removed"] == []
    assert read_json(capsys, "runs", "prune", "--optimizer", *place, "--yes")["freed_bytes"] > 0
    assert freed_bytes(run) < before / 2
    assert main(["generate", str(run.path), "the ", "--max-new-tokens", "4"]) == 0
    assert main(["pretrain", "--resume", str(run.path), "--minutes", "1"]) == 2
    assert "runs prune --optimizer" in capsys.readouterr().err


def test_damaged_checkpoints_are_not_what_is_kept(texts, tiny, tmp_path, capsys):
    more = ["--training.save-every", "1", "--training.keep-last", "9", "--runs-folder", str(tmp_path)]
    assert main(["pretrain", str(texts), "--name", "tale", *tiny, *more]) == 0
    run = RunFolder(tmp_path / "tale")
    steps = saved_steps(run)
    weights = sorted(run.checkpoints.iterdir())[-1] / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0\1")
    capsys.readouterr()
    assert read_json(capsys, "runs", "prune", "--runs-folder", tmp_path, "--yes")["removed"] == []
    assert saved_steps(run) == steps


def test_the_doctor_tells_what_a_run_will_meet(tmp_path, capsys):
    told = read_json(capsys, "doctor", "--runs-folder", tmp_path / "runs")
    assert told["ok"] and {one["what"] for one in told["findings"]} >= {"torch", "device", "speed", "memory", "disk"}
    assert told["machine"]["threads"] >= 1 and {one["name"] for one in told["extras"]} >= {"hf", "serve", "gguf"}
    assert told["measured"]["copied"] > 0 and told["surroundings"]["versions"]["oneDNN"]
    assert all(isinstance(sentence, str) for sentence in told["left_on_the_table"])
    assert main(["doctor", "--quick"]) == 0
    shown = capsys.readouterr().out
    assert "GFLOP/s" in shown and "Left on the table" in shown and "disk of the runs" not in shown


def test_the_doctor_names_the_variable_that_holds_a_processor_down(capsys, monkeypatch):
    if processor_class().name not in ("avx2", "avx512-bf16", "amx"):
        pytest.skip("a class that no variable lowers")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX")
    told = read_json(capsys, "doctor", "--quick")
    assert told["machine"]["processor_class"] == "other" and told["measured"] is None
    assert "ONEDNN_MAX_CPU_ISA=AVX" in told["surroundings"]["held_down_by"]
    assert any(sentence.startswith("ONEDNN_MAX_CPU_ISA=AVX ") for sentence in told["left_on_the_table"])


def test_a_report_gives_a_link_and_opens_it(runs_folder, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda link: bool(opened.append(link)) or len(opened) > 1)
    link = (runs_folder / "first" / "report.html").resolve().as_uri()
    for _ in range(2):
        assert main(["report", "first", "--runs-folder", str(runs_folder), "--open"]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines() == [link, "no browser could be opened here; open that link where there is one", link]
    assert opened == [link, link] and said.out.splitlines()[0].endswith("report.html")


def test_another_model_on_the_same_bytes_is_a_line_in_the_report(runs_folder, texts, tiny, tmp_path, capsys):
    """A model with another tokenizer, so that nothing but the bytes can be the same."""
    options = [*tiny, "--vocabulary.kind", "bytes", "--runs-folder", str(tmp_path)]
    options[options.index("--model.vocab-size") + 1] = "257"
    assert main(["pretrain", str(texts), "--name", "other", *options]) == 0
    shutil.copytree(runs_folder / "first", tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    capsys.readouterr()
    told = read_json(capsys, "evaluate", tmp_path / "other", "--on", run.path)
    (anchor,) = read_anchors(run)
    assert anchor.name == "other" and anchor.bits_per_byte == told["bits_per_byte"]
    held_out = read_manifest(run).report.split_bytes["validation"]
    assert anchor.n_bytes == anchor.of_bytes == held_out == told["n_bytes"]
    assert main(["evaluate", str(tmp_path / "other"), "--on", str(run.path), "--max-tokens", "64"]) == 0
    (anchor,) = read_anchors(run)
    assert anchor.n_bytes < anchor.of_bytes
    assert main(["report", str(run.path)]) == 0
    page = run.report.read_text()
    assert page.count(f"other ({count_text(anchor.parameters)})") >= 2 and "evenly spread windows" in page


def test_an_anchor_is_refused_where_it_makes_no_sense(runs_folder, tmp_path, capsys):
    run = str(runs_folder / "first")
    for options, word in (
        ([run, "--on", run], "is the run itself"),
        ([run, str(tmp_path), "--on", run], "without other texts"),
        ([run, "--on", run, "--task", "x"], "without --task"),
        ([run, "--on", run + "x"], "no run at"),
    ):
        assert main(["evaluate", *options]) == 2
        assert word in capsys.readouterr().err
