"""An export is what AutoModelForCausalLM and AutoTokenizer load and compute the same with, or it is not there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from chainrule.base import ConfigError, ExportError, MissingPackageError
from chainrule.checkpoint import OpenedModel, open_model, save_checkpoint
from chainrule.config import Config, ModelConfig, TextConfig, to_toml
from chainrule.data import survey, write_shards
from chainrule.export import export
from chainrule.export import hugging_face as exporting
from chainrule.export.unfinished import _host, unfinished_folder
from chainrule.generate import Temperature, generate
from chainrule.model import GPT
from chainrule.run import RunFolder
from chainrule.tokenizer import OWN_TEMPLATE, chat_template, load_tokenizer, train_bpe
from chainrule.tokenizer.train import byte_tokenizer

MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "n_kv_heads": 2}
LLAMA3 = {"rope_scaling": "llama3", "rope_factor": 8.0, "rope_original_context": 12}
FAMILIES = {
    "GPT2LMHeadModel": {},
    "LlamaForCausalLM": {**MODERN, "tied_embeddings": False, **LLAMA3},
    "Qwen3ForCausalLM": {**MODERN, "qk_norm": True, "rope_scaling": "linear", "rope_factor": 2.0},
}
FILES = {
    *("model.safetensors", "config.json", "generation_config.json"),
    *("tokenizer.json", "tokenizer_config.json", "README.md", "SHA256SUMS"),
}
SUMMARY = {
    **{"val_loss": 3.25, "val_perplexity": 25.8, "val_bits_per_byte": 1.5, "tokens": 12345, "seconds": 75.0},
    "baselines": {"unigram": 4.5, "bigram": 3.5, "gzip": 2.5, "xz": 2.25, "xz_seen": 2.0},
}


@pytest.fixture(scope="module", params=FAMILIES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make_run(tmp_path_factory.mktemp("runs") / "tale", FAMILIES[request.param])


def make_run(folder: Path, more: dict[str, Any]) -> RunFolder:
    """A run folder with real text, a tokenizer that learnt it, and a model of random weights."""
    run = RunFolder(folder)
    texts = folder.parent / "texts"
    texts.mkdir(exist_ok=True)
    for place in range(8):
        (texts / f"{place}.txt").write_text(
            f"Once upon a time there were {place} cats, and they said {place**9}.\n" * 3
        )
    found = survey(TextConfig(paths=(str(texts),), near_duplicates="keep", validation_share=0.3), run.data)
    words = train_bpe(found.texts("train"), 290)
    write_shards(found, words, run.data, context_length=24)
    shape = {"vocab_size": words.vocab_size, "context_length": 24, "emb_dim": 32, "n_heads": 4, "n_layers": 2}
    config = Config(model=ModelConfig(**shape, **more), text=TextConfig(paths=("/secret/place",)))
    run.config.write_text(to_toml(config))
    words.save(run.tokenizer)
    run.summary.write_text(json.dumps(SUMMARY))
    torch.manual_seed(0)
    model = GPT(config.model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.2)
    save_checkpoint(run.checkpoints, 10, {"model": model.state_dict()}, {}, [run.config, run.tokenizer])
    return run


def test_an_export_loads_without_custom_code_and_computes_the_same(run: RunFolder, tmp_path: Path) -> None:
    proof = export(run.path, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert proof.architecture in FAMILIES and proof.n_sequences == 8 and proof.folder == tmp_path / "out"
    assert proof.largest_difference <= 1e-5 * max(1, proof.largest_logit) and proof.n_greedy_tokens > 30
    opened = open_model(run.path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    words = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert theirs.dtype == torch.float32 and type(theirs).__name__ == proof.architecture
    text = "Once upon a time"
    written = theirs.generate(**words(text, return_tensors="pt"), max_new_tokens=10, do_sample=False)[0]
    ours = generate(opened.model, opened.tokenizer, [text], max_new_tokens=10, rules=[Temperature(0)])[0]
    assert words.decode(written, skip_special_tokens=True) == text + ours.text


def test_an_export_opens_here_again_and_exports_again(run: RunFolder, tmp_path: Path) -> None:
    export(run.path, tmp_path / "out")
    again = open_model(tmp_path / "out")
    ids = torch.arange(20)[None]
    with torch.no_grad():
        assert torch.allclose(again.model(ids), open_model(run.path).model(ids), rtol=0, atol=1e-5)
    assert again.tokenizer.fingerprint == open_model(run.path).tokenizer.fingerprint
    assert export(tmp_path / "out", tmp_path / "twice").n_sequences == 4


def test_transformers_writes_a_conversation_with_the_ids_that_ours_has(tmp_path: Path) -> None:
    chatting = byte_tokenizer().with_control_tokens(("<|im_start|>", "<|im_end|>"))
    template = chat_template(OWN_TEMPLATE, chatting)
    config = ModelConfig(vocab_size=chatting.vocab_size, context_length=64, emb_dim=16, n_heads=2, n_layers=1)
    export_room = tmp_path / "chat"
    export_room.mkdir()
    exporting.write_hugging_face(OpenedModel(GPT(config), chatting, config, "here", template=template), export_room)
    theirs = transformers.AutoTokenizer.from_pretrained(export_room)
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    told = theirs.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    marked = template.encode_marked(chatting, messages)
    assert told["input_ids"] == marked.ids
    assert [bool(yes) for yes in told["assistant_masks"]] == marked.generated
    ends = transformers.GenerationConfig.from_pretrained(export_room).eos_token_id
    assert ends == sorted(template.stop) == [chatting.end_of_text, chatting.control_tokens["<|im_end|>"]]


def test_ids_are_equal_for_any_text(run: RunFolder, tmp_path: Path) -> None:
    export(run.path, tmp_path / "out")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    ours = open_model(run.path).tokenizer
    for text in (
        "",
        "  two  spaces ",
        "tab\tnl\n\n\r\n",
        "émoji 👩‍👩‍👧 ＡＢＣ",
        "İstanbul ﬁ",
        "\x00\x7f",
        "don't I'LL",
    ):
        assert theirs(text)["input_ids"] == ours.encode(text)
        assert theirs.decode(ours.encode(text)) == text
    assert theirs.eos_token_id == ours.end_of_text and theirs.model_max_length == 24


def test_the_card_tells_metrics_data_and_proof(run: RunFolder, tmp_path: Path) -> None:
    export(run.path, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n") and "# tale" in card
    for fact in (
        "3.2500 nats",
        "1.5000",
        "| xz that has seen the training text, bits per byte | 2.0000 |",
        "12,345 tokens in 1 min 15 s",
        "| Files | 8 |",
    ):
        assert fact in card
    assert (
        re.search(r"differ from the trained model's by at most \d\.\de[-+]\d\d", card) and "those of step 10." in card
    )
    assert "emb_dim = 32" in card and "secret/place" not in card and str(run.path.parent) not in card


def test_a_checkpoint_of_the_run_exports_with_the_runs_facts(run: RunFolder, tmp_path: Path) -> None:
    export(run.checkpoints / "step-00000010", tmp_path / "out")
    assert "3.2500 nats" in (tmp_path / "out" / "README.md").read_text()


def test_an_export_that_computes_something_else_is_removed(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = exporting.write_tensors

    def off_by_a_little(stream: Any, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> str:
        name = next(name for name in tensors if name.endswith(("ln_f.weight", "model.norm.weight")))
        return honest(stream, {**tensors, name: tensors[name] * 1.001}, metadata)

    monkeypatch.setattr(exporting, "write_tensors", off_by_a_little)
    with pytest.raises(ExportError, match=r"logits differ by up to \d\.\d\de-\d\d"):
        export(run.path, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_export_with_another_vocabulary_is_removed(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = exporting._tokenizer_settings

    def swap(opened: Any, folder: Path) -> dict[str, Any]:
        settings = honest(opened, folder)
        saved = json.loads((folder / "tokenizer.json").read_text())
        vocab = saved["model"]["vocab"]
        vocab["a"], vocab["e"] = vocab["e"], vocab["a"]
        (folder / "tokenizer.json").write_text(json.dumps(saved))
        return settings

    monkeypatch.setattr(exporting, "_tokenizer_settings", swap)
    with pytest.raises(ExportError, match="transformers reads"):
        export(run.path, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_never_overwritten(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("x")
    for name in ("full", "file"):
        with pytest.raises(ConfigError, match="give the name of a new folder"):
            export(run.path, tmp_path / name)
    assert (tmp_path / "full" / "thesis.txt").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    export(run.path, tmp_path / "empty")
    assert {path.name for path in (tmp_path / "empty").iterdir()} == FILES


def test_a_shape_for_research_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    run = make_run(tmp_path / "odd", {"norm": "rmsnorm", "n_kv_heads": 2, "exportable": False})
    with pytest.raises(ConfigError, match=r"model\.exportable = false"):
        export(run.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert open_model(run.path).model(torch.zeros(1, 4, dtype=torch.long)).shape == (1, 4, 290)


def test_without_transformers_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'chainrule\[hf\]'"):
        export(tmp_path, tmp_path / "out")


def foreign_tokenizer(folder: Path, **changes: Any) -> Path:
    """A tokenizer.json as published ones are: words by an expression, control tokens, changed by `changes`."""
    words = train_bpe(["Once upon a time there were 12345 cats, and they said. " * 9], 290)
    words.save(folder / "tokenizer.json")
    document = json.loads((folder / "tokenizer.json").read_text())
    size = len(document["model"]["vocab"])
    control = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]
    document["added_tokens"] = [{"id": size + n, "content": name, **control} for n, name in enumerate(names)]
    del document["model"]["vocab"]["<|endoftext|>"]
    document["model"]["vocab"]["<unused>"] = size - 1
    document["added_tokens"].insert(0, {"id": size - 1, "content": "<unused>", **control})
    split = {
        "type": "Split",
        "pattern": {"Regex": r"\p{L}+| ?[^\s\p{L}]+|\s+"},
        "behavior": "Isolated",
        "invert": False,
    }
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    document["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, level]}
    document["decoder"] = level
    (folder / "tokenizer.json").write_text(json.dumps({**document, **changes}))
    return folder / "tokenizer.json"


def begins_with(number: int) -> dict[str, Any]:
    mark = {"SpecialToken": {"id": "<|begin_of_text|>", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    names = {"id": "<|begin_of_text|>", "ids": [number], "tokens": ["<|begin_of_text|>"]}
    return {
        "type": "TemplateProcessing",
        **{"single": [mark, text], "pair": [mark, text, text], "special_tokens": {"<|begin_of_text|>": names}},
    }


LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
BERT = {"type": "BertProcessing", "sep": ["<|end_of_text|>", 291], "cls": ["<|begin_of_text|>", 290]}
ROBERTA = {**BERT, "type": "RobertaProcessing", "trim_offsets": True, "add_prefix_space": False}


@pytest.mark.parametrize(
    "post",
    [begins_with(290), {"type": "Sequence", "processors": [LEVEL, begins_with(290)]}, BERT, ROBERTA, LEVEL, None],
    ids=["template", "llama 3", "bert", "roberta", "byte level", "none"],
)
@pytest.mark.parametrize("normalizer", [None, {"type": "NFC"}], ids=["as it is", "NFC"])
def test_every_tokenizer_that_training_takes_is_exported_with_the_ids_that_it_trained_on(
    tmp_path: Path, post: dict[str, Any] | None, normalizer: dict[str, Any] | None
) -> None:
    words = load_tokenizer(foreign_tokenizer(tmp_path, post_processor=post, normalizer=normalizer))
    assert words.kind == "file" and words.vocab_size == 293
    shape = {"vocab_size": words.vocab_size, "context_length": 24, "emb_dim": 32, "n_heads": 4, "n_layers": 1}
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    run.config.write_text(to_toml(Config(model=ModelConfig(**shape))))
    words.save(run.tokenizer)
    torch.manual_seed(0)
    model = GPT(ModelConfig(**shape))
    save_checkpoint(run.checkpoints, 1, {"model": model.state_dict()}, {}, [run.config, run.tokenizer])
    export(run.path, tmp_path / "out")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    text = "Once upon a time"
    assert theirs(text)["input_ids"] == words.encode(text) == load_tokenizer(tmp_path / "out").encode(text)
    assert theirs.eos_token_id == words.end_of_text and theirs.decode(words.encode(text)) == text


def test_what_a_killed_export_left_goes_at_the_next_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    left, living, foreign = (
        tmp_path / f".out.new-{name}"
        for name in (f"{_host()}-{int(ended.stdout)}-aa", f"{_host()}-{os.getpid()}-bb", "abcdef-1-cc")
    )
    for folder in (left, living, foreign, tmp_path / ".other.new-1-2-3"):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"half")
    with unfinished_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("whole")
    assert (tmp_path / "out" / "a").read_text() == "whole"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [living.name, foreign.name, ".other.new-1-2-3", "out"]
    )


def test_an_export_that_is_told_to_end_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from chainrule.export import target\n"
        "from chainrule.cli import main\n"
        "target.prove = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.exit(main(['export', 'hf', sys.argv[1], sys.argv[2]]))\n"
    )
    (tmp_path / "runs").mkdir()
    run = make_run(tmp_path / "runs" / "tale", {})
    ended = subprocess.run([sys.executable, "-c", code, run.path, tmp_path / "out"], capture_output=True)
    assert ended.returncode == 143
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]
