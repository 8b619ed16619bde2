"""The command answers fast, and every mistake is one message, one exit code and no traceback."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from chainrule import __version__
from chainrule.base import ConfigError, TrainingError
from chainrule.cli import main
from chainrule.cli.meant import FLAGS, NOTES
from chainrule.cli.verbs import VERBS, command_line
from chainrule.config import PRESETS, Config

COMMAND = [sys.executable, "-m", "chainrule"]
TORCH_FREE_VERBS = [["--help"], [], ["plan"], ["plan", "--help"], ["pretrain", "--help"], ["config", "show"], ["runs"]]


def refused(capsys, *arguments: str, code: int = 2) -> str:
    """What is said on standard error; nothing may stand on standard output."""
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert err.startswith("chainrule: ")
    return err


@pytest.mark.parametrize("arguments", TORCH_FREE_VERBS, ids=" ".join)
def test_what_only_reads_and_counts_imports_no_torch(arguments, tmp_path):
    script = f"import sys; from chainrule.cli import main; main({arguments!r}); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_of_all_verbs_imports_none_of_them():
    script = (
        "import sys; from chainrule.cli import main; main(['--help']); "
        "sys.exit(any(name in sys.modules for name in ('pydantic', 'chainrule.config', 'chainrule.cli.plan')))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0


def test_no_arguments_show_the_help(capsys):
    assert main([]) == 0
    bare = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == bare
    assert all(verb in bare for verb in VERBS)


def test_the_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb, capsys):
    assert main([verb, "--help"]) == 0
    told = capsys.readouterr().out
    assert f"chainrule {verb}" in told.split("Usage:")[1].split("\n", 1)[1] or verb == "config"


@pytest.mark.parametrize("arguments", [["runs", "diff", "--help"], ["config", "show", "--help"]], ids=" ".join)
def test_every_verb_below_a_verb_has_help_with_an_example(arguments, capsys):
    assert main(arguments) == 0
    told = capsys.readouterr().out.split("Usage:")[1].split("\n", 1)[1]
    assert "chainrule " + " ".join(arguments[:2]) in told


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        (["pretrian", "x"], "'pretrain'"),
        (["rnus"], "'runs'"),
        (["runs", "dif", "a", "b"], "'diff'"),
        (["plan", "--preset", "gpt2-124"], "'gpt2-124m'"),
        (["plan", "gpt2-124"], "'gpt2-124m'"),
        (["plan", "--minute", "3"], "'--minutes'"),
        (["plan", "--model.norm", "rmsnom"], "'rmsnorm'"),
        (["pretrain", "x", "--on-bad", "skipp"], "'skip'"),
        (["pretrain", "x", "--device", "cud"], "'cuda'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_typo_anywhere_is_answered_with_the_nearest_word(typo, meant, capsys):
    assert f"Did you mean {meant}?" in refused(capsys, *typo)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pretrain", "x", "--lr", "1e-3"], "--optimizer.lr"),
        (["pretrain", "x", "--max-iters", "9"], "--training.steps"),
        (["pretrain", "x", "--steps", "9"], "--training.steps"),
        (["pretrain", "x", "--batch_size=9"], "--training.batch-tokens, which counts tokens"),
        (["pretrain", "x", "--block-size", "9"], "--model.context-length"),
        (["pretrain", "x", "--epochs", "3"], "give --minutes, or --training.steps"),
        (["pretrain", "x", "--model.n-layer", "3"], "--model.n-layers"),
        (["plan", "--n-layers", "3"], "--model.n-layers"),
        (["pretrain", "--data", "x"], "text is named without a flag".capitalize()),
        (["generate", "r", "--temp", "1"], "--temperature"),
        (["generate", "r", "--prompt", "a"], "A prompt is written without a flag"),
        (["generate", "r", "--max-tokens", "9"], "--max-new-tokens"),
        (["train", "x"], "chainrule pretrain my_texts/"),
        (["resume", "x"], "chainrule pretrain --resume runs/NAME"),
        (["delete", "x"], "chainrule runs rm NAME"),
        (["nothing"], "Verbs: quickstart, pretrain"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_the_words_of_other_tools_are_answered_with_ours(words, said, capsys):
    assert said in refused(capsys, *words)


def test_every_flag_that_is_named_for_another_tools_exists(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    flags = set[str]()
    for verb in ("pretrain", "generate", "lens graph"):
        assert main([*verb.split(), "--help"]) == 0
        flags |= set(re.findall(r"--[\w.-]+", capsys.readouterr().out))
    assert {flag for named in FLAGS.values() for flag in named} <= flags
    assert set(NOTES) <= flags


def test_help_is_a_verb_too(capsys):
    assert main(["help", "plan"]) == 0
    told = capsys.readouterr().out
    assert main(["plan", "--help"]) == 0
    assert capsys.readouterr().out == told


@pytest.mark.parametrize("option", ["--pre=cpu-tiny", "--min=3", "--model.n-lay=3", "--j"])
def test_no_abbreviation_is_accepted(option, capsys):
    assert "unknown option" in refused(capsys, "plan", option)


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "--model.n-layers", "many"],
        ["plan", "--model.n-layers", "2.5"],
        ["plan", "--optimizer.lr", "nan"],
        ["plan", "--optimizer.lr", "-1"],
        ["plan", "--model.n-heads", "7", "--model.emb-dim", "768", "--model.n-layers", "2"],
        ["plan", "--minutes", "soon"],
        ["plan", "--minutes", "-5"],
        ["plan", "--minutes", "nan"],
        ["plan", "--minutes"],
        ["plan", "--text-bytes", "much"],
        ["plan", "--device", "tpu"],
        ["plan", "one", "two"],
        ["config", "show", "absent.toml"],
        ["config", "show", "--preset", "cpu-tiny", "gpt2-124m"],
        ["pretrain"],
        ["pretrain", "x", "--config", "absent.toml"],
        ["pretrain", "--resume", "runs/absent"],
        ["pretrain", "--resume", "--preset", "cpu-tiny"],
        ["pretrain", "x", "--minutes", "3", "--training.steps", "3"],
        ["pretrain", "x", "--text.on-bad", "skip", "--on-bad", "skip"],
        ["generate"],
        ["generate", "m", "--json"],
        ["generate", "m", "x", "--copies", "0"],
        ["evaluate", "m", "--stride", "0"],
        ["report", "runs/absent"],
        ["runs", "diff", "a"],
        ["runs", "diff", "a", "b"],
    ],
    ids=" ".join,
)
def test_a_mistake_is_one_message_without_noise(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = refused(capsys, *arguments)
    assert len(told.splitlines()) <= 3
    for noise in ("pydantic", "input_value", "[type=", "Root Input Tokens", "ValidationError", "SettingFlags"):
        assert noise not in told
    assert list(tmp_path.iterdir()) == []


def test_every_preset_is_named_in_the_help(capsys):
    for verb in (["pretrain"], ["config", "show"]):
        assert main([*verb, "--help"]) == 0
        told = re.sub(r"[^\w-]", "", capsys.readouterr().out)
        assert all(name in told for name in PRESETS)


def test_letters_that_a_terminal_cannot_show_are_replaced(tmp_path):
    (tmp_path / "naïve–1").mkdir()
    (tmp_path / "naïve–1" / "config.toml").touch()
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [*COMMAND, "runs", "--runs-folder", str(tmp_path)], env=environment, capture_output=True, check=True
    )
    assert b"na?ve?1" in done.stdout


def test_no_section_bears_the_name_of_a_command():
    assert not set(Config.model_fields) & {*VERBS, "show", "diff", "hf"}


def test_debug_adds_the_traceback_and_nothing_else_changes(capsys):
    assert main(["plan", "--preset", "absent", "--debug"]) == 2
    err = capsys.readouterr().err
    assert "Traceback" in err and "ConfigError" in err
    assert err.splitlines()[-1].startswith("chainrule: unknown preset 'absent'")


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        (ConfigError("wrong"), 2, "chainrule: wrong\n"),
        (TrainingError("lost"), 1, "chainrule: lost\n"),
        (KeyboardInterrupt(), 130, "chainrule: interrupted\n"),
        (PermissionError(13, "Permission denied", "runs"), 2, "chainrule: permission was denied: runs\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_every_fault_has_its_exit_code(fault, code, told, capsys, monkeypatch):
    def failing(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr("chainrule.cli.runs.list_runs", failing)
    assert main(["runs"]) == code
    assert capsys.readouterr() == ("", told)


def test_what_the_system_does_not_grant_is_told_in_one_line(capsys, monkeypatch):
    def failing(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("chainrule.cli.runs.list_runs", failing)
    assert main(["runs"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("chainrule: out of memory (")


def test_a_fault_of_ours_is_not_hidden(monkeypatch):
    monkeypatch.setattr("chainrule.cli.runs.list_runs", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["runs"])


def test_a_reader_that_goes_away_is_no_error():
    script = f"{' '.join(COMMAND)} config show | head -1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {script}"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_the_caller_has_closed_are_no_error(tmp_path, closed):
    # What is opened next would get their numbers: the settings would then be written into that file.
    out = tmp_path / "out.txt"
    script = f"{' '.join(COMMAND)} config show {closed}; echo $? > {out}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (out.read_text().strip(), done.stderr) == ("0", "")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
@pytest.mark.parametrize(("extra", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)], ids=["colour", "NO_COLOR"])
def test_colour_is_for_terminals_without_no_color(extra, coloured):
    leader, follower = os.openpty()
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    environment |= {"TERM": "xterm", **extra}
    subprocess.run([*COMMAND, "--help"], stdout=follower, env=environment, check=True)
    os.close(follower)
    told = os.read(leader, 100_000)
    os.close(leader)
    assert bool(re.search(rb"\x1b\[(\d+;)*(3[0-7]|9[0-7])(;\d+)*m", told)) == coloured


def test_a_pipe_gets_plain_text():
    done = subprocess.run([*COMMAND, "plan"], capture_output=True, check=True)
    assert b"\x1b" not in done.stdout


@pytest.mark.parametrize("arguments", [["plan"], ["runs"], ["config", "show"]], ids=" ".join)
def test_json_is_one_object_and_nothing_else(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    assert isinstance(json.loads(out), dict)
    assert err == ""


def test_ctrl_c_anywhere_ends_with_130():
    script = "import signal, chainrule.cli.runs as r; r.list_runs = lambda _: signal.raise_signal(signal.SIGINT)"
    code = f"{script}; import sys; from chainrule.cli import main; sys.exit(main(['runs']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr == "chainrule: interrupted\n"


@pytest.mark.parametrize("words", [["pretrain", "--help"], ["generate", "-h", "runs/x"]])
def test_help_is_what_the_parser_prints_and_does_nothing(words, capsys, monkeypatch):
    command_line(words[0], words[1:])(words)
    parsed = capsys.readouterr().out
    monkeypatch.setattr("cyclopts.App.__call__", lambda *_: pytest.fail("the options are read twice"))
    assert main(words) == 0
    assert capsys.readouterr().out == parsed and "--device" in parsed


def test_help_of_a_training_does_not_load_what_shows_one():
    script = "import sys; from chainrule.cli import main; main(['pretrain', '--help']); sys.exit('{}' in sys.modules)"
    for room in ("chainrule.panel", "chainrule.log", "chainrule.plan", "numpy", "torch"):
        assert subprocess.run([sys.executable, "-c", script.format(room)], stdout=subprocess.DEVNULL).returncode == 0
