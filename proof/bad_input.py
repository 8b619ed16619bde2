"""Bad settings, texts, rows, models and names by the real command: exit code 2, one sentence that names the object.

No traceback, no run begun, at most 500 MB. Of settings each is tried with what it cannot be.
"""

import gzip
import io
import json
import os
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
from pydantic import BaseModel

from chainrule.base import SUMS
from chainrule.config import Config
from proof.bench import Bench
from proof.case import Attempt, Case, hold
from proof.child import command
from proof.tiny import copied, flags, no_traceback

MOST_BYTES = 500_000_000
MOST_SECONDS = 240.0
SWITCHED = ("maybe", "2")
# Below `{here}` the files of the case lie, `{run}` is a finished run, `{text}` a good text, `{model}` an exported one.
Files = Mapping[str, bytes | str]


@dataclass(frozen=True)
class Bad:
    """What lies there, what is typed, and the word that the refusal names."""

    name: str
    words: tuple[str, ...]
    names: str
    files: Files = field(default_factory=dict)
    lay: Callable[[Path], None] | None = None


def bad_input(bench: Bench) -> Iterator[Case]:
    """Settings by the schema, and all else by a table."""
    model = bench.folder / "exported"
    for what, cases, quick in (("settings", list(_settings()), 6), ("things", _things(), 8)):
        yield Case(f"bad {what}", len(cases), _attempting(bench, model, cases), quick=quick)


def _attempting(bench: Bench, model: Path, cases: list[Bad]) -> Callable[[Attempt], str]:
    def attempt(attempt: Attempt) -> str:
        bad, here = cases[attempt.number], attempt.folder
        if not model.exists():
            hold(command(["export", "hf", str(bench.straight), str(model)], bench.folder).code == 0, "no model")
        for name, content in bad.files.items():
            path = here / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if any("{hf}" in word for word in bad.words):
            _hf(model, here / "hf", bad.files)
        if bad.lay:
            bad.lay(here)
        where = {"here": str(here), "run": str(bench.straight), "text": str(bench.texts), "model": str(model)}
        words = [word.format(**where, hf=str(here / "hf")) for word in bad.words]
        ended = command(words, here, seconds=MOST_SECONDS)
        no_traceback(ended)
        hold(ended.code == 2, f"{bad.name}: {ended.last()}")
        told = [line for line in ended.err.splitlines() if line.startswith("chainrule: ")]
        hold(len(told) == 1, f"{bad.name}: one sentence was expected, {ended.last()}")
        said = ended.err[ended.err.index("chainrule: ") :]
        named = any(name in said or name in said.replace("-", "_") for name in bad.names.split("|"))
        hold(named, f"{bad.name}: {bad.names!r} is not named, {ended.last()}")
        hold(ended.peak_bytes <= MOST_BYTES, f"{bad.name}: {ended.peak_bytes:,} bytes of memory")
        hold(not (here / "runs").exists() or not list((here / "runs").iterdir()), f"{bad.name}: a run was left")
        return "refused"

    return attempt


def _hf(model: Path, target: Path, files: Files) -> None:
    """The exported model with the files of the case over its own, as somebody changed it on purpose."""
    over = {path.name: path.read_bytes() for path in target.iterdir()} if target.is_dir() else {}
    if target.is_dir():
        for path in target.iterdir():
            path.unlink()
        target.rmdir()
    copied(model, target)
    (target / SUMS).unlink()  # which would name any change before the reader of it does
    for name, content in over.items():
        if content == b"absent":
            (target / name).unlink()
        else:
            (target / name).write_bytes(content)


def _settings() -> Iterator[Bad]:
    """Each setting of the schema with values that it cannot have."""
    for section, room in Config.model_fields.items():
        inner = room.annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            continue
        for name, one in inner.model_fields.items():
            for value in _impossible(one.annotation):
                flag = f"--{section}.{name.replace('_', '-')}"
                over = tuple(flags(**{f"{section}__{name}": value}))
                # Behind a switch "maybe" is a word of its own, and is named as such.
                names = f"{value}|{name}" if value in SWITCHED else name
                yield Bad(f"{flag} {value}", ("pretrain", "{text}", "--name", "x", *over), names)


