"""The readers of foreign bytes, each with sound inputs from which edits begin."""

import bz2
import gzip
import io
import json
import lzma
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import zstandard
from pydantic import ValidationError

from chainrule.checkpoint import (
    load_checkpoint,
    open_model,
    read_metadata,
    read_tensors,
    save_checkpoint,
    to_hugging_face,
    write_gguf,
    write_tensors,
)
from chainrule.config import Config, Layer, ModelConfig, TextConfig, load_toml, resolve, to_toml
from chainrule.data import all_documents, open_dataset
from chainrule.model import GPT
from chainrule.run import RunFolder, read_facts, read_rows
from chainrule.serve.asked import ChatRequest, CompletionRequest, TokenizeRequest
from chainrule.serve.bodies import strict_json
from chainrule.serve.errors import ApiError
from chainrule.tokenizer import Tokenizer, chat_template, load_tokenizer, train_bpe
from chainrule.train import pretrain


@dataclass(frozen=True)
class Target:
    """A reader of bytes, sound inputs, and the errors besides ours by which it may refuse."""

    name: str
    seeds: list[bytes]
    read: Callable[[bytes], object]
    allowed: tuple[type[Exception], ...] = ()


@cache
def words() -> Tokenizer:
    """A small vocabulary."""
    return train_bpe(["Once upon a time there were 12345 quick foxes, and it's said they didn't jump. " * 9], 300)


@cache
def model() -> GPT:
    """A small model of the modern kind."""
    torch.manual_seed(0)
    sizes = {"context_length": 16, "emb_dim": 16, "n_heads": 2, "n_kv_heads": 1, "n_layers": 1, "drop_rate": 0.0}
    kind = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False}
    return GPT(ModelConfig(vocab_size=words().vocab_size, **{**sizes, **kind}))


@cache
def _trained() -> "tempfile.TemporaryDirectory[str]":
    """Holds a trained run of two steps, as long as the process lives."""
    held = tempfile.TemporaryDirectory()
    text = Path(held.name) / "text.txt"
    text.write_text("".join(f"Story {n}: the {n % 7} foxes met {n * 3 % 11} dogs.\n" for n in range(200)))
    layer: dict[str, dict[str, Any]] = {
        "model": {"vocab_size": 257, "context_length": 16, "emb_dim": 8, "n_heads": 1, "n_layers": 1},
        "vocabulary": {"kind": "bytes"},
        "text": {"paths": [str(text)]},
        "training": {"steps": 2, "batch_tokens": 32, "eval_tokens": 32, "sample_tokens": 2, "health_every": 1},
        "machine": {"device": "cpu", "precision": "float32", "threads": 1},
    }
    pretrain([Layer("fuzz", layer)], Path(held.name) / "run")
    return held


def tiny_run(folder: Path) -> RunFolder:
    """A trained run, to be spoilt."""
    return RunFolder(shutil.copytree(Path(_trained().name) / "run", folder / "run"))


def replacing(path: Path, read: Callable[[], object]) -> Callable[[bytes], object]:
    """A reader of what the file `path` then holds."""

    def replaced(content: bytes) -> object:
        path.write_bytes(content)
        return read()

    return replaced


def config(folder: Path) -> Target:
    """A TOML file of settings, and the way back."""
    path = folder / "config.toml"

    def read() -> None:
        resolved = resolve([load_toml(path)])
        path.write_text(to_toml(resolved.config), encoding="utf-8")
        assert resolve([load_toml(path)]).config == resolved.config, "what is written is read back"

    seeds = [to_toml(Config()).encode(), b'[text]\npaths = ["a", "b"]\n[model]\nn_layers = 2\n']
    return Target("config", seeds, replacing(path, read))


