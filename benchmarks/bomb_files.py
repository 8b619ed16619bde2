"""Files that are small and promise to be huge, each with the command that a person would give it to."""

import bz2
import gzip
import io
import json
import lzma
import struct
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import zstandard
from safetensors.numpy import save_file

from chainrule.tokenizer.check import ALPHABET

MIB = 1 << 20
Maker = Callable[[Path], list[str]]
"""Makes the file of that name, and gives the words of the command."""
Bomb = Callable[[], Maker]
"""A bomb, which is made when it is asked for."""
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def prepared(path: Path) -> list[str]:
    """To read one text."""
    return ["prepare", str(path), "--machine.cache", str(path.parent / "cache"), "--vocabulary.kind", "bytes"]


def trained(path: Path) -> list[str]:
    """To train on it."""
    return ["pretrain", str(path), "--name", "x", "--preset", "cpu-small", "--training.steps", "1"]


def text(content: bytes, words: Callable[[Path], list[str]] = prepared) -> Maker:
    """A file of these bytes."""

    def make(path: Path) -> list[str]:
        path.write_bytes(content)
        return words(path)

    return make


def packed(
    part: bytes, times: int, *, head: bytes = b"", tail: bytes = b"", words: Callable[[Path], list[str]] = prepared
) -> Maker:
    """A gzip file of `head` and so many times `part`, written piece by piece."""

    def make(path: Path) -> list[str]:
        block = part * max(1, MIB // len(part))
        with gzip.open(path, "wb", 9) as stream:
            stream.write(head)
            for _ in range(max(1, times * len(part) // len(block))):
                stream.write(block)
            stream.write(tail)
        return words(path)

    return make


def unpacked(part: bytes, n_bytes: int, *, head: bytes = b"", tail: bytes = b"") -> Maker:
    """A file that is really that large on the disk."""

    def make(path: Path) -> list[str]:
        block = part * max(1, MIB // len(part))
        with path.open("wb") as stream:
            stream.write(head)
            for _ in range(n_bytes // len(block)):
                stream.write(block)
            stream.write(tail)
        return prepared(path)

    return make


def archive(entries: Iterable[tuple[str, bytes, int]]) -> Maker:
    """A zip archive: names, a part, and how often it stands there."""

    def make(path: Path) -> list[str]:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            for name, part, times in entries:
                with made.open(name, "w", force_zip64=True) as stream:
                    each = max(1, MIB // max(1, len(part)))
                    for _ in range(times // each):
                        stream.write(part * each)
                    stream.write(part * (times % each))
        return prepared(path)

    return make


def word(part: bytes, times: int, *more: tuple[str, bytes, int]) -> Maker:
    """A .docx whose text is that part, so often."""
    return archive([("[Content_Types].xml", b"<Types/>", 1), *more, ("word/document.xml", part, times)])


def word_of(part: str, times: int) -> Maker:
    """The same, as whole XML."""
    body = f"<w:document {W}><w:body>".encode() + part.encode() * times + b"</w:body></w:document>"
    return word(body, 1)


def book(chapters: int, part: bytes, times: int) -> Maker:
    """An .epub whose one chapter is called so often."""
    package = (
        '<package><manifest><item id="a" href="a.html" media-type="text/html"/></manifest><spine>'
        + '<itemref idref="a"/>' * chapters
        + "</spine></package>"
    )
    container = '<container><rootfiles><rootfile full-path="p.opf"/></rootfiles></container>'
    return archive(
        [
            ("mimetype", b"application/epub+zip", 1),
            ("META-INF/container.xml", container.encode(), 1),
            ("p.opf", package.encode(), 1),
            ("a.html", part, times),
        ]
    )


def pdf(objects: dict[int, bytes], root: int = 1) -> bytes:
    """A PDF of these objects."""
    out = io.BytesIO(b"%PDF-1.7\n")
    out.seek(0, 2)
    places = {}
    for number, content in objects.items():
        places[number] = out.tell()
        out.write(b"%d 0 obj\n" % number + content + b"\nendobj\n")
    start, size = out.tell(), max(objects) + 1
    out.write(b"xref\n0 %d\n" % size + b"0000000000 65535 f \n")
    for number in range(1, size):
        out.write(b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 65535 f \n")
    out.write(b"trailer\n<< /Size %d /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, root, start))
    return out.getvalue()


def stream(content: bytes, extra: bytes = b"", *, flate: int = 1) -> bytes:
    """A stream object, deflated so many times."""
    import zlib

    for _ in range(flate):
        content = zlib.compress(content, 9)
    filters = b"/Filter [" + b"/FlateDecode " * flate + b"]" if flate else b""
    return b"<< /Length %d %s %s >>\nstream\n" % (len(content), filters, extra) + content + b"\nendstream"


CATALOG, FONT = b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
PAGE = b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F 5 0 R >> %s >> >>"


def one_page(content: bytes, more: dict[int, bytes] | None = None, resources: bytes = b"", font: bytes = FONT) -> bytes:
    """A PDF of one page with that content stream."""
    pages = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    return pdf({1: CATALOG, 2: pages, 3: PAGE % resources, 4: content, 5: font, **(more or {})})


def many_pages(times: int, content: bytes = b"BT /F 9 Tf (a) Tj ET") -> bytes:
    """One page, named so often."""
    pages = b"<< /Type /Pages /Kids [" + b"3 0 R " * times + b"] /Count %d >>" % times
    return pdf({1: CATALOG, 2: pages, 3: PAGE % b"", 4: stream(content), 5: FONT})


def page_tree(levels: int, kids: int) -> bytes:
    """Nodes that name the node below many times: kids ** levels pages."""
    objects = {1: CATALOG, 3: PAGE % b"", 4: stream(b"BT /F 9 Tf (a) Tj ET"), 5: FONT}
    numbers = [2, *range(10, 10 + levels - 1)]
    for at, number in enumerate(numbers):
        below = numbers[at + 1] if at + 1 < levels else 3
        objects[number] = b"<< /Type /Pages /Kids [" + b"%d 0 R " % below * kids + b"] /Count %d >>" % kids**levels
    return pdf(dict(sorted(objects.items())))


def looping_pages() -> bytes:
    """A node that is its own child."""
    return pdf({1: CATALOG, 2: b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 /Parent 2 0 R >>"})


def deep_pages(depth: int) -> bytes:
    """Nodes in each other."""
    objects = {1: CATALOG, 3: PAGE % b"", 4: stream(b"BT /F 9 Tf (a) Tj ET"), 5: FONT}
    numbers = [2, *range(10, 10 + depth)]
    for at, number in enumerate(numbers):
        below = numbers[at + 1] if at + 1 < len(numbers) else 3
        objects[number] = b"<< /Type /Pages /Kids [%d 0 R] /Count 1 >>" % below
    return pdf(dict(sorted(objects.items())))


def nested_forms(levels: int, times: int) -> bytes:
    """Forms that draw the next one many times."""
    more = {}
    for level in range(levels):
        below = b"" if level + 1 == levels else b"/Resources << /XObject << /X %d 0 R >> >>" % (11 + level)
        drawn = b"BT /F 9 Tf (a) Tj ET" if level + 1 == levels else b"/X Do " * times
        more[10 + level] = stream(drawn, b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] " + below)
    return one_page(stream(b"/X Do " * times), more, b"/XObject << /X 10 0 R >>")


def forms_on_pages(times: int) -> bytes:
    """One page with forms in forms, named so often."""
    whole = nested_forms(4, 10)
    return whole.replace(b"/Kids [3 0 R] /Count 1", b"/Kids [" + b"3 0 R " * times + b"] /Count %d" % times)


def mapped_font() -> bytes:
    """A font whose map to Unicode has one range of four billion."""
    cmap = b"1 begincodespacerange <00000000> <ffffffff> endcodespacerange\n1 beginbfrange\n"
    cmap += b"<00000000> <ffffffff> <0041>\nendbfrange\n"
    font = b"<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding /Identity-H /ToUnicode 6 0 R /DescendantFonts [] >>"
    return one_page(stream(b"BT /F 9 Tf <00000041> Tj ET"), {6: stream(cmap)}, font=font)


def object_streams(levels: int) -> bytes:
    """An array in an array, and so on."""
    return one_page(stream(b"BT /F 9 Tf (a) Tj ET"), {6: b"[" * levels + b"]" * levels}, b"/X 6 0 R")


def inline_picture() -> bytes:
    """A picture in a page of terabytes."""
    return one_page(
        stream(b"BI /W 1000000 /H 1000000 /BPC 8 /CS /RGB ID " + b"\0" * 1000 + b" EI BT /F 9 Tf (a) Tj ET")
    )


def parquet(rows: int, value: Any, *, nested: bool = False, group: int = 0, dictionary: bool = True) -> Maker:
    """A table of so many equal values."""

    def make(path: Path) -> list[str]:
        kind = pyarrow.list_(pyarrow.string()) if nested else pyarrow.string()
        chunk = pyarrow.table({"text": pyarrow.array([value], kind)})
        each = min(rows, group or 1 << 20)
        one = chunk.take(pyarrow.array(np.zeros(each, "i8"))) if value is None or len(value) < 1000 else None
        if one is None:
            indices = pyarrow.array(np.zeros(each, "i4"))
            one = pyarrow.table({"text": pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array([value]))})
        with pyarrow.parquet.ParquetWriter(
            path, one.schema, compression="zstd", use_dictionary=dictionary, dictionary_pagesize_limit=1 << 30
        ) as writer:
            for _ in range(max(1, rows // each)):
                writer.write_table(one, row_group_size=each)
        return prepared(path)

    return make


ADAPTED = "lora_A.weight"
MODEL: dict[str, Any] = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 257}
MODEL |= {"n_embd": 16, "n_head": 2, "n_layer": 1, "n_positions": 32}


def model(*, words: Callable[[Path], list[str]] | None = None, **files: bytes) -> Maker:
    """A whole model's folder in which these files are others; the name of a file has __ for its dot."""

    def make(path: Path) -> list[str]:
        path.mkdir()
        (path / "config.json").write_text(json.dumps(MODEL))
        save_file({name: np.zeros(shape, "f4") for name, shape in _shapes().items()}, path / "model.safetensors")
        (path / "tokenizer.json").write_bytes(tokenizer({}, []))
        for name, content in files.items():
            (path / name.replace("__", ".")).write_bytes(content)
        return words(path) if words else ["generate", str(path), "a" * 40, "--max-new-tokens", "1"]

    return make


def _shapes() -> dict[str, tuple[int, ...]]:
    """The tensors that the settings promise."""
    block = {"ln_1": (16,), "ln_2": (16,), "attn.c_attn": (16, 48), "attn.c_proj": (16, 16)}
    block |= {"mlp.c_fc": (16, 64), "mlp.c_proj": (64, 16)}
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (257, 16), "wpe.weight": (32, 16)}
    for name, shape in {"ln_f": (16,), **{f"h.0.{inner}": shape for inner, shape in block.items()}}.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[-1:]}
    return shapes


def tokenizer(more: dict[str, int], merges: list[list[str]], **parts: Any) -> bytes:
    """A tokenizer.json of all bytes and these entries, with other parts where they are given."""
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    vocabulary = {letter: number for number, letter in enumerate([*sorted(ALPHABET), "<|endoftext|>"])}
    end = {"id": 256, "content": "<|endoftext|>", "special": True}
    end |= dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    document = {"version": "1.0", "added_tokens": [end], "normalizer": None, "pre_tokenizer": level, "decoder": level}
    document |= {"model": {"type": "BPE", "vocab": {**vocabulary, **more}, "merges": merges}}
    return json.dumps(document | parts).encode()


def added(n_tokens: int) -> bytes:
    """A tokenizer.json of so many control tokens."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}
    return tokenizer(
        {},
        [],
        added_tokens=[{"id": 256 + n, "content": f"<{n}>" if n else "<|endoftext|>", **flags} for n in range(n_tokens)],
    )


def split_by(expression: str, times: int = 1) -> bytes:
    """A tokenizer.json whose words are told by that expression."""
    split = {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return tokenizer({}, [], pre_tokenizer={"type": "Sequence", "pretokenizers": [split] * times + [level]})


def sequences(depth: int) -> bytes:
    """A tokenizer.json whose normalizers stand in each other."""
    whole = tokenizer({}, [], normalizer="NESTED").decode()
    nested = '{"type": "Sequence", "normalizers": [' * depth + '{"type": "NFC"}' + "]}" * depth
    return whole.replace('"NESTED"', nested).encode()


def adapter(**changed: Any) -> Maker:
    """An adapter's folder with these settings, put on a model beside it."""

    def make(path: Path) -> list[str]:
        base = path.parent / "base"
        model()(base)
        path.mkdir()
        settings = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["attn.c_attn"]} | changed
        (path / "adapter_config.json").write_text(json.dumps(settings))
        tensors = {f"base_model.model.transformer.h.0.attn.c_attn.{ADAPTED}": np.zeros((4, 16), "f4")}
        save_file(tensors, path / "adapter_model.safetensors")
        return ["export", "hf", str(base), str(path.parent / "out"), "--adapter", str(path)]

    return make


def gpt2_words(encoder: bytes, merges: bytes) -> Maker:
    """A folder of GPT-2's vocabulary under Hugging Face's names, each of them so many times this part."""

    def make(path: Path) -> list[str]:
        path.mkdir()
        for name, part in (("vocab.json", encoder), ("merges.txt", merges)):
            unpacked(part, 1 << 30)(path / name)
        (path.parent / "text.txt").write_text("Once upon a time.\n" * 10_000)
        return [*prepared(path.parent / "text.txt")[:-2], "--vocabulary.kind", "gpt2", "--vocabulary.path", str(path)]

    return make


def talked(path: Path) -> list[str]:
    """To say a word to it, with its own template."""
    return ["chat", str(path), "--max-new-tokens", "1"]


def template(source: str) -> Maker:
    """The model with a chat template."""
    return model(chat_template__jinja=source.encode(), words=talked)


def config(**changed: Any) -> Maker:
    """The same with other settings."""
    return model(config__json=json.dumps(MODEL | changed).encode())


def listed(part: bytes, n_bytes: int) -> bytes:
    """A JSON array of one part, again and again."""
    return b'{"a":[' + b",".join([part] * (n_bytes // (len(part) + 1))) + b"]}"


def words_of(n: int, *, merges: bool = True) -> bytes:
    """A tokenizer.json of so many short entries, each made of one before it and a letter."""
    names = [f"{number:x}" for number in range(n)]
    pairs = [[name[:-1], name[-1]] for name in names if len(name) > 1] if merges else []
    return tokenizer({name: 257 + at for at, name in enumerate(names) if len(name) > 1}, pairs)


def gguf(body: bytes, n_pairs: int = 1, n_tensors: int = 0) -> Maker:
    """A GGUF file of these entries."""

    def make(path: Path) -> list[str]:
        path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, n_tensors, n_pairs) + body)
        return ["generate", str(path), "a"]

    return make


def gguf_lists(n_lists: int, length: int) -> Maker:
    """Lists of texts without a letter, many of them."""
    inner = struct.pack("<IIQ", 9, 8, length) + bytes(8 * length)
    pairs = b"".join(struct.pack("<Q", 7) + b"%07d" % number + inner for number in range(n_lists))
    return gguf(pairs, n_lists)


def toml(content: str) -> Maker:
    """A file of settings."""

    def make(path: Path) -> list[str]:
        path.write_text(content)
        return ["config", "show", str(path)]

    return make


def xz(n_bytes: int) -> Maker:
    """Words, xz, as streams one after the other."""
    return text(lzma.compress(b"the " * (16 * MIB // 4), preset=0) * (n_bytes // (16 * MIB)))


def bz2_of(n_bytes: int) -> Maker:
    """Words, bz2, as streams one after the other."""
    return text(bz2.compress(b"the " * (16 * MIB // 4)) * (n_bytes // (16 * MIB)))


def zst(part: bytes, times: int) -> Maker:
    """Letters, zstd."""

    def make(path: Path) -> list[str]:
        path.write_bytes(zstandard.ZstdCompressor(level=3).compress(part * times))
        return prepared(path)

    return make