def _impossible(kind: Any) -> tuple[str, ...]:
    """What no setting of this type can be."""
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    if choices:
        return ("nosuch", "")
    kinds = set(get_args(kind)) | {kind}
    if str in kinds or tuple in {get_origin(one) for one in kinds}:
        return ()
    if bool in kinds:
        return SWITCHED
    if int in kinds and float not in kinds:
        return ("x", "1.5", "-1", "1" + "0" * 30)
    return ("x", "nan", "inf", "-1") if float in kinds else ()


def _rows(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _toml(content: str) -> dict[str, str]:
    return {"bad.toml": content}


def _npz_bomb() -> bytes:
    stream = io.BytesIO()
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)})
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", header.getvalue() + b"\0" * 1_000_000)
    return stream.getvalue()


def _safetensors(header: bytes, size: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if size is None else size) + header


MANY = _rows(*({"text": f"the old man {number} said that we were going home"} for number in range(40)))
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400
PRETRAIN = ("pretrain", "{here}/t", "--name", "x", *flags())
TOML = ("pretrain", "{text}", "--config", "{here}/bad.toml", "--name", "x")
TEACH = ("finetune", "{run}", "{here}/rows.jsonl", "--no-probe", "--name", "x", "--machine.threads", "1")
WRITE = ("generate", "{hf}", "the", "--max-new-tokens", "2")
GOOD = [{"prompt": f"say {number}", "completion": "red"} for number in range(12)]


def _things() -> list[Bad]:
    return [*_texts(), *_tomls(), *_words(), *_taught(), *_models(), *_tensors()]