def _row_file(rows: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _zipped(files: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    pq.write_table(pa.table({"text": ["Once upon a time", "there was a fox"], "n": [1, 2]}), stream)
    return stream.getvalue()


def _texts() -> dict[str, bytes]:
    rows = _row_file([{"text": "Once upon a time"}, {"text": "a fox\nand a dog", "n": 3}])
    chat = _row_file([{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}])
    mail = b"From a@b Mon Jan  1 00:00:00 2024\nFrom: a@b\nSubject: h\xc3\xad =?utf-8?q?a?=\n"
    mail += b"Content-Type: text/plain\n\nOnce upon a time\n\n"
    cell = {"cell_type": "code", "source": ["print(1)\n"], "outputs": [], "metadata": {}}
    notebook = {"cells": [cell, {**cell, "cell_type": "markdown"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    body = "<w:document xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'><w:body><w:p><w:r><w:t>"
    word = _zipped({"word/document.xml": f"{body}Once upon</w:t></w:r></w:p></w:body></w:document>"})
    plain = b"Once upon a time.\n\nThere was a fox.\n<|endoftext|>\nAnd a dog.\n" * 20
    return {
        **{".txt": plain, ".jsonl": rows, ".json": json.dumps([json.loads(x) for x in rows.splitlines()]).encode()},
        **{".csv": b'text,n\n"Once, upon",1\n"a ""time""",2\n', ".tsv": b"text\tn\nOnce\t1\n", ".chat.jsonl": chat},
        **{".mbox": mail * 2, ".eml": mail, ".ipynb": json.dumps(notebook).encode(), ".docx": word, ".py": b"x = 1\n"},
        **{
            ".srt": b"1\n00:00:01,000 --> 00:00:02,000\nOnce upon a time\n\n",
            ".vtt": b"WEBVTT\n\n00:01.000 --> 00:02.000\nhi\n",
        },
        **{
            ".html": b"<html><body><p>Once <b>upon</b></p></body></html>",
            ".rtf": rb"{\rtf1\ansi Once upon \b a\b0  time}",
        },
        **{".txt.gz": gzip.compress(plain), ".txt.bz2": bz2.compress(plain), ".txt.xz": lzma.compress(plain)},
        **{".jsonl.zst": zstandard.compress(rows), ".parquet": _parquet()},
    }


def text(folder: Path) -> Target:
    """A file of text in any format: the first byte of the input chooses the name, the rest is its content."""
    known = _texts()
    suffixes = sorted(known)

    def read(content: bytes) -> int:
        suffix = suffixes[content[0] % len(suffixes)] if content else ".txt"
        path = folder / f"given{suffix}"
        path.write_bytes(content[1:])
        on_bad = ("error", "skip", "replace")[len(content) % 3]
        try:
            return sum(1 for _ in all_documents(TextConfig(paths=(str(path),), on_bad=on_bad), lambda reason: None))
        finally:
            path.unlink()

    return Target("text", [bytes([place]) + known[suffix] for place, suffix in enumerate(suffixes)], read)


def manifest(folder: Path) -> Target:
    """data/manifest.json of a run."""
    run = tiny_run(folder)
    path = run.data / "manifest.json"
    return Target("manifest", [path.read_bytes()], replacing(path, lambda: open_dataset(run.data)))


def shard(folder: Path) -> Target:
    """A token shard of a run, with and without its checksum looked at."""
    run = tiny_run(folder)
    path = next(one for one in sorted(run.data.iterdir()) if one.name.startswith("train"))

    def read() -> None:
        store = open_dataset(run.data, verify=False).split("train")
        store.n_tokens  # noqa: B018
        open_dataset(run.data)

    return Target("shard", [path.read_bytes()], replacing(path, read))


def checkpoint(folder: Path) -> Target:
    """A checkpoint of which one file, chosen by the first byte, is another."""
    place = save_checkpoint(folder, 1, {"model": dict(model().state_dict())}, {"progress": {"step": 1}})
    names = ("checkpoint.json", "state.json", "model.safetensors")
    sound = {name: (place / name).read_bytes() for name in names}

    def read(content: bytes) -> None:
        name = names[content[0] % 3 if content else 0]
        try:
            (place / name).write_bytes(content[1:])
            for verify in (True, False):
                load_checkpoint(place, verify=verify).tensors("model")
        finally:
            (place / name).write_bytes(sound[name])

    return Target("checkpoint", [bytes([n]) + sound[name] for n, name in enumerate(names)], read)


def tokenizer(folder: Path) -> Target:
    """A tokenizer.json, and a text through it."""
    path = folder / "tokenizer.json"
    words().save(path)

    def read() -> None:
        found = load_tokenizer(path)
        found.decode(found.encode("Once upon a time, 12 foxes"))

    return Target("tokenizer", [path.read_bytes()], replacing(path, read))


def journal(folder: Path) -> Target:
    """Rows of a run, read by all who look: one of its files, chosen by the first byte, is another."""
    run = tiny_run(folder)
    paths = [run.metrics, run.health, run.samples, run.events, run.phases, run.surprise, run.machine, run.summary]
    sound = {path: path.read_bytes() for path in paths if path.is_file()}
    there = list(sound)

    def read(content: bytes) -> None:
        path = there[content[0] % len(there) if content else 0]
        try:
            path.write_bytes(content[1:])
            list(read_rows(path))
            read_facts(run)
        finally:
            path.write_bytes(sound[path])

    return Target("journal", [bytes([n]) + sound[path] for n, path in enumerate(there)], read)


def safetensors(folder: Path) -> Target:
    """A file of tensors."""
    path = folder / "model.safetensors"
    with path.open("wb") as stream:
        write_tensors(stream, {"w": torch.ones(2, 3), "n": torch.tensor(4), "h": torch.ones(3).bfloat16()}, {"a": "b"})

    def read() -> None:
        read_metadata(path)
        read_tensors(path)

    return Target("safetensors", [path.read_bytes()], replacing(path, read))


def hf_folder(folder: Path) -> Target:
    """A model of Hugging Face's: config.json, tokenizer.json or the weights, by the first byte, are other ones."""
    described, tensors = to_hugging_face(model().config, dict(model().state_dict()))
    names = ("config.json", "tokenizer.json", "model.safetensors")
    (folder / names[0]).write_text(json.dumps(described))
    words().save(folder / names[1])
    with (folder / names[2]).open("wb") as stream:
        write_tensors(stream, tensors, {"format": "pt"})
    sound = {name: (folder / name).read_bytes() for name in names}

    def read(content: bytes) -> None:
        name = names[content[0] % 3 if content else 0]
        try:
            (folder / name).write_bytes(content[1:])
            open_model(folder)
        finally:
            (folder / name).write_bytes(sound[name])

    return Target("hf-folder", [bytes([n]) + sound[name] for n, name in enumerate(names)], read)


def gguf(folder: Path) -> Target:
    """A GGUF file."""
    path, seeds = folder / "model.gguf", []
    for kind in ("F32", "Q8_0"):
        write_gguf(path, model(), words(), kind)
        seeds.append(path.read_bytes())
        path.unlink()
    return Target("gguf", seeds, replacing(path, lambda: open_model(path)))


TEMPLATES = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "{{ bos_token }}{% set ns = namespace(x=0) %}{% for m in messages %}{% set ns.x = ns.x + loop.index0 %}"
    "{{ '[INST]' + m.content * 2 ~ ns.x }}{{ raise_exception('no') if m.role == 'tool' }}"
    "{% endfor %}{{ range(3) | list }}",
)


def template(folder: Path) -> Target:
    """A chat template, and a talk through it."""

    def read(content: bytes) -> None:
        made = chat_template(content.decode("utf-8", "replace"), words())
        made.encode(words(), [{"role": "user", "content": "hi <|im_end|>"}], reply=True)

    return Target("template", [one.encode() for one in TEMPLATES], read)


def body(folder: Path) -> Target:
    """The body of a request, of the kind that the first byte chooses; what the route answers with 400 is a refusal."""
    hi = {"role": "user", "content": "hi"}
    parts = {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    kinds = (ChatRequest, CompletionRequest, TokenizeRequest)
    seeds: list[tuple[int, dict[str, object]]] = [
        (0, {"model": "a", "messages": [hi], "max_tokens": 3, "stop": ["x"], "stream": True}),
        (0, {"messages": [parts], "response_format": {"type": "text"}, "temperature": 0.5}),
        (1, {"prompt": ["a", "b"], "n": 2, "top_p": 0.5, "logit_bias": {"3": -1.5}, "seed": 3, "logprobs": 2}),
        (2, {"prompt": "Once upon a time"}),
    ]

    def read(content: bytes) -> None:
        kinds[content[0] % len(kinds) if content else 0].model_validate(strict_json(content[1:]))

    given = [bytes([kind]) + json.dumps(seed).encode() for kind, seed in seeds]
    return Target("body", given, read, (ApiError, ValidationError))


TARGETS: dict[str, Callable[[Path], Target]] = {
    "config": config,
    "text": text,
    "shard": shard,
    "manifest": manifest,
    "checkpoint": checkpoint,
    "tokenizer": tokenizer,
    "journal": journal,
    "safetensors": safetensors,
    "hf-folder": hf_folder,
    "gguf": gguf,
    "template": template,
    "body": body,
}