def _texts() -> Iterator[Bad]:
    yield Bad("an empty file", PRETRAIN, "t", {"t/a.txt": ""})
    yield Bad("an empty folder", PRETRAIN, "/t", lay=lambda here: (here / "t").mkdir())
    yield Bad("no such folder", PRETRAIN, "/t")
    yield Bad("a pattern without a match", ("pretrain", "{here}/*.txt", "--name", "x"), "*.txt")
    yield Bad("fewer tokens than a window", PRETRAIN, "66", {"t/a.txt": "a b"})
    yield Bad("one document", PRETRAIN, "held-out", {"t/a.txt": "the sea and the old man " * 30})
    yield Bad("invalid UTF-8", PRETRAIN, "a.txt", {"t/a.txt": b"abc \xff\xfe\xfa def" * 9})
    yield Bad("a picture by name", ("pretrain", "{here}/t/a.png", "--name", "x"), "a.png", {"t/a.png": PNG})
    yield Bad("malformed JSON", PRETRAIN, "a.jsonl:41", {"t/a.jsonl": MANY + '{"text": \n'})
    yield Bad("a row that is a list", PRETRAIN, "a.jsonl:41", {"t/a.jsonl": MANY + "[1]\n"})
    yield Bad("a row without text", PRETRAIN, "a.jsonl:41", {"t/a.jsonl": MANY + '{"story": "abc"}\n'})
    yield Bad("a row whose text is null", PRETRAIN, "a.jsonl:41", {"t/a.jsonl": MANY + '{"text": null}\n'})
    yield Bad("JSON nested 100,000 deep", PRETRAIN, "a.jsonl:41", {"t/a.jsonl": MANY + "[" * 100_000 + "\n"})
    yield Bad("a gzip file that is none", PRETRAIN, "a.txt.gz", {"t/a.txt.gz": b"abc"})
    cut = gzip.compress(b"the sea " * 9000)
    yield Bad("a gzip file that is cut", PRETRAIN, "a.txt.gz", {"t/a.txt.gz": cut[: len(cut) // 2]})
    bomb = gzip.compress(b"the " * (100 << 20), 9)
    yield Bad("a gzip bomb", PRETRAIN, "a.txt.gz", {"t/a.txt.gz": bomb})
    yield Bad("a zstd file that is none", PRETRAIN, "a.jsonl.zst", {"t/a.jsonl.zst": b"abc"})
    yield Bad("a Parquet file that is none", PRETRAIN, "a.parquet", {"t/a.parquet": b"PAR1abcPAR1"})
    yield Bad("a csv without the column", PRETRAIN, "a.csv", {"t/a.csv": "x,y\n" + "1,2\n" * 99})
    yield Bad("a pipe", ("pretrain", "{here}/p", "--name", "x"), "/p", lay=lambda here: os.mkfifo(here / "p"))
    yield Bad("a device", ("pretrain", "/dev/zero", "--name", "x"), "/dev/zero")
    yield Bad(
        "a broken link", ("pretrain", "{here}/l", "--name", "x"), "/l", lay=lambda here: (here / "l").symlink_to("no")
    )
    yield Bad(
        "links in a circle",
        ("pretrain", "{here}/l", "--name", "x"),
        "/l",
        lay=lambda here: (here / "l").symlink_to("l"),
    )
    yield Bad("a name that is too long", ("pretrain", "x" * 300, "--name", "x"), "xxx")
    yield Bad("a NUL in a path", ("pretrain", "a\0b", "--name", "x"), "a")
    yield Bad("no text", ("pretrain", "--name", "x"), "text")
    yield Bad("an empty word for a text", ("pretrain", "", "--name", "x"), "empty")


def _tomls() -> Iterator[Bad]:
    for name, content, names in (
        ("no TOML", "[model\n", "bad.toml"),
        ("no UTF-8", '[model]\nnorm = "\\uD800"\n', "bad.toml"),
        ("an unknown section", "[modle]\nemb_dim = 8\n", "modle"),
        ("an unknown key", "[model]\nemb_dmi = 8\n", "emb_dmi"),
        ("a number for a section", "model = 1\n", "model"),
        ("a list for a section", "model = [1]\n", "model"),
        ("a date for steps", "[training]\nsteps = 2020-01-01\n", "steps"),
        ("5,000 digits", f"[training]\nsteps = {'9' * 5000}\n", "bad.toml"),
        ("heads that do not divide", "[model]\nemb_dim = 30\nn_heads = 4\n", "emb_dim=30"),
        ("no layers", "[model]\nn_layers = 0\n", "n_layers"),
        ("a dropout of one", "[model]\ndrop_rate = 1.0\n", "drop_rate"),
        ("NaN", "[optimizer]\nlr = nan\n", "lr"),
        ("a text for a number", '[optimizer]\nlr = "1e-4"x\n', "bad.toml"),
        ("a key twice", "[model]\nn_layers = 1\nn_layers = 2\n", "bad.toml"),
        ("a key of 20,000 dots", "a" + ".a" * 20_000 + " = 1\n", "bad.toml"),
        ("a bomb of brackets", "a = " + "[" * 20_000 + "\n", "bad.toml"),
        ("too large for any memory", "[model]\nemb_dim = 1048576\nn_layers = 1024\nn_heads = 64\n", "TiB"),
    ):
        yield Bad(f"settings with {name}", TOML, names, _toml(content))
    yield Bad("settings that are not there", TOML, "bad.toml")
    yield Bad("settings that are a folder", TOML, "bad.toml", lay=lambda here: (here / "bad.toml").mkdir())


def _words() -> Iterator[Bad]:
    for words, names in (
        (("pretrian",), "pretrian"),
        (("pretrain", "{text}", "--nosuch", "1"), "--nosuch"),
        (("pretrain", "{text}", "--preset", "gpt5"), "gpt5"),
        (("pretrain", "{text}", "--minutes", "-1"), "minutes"),
        (("pretrain", "{text}", "--minutes", "nan"), "nan"),
        (("pretrain", "{text}", "--minutes", "soon"), "soon"),
        (("pretrain", "{text}", "--device", "tpu"), "tpu"),
        (("pretrain", "{text}", "--name", "../x"), "../x"),
        (("pretrain", "{text}", "--name", ""), "''"),
        (("pretrain", "{text}", "--from", "nosuch"), "nosuch"),
        (("pretrain", "{text}", "--on-bad", "cry"), "cry"),
        (("pretrain", "{text}", "--fork", "{run}"), "--fork"),
        (("pretrain", "--fork", "{run}@7", "--name", "x"), "7"),
        (("pretrain", "--fork", "nosuch"), "nosuch"),
        (("pretrain", "--resume", "nosuch"), "nosuch"),
        (("pretrain", "--resume", "{run}", "--model.n-layers", "3"), "n_layers"),
        (("pretrain", "--resume", "{run}", "{run}"), "2"),
        (("prepare", "nosuch"), "nosuch"),
        (("prepare",), "text"),
        (("generate", "nosuch", "x"), "nosuch"),
        (("generate", "{run}", "x", "--temperature", "nan"), "nan"),
        (("generate", "{run}", "x", "--temperature", "-1"), "temperature"),
        (("generate", "{run}", "x", "--top-k", "-3"), "top_k"),
        (("generate", "{run}", "x", "--top-p", "2"), "top_p"),
        (("generate", "{run}", "x", "--max-new-tokens", "1000000000000"), "1,000,000,000,000"),
        (("generate", "{run}", "x", "--copies", "1000000000"), "1,000,000,000"),
        (("generate", "{run}", "x", "--weights", "int3"), "int3"),
        (("evaluate", "nosuch"), "nosuch"),
        (("evaluate", "{run}", "nosuch.txt"), "nosuch.txt"),
        (("evaluate", "{run}", "--stride", "0"), "stride"),
        (("evaluate", "{run}", "--task", "nosuch"), "nosuch"),
        (("evaluate", "{run}", "--max-tokens", "-5"), "max_tokens"),
        (("report", "nosuch"), "nosuch"),
        (("report", "{text}"), "texts"),
        (("runs", "diff", "{run}", "nosuch"), "nosuch"),
        (("runs", "show", "nosuch"), "nosuch"),
        (("runs", "rm", "nosuch", "--yes"), "nosuch"),
        (("runs", "rm"), "rm"),
        (("runs", "prune", "nosuch", "--yes"), "nosuch"),
        (("runs", "nosuch"), "nosuch"),
        (("compare", "{run}"), "two"),
        (("compare", "{run}", "nosuch"), "nosuch"),
        (("export", "docx", "{run}", "out"), "docx"),
        (("export", "hf", "nosuch", "out"), "nosuch"),
        (("export", "hf", "{run}", "{text}"), "texts"),
        (("export", "gguf", "{run}", "out", "--dtype", "q1"), "q1"),
        (("plan", "--preset", "nosuch"), "nosuch"),
        (("config", "nosuch"), "nosuch"),
        (("finetune",), "examples"),
        (("finetune", "{run}", "nosuch.jsonl"), "nosuch.jsonl"),
        (("finetune", "nosuch", "rows.jsonl"), "nosuch"),
        (("finetune", "--resume", "{run}"), "run"),
        (("tune", "nosuch"), "nosuch"),
        (("tune", "--resume", "{run}"), "run"),
        (("classify", "{run}", "nosuch.csv"), "nosuch.csv"),
        (("serve", "nosuch"), "nosuch"),
        (("serve", "{run}", "--port", "99999999"), "99999999"),
        (("log", "nosuch", "--to", "tensorboard"), "nosuch"),
        (("lens", "nosuch"), "nosuch"),
        (("lens", "ledger", "nosuch"), "nosuch"),
        (("lens", "explain", "import os"), "import"),
        (("lens", "explain", "__import__('os').system('touch ran')"), "system"),
        (("lens", "explain", "torch.zeros(10**12)"), "10"),
        (("lens", "verify", "network", "--seed", "1" + "0" * 30), "seed"),
        (("cache", "--folder", "{text}/00.txt"), "00.txt"),
    ):
        yield Bad(" ".join(words)[:60], words, names)


def _taught() -> Iterator[Bad]:
    question, answer = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    for name, rows, names in (
        ("no turn of the assistant", _rows(*GOOD, {"messages": [question]}), "rows.jsonl:13"),
        ("roles out of order", _rows(*GOOD, {"messages": [answer, question]}), "rows.jsonl:13"),
        ("an unknown role", _rows(*GOOD, {"messages": [{**question, "role": "king"}]}), "king"),
        ("an empty prompt", _rows(*GOOD, {"prompt": "", "completion": "x"}), "rows.jsonl:13"),
        ("empty texts", _rows(*[{"text": ""}] * 3), "rows.jsonl:1"),
        ("one row", _rows(GOOD[0]), "two"),
        ("malformed JSON", _rows(GOOD[0]) + '{"prompt": \n', "rows.jsonl:2"),
        ("a number for a text", _rows(*GOOD, {"prompt": 3, "completion": "x"}), "rows.jsonl:13"),
        ("unknown columns", _rows({"q": "a"}), "rows.jsonl:1"),
        ("nothing", "", "rows.jsonl"),
    ):
        yield Bad(f"rows with {name}", TEACH, names, {"rows.jsonl": rows})


def _models() -> Iterator[Bad]:
    for name, content, names in (
        ("no JSON", "{", "config.json"),
        ("a list", "[]", "config.json"),
        ("an unknown family", '{"model_type": "nosuch"}', "nosuch"),
        ("a list for a family", '{"model_type": ["gpt2"]}', "config.json"),
        ("nothing of the shape", '{"model_type": "gpt2"}', ""),
        ("JSON nested deep", "[" * 100_000, "config.json"),
    ):
        yield Bad(f"config.json with {name}", WRITE, names, {"hf/config.json": content})
    shape = {"model_type": "gpt2", "n_embd": 32, "n_head": 2, "n_layer": 2, "n_positions": 32, "vocab_size": 300}
    bad: tuple[tuple[str, Any], ...] = (
        *(("vocab_size", value) for value in (2_000_000_000, 10**15, -1, 0, "x", None, 1.5)),
        *(("n_embd", 1_000_000), ("n_embd", 31), ("n_embd", 0), ("n_embd", [])),
        *(("n_layer", 10**9), ("n_layer", 0), ("n_layer", -3), ("n_layer", {})),
        *(("n_positions", value) for value in (10**12, 0, "y")),
        *(("n_head", value) for value in (5, 0, 10**9)),
    )
    for key, value in bad:
        content = json.dumps({**shape, key: value})
        yield Bad(f"config.json with {key}={value!r}", WRITE, "", {"hf/config.json": content})
    for name, content in (
        ("no JSON", "{"),
        ("another kind", '{"model": {"type": "Unigram", "vocab": []}}'),
        ("no merges", '{"model": {"type": "BPE", "vocab": {"a": 0}}}'),
        ("null", "null"),
        ("nested deep", "[" * 100_000),
        ("nothing", "absent"),
    ):
        yield Bad(f"tokenizer.json with {name}", WRITE, "tokenizer", {"hf/tokenizer.json": content})
    for name, weights in _bad_weights().items():
        names = "wte.weight" if "tensor" in name else "safetensors"
        yield Bad(f"weights with {name}", WRITE, names, {"hf/model.safetensors": weights})


def _bad_weights() -> dict[str, bytes]:
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    return {
        "nothing": b"",
        "a length beyond the file": _safetensors(b"{}", 2**40),
        "a header that is no JSON": _safetensors(b"{{{{"),
        "a header that is a list": _safetensors(b"[]"),
        "a header nested deep": _safetensors(b"[" * 100_000),
        "no tensors": _safetensors(b"{}"),
        "another tensor": _safetensors(json.dumps({"a": entry}).encode()) + b"\0" * 8,
        "offsets beyond the file": _safetensors(json.dumps({"a": {**entry, "data_offsets": [0, 2**40]}}).encode()),
        "offsets backwards": _safetensors(json.dumps({"a": {**entry, "data_offsets": [8, 0]}}).encode()) + b"\0" * 8,
        "a pickle": b"\x80\x04\x95cposix\nsystem\n(S'touch ran'\ntR.",
        "an unknown type": _safetensors(json.dumps({"a": {**entry, "dtype": "F33"}}).encode()) + b"\0" * 8,
    }


def _tensors() -> Iterator[Bad]:
    header = b"\x93NUMPY\x01\x00" + struct.pack("<H", 64)
    evil = b"{'descr': '<f8', 'shape': (__import__('os').system('touch ran'),)}"
    for name, content in (
        ("an empty .npy", b""),
        ("a .npy that is cut", header + b"{'descr': '<f8', "),
        ("code in a .npy header", header + evil.ljust(64)[:64]),
        ("objects in a .npy", _objects()),
    ):
        yield Bad(name, ("lens", "tensor", "{here}/a.npy"), "a.npy", {"a.npy": content})
    yield Bad("a .npz bomb", ("lens", "tensor", "{here}/a.npz"), "a.npz", {"a.npz": _npz_bomb()})
    yield Bad("a .pt file", ("lens", "tensor", "{here}/a.pt"), "a.pt", {"a.pt": b"\x80\x04cposix\nsystem\n."})


def _objects() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return stream.getvalue()
