"""A model opens from every place that it can come from, and from no other."""

import ast
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file

import chainrule.checkpoint
from chainrule.base import ChainruleError, CheckpointError, ConfigError
from chainrule.checkpoint import OpenedModel, open_model, save_checkpoint, to_hugging_face
from chainrule.checkpoint.hub import hub_folder
from chainrule.checkpoint.open import best_checkpoint
from chainrule.config import Config, ModelConfig, to_toml
from chainrule.model import GPT
from chainrule.run import RunFolder, append_row
from chainrule.tokenizer import OWN_TEMPLATE, TEMPLATE_FILES, Tokenizer, chat_template, save_template
from chainrule.tokenizer.train import byte_tokenizer

SHAPE = {"vocab_size": 257, "context_length": 16, "emb_dim": 16, "n_heads": 2, "n_layers": 2}
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "qk_norm": True}


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return byte_tokenizer()


def network(seed: int, **more: Any) -> GPT:
    torch.manual_seed(seed)
    return GPT(ModelConfig(**{**SHAPE, **more}))


def make_run(folder: Path, words: Tokenizer, losses: dict[int, float | None]) -> RunFolder:
    """A run with a checkpoint for each step, the weights of step n being `network(n)`."""
    run = RunFolder(folder)
    run.path.mkdir(parents=True)
    run.config.write_text(to_toml(Config(model=ModelConfig(**SHAPE))))
    words.save(run.tokenizer)
    for step, loss in losses.items():
        save_checkpoint(run.checkpoints, step, {"model": network(step).state_dict()}, {}, [run.config, run.tokenizer])
        append_row(run.metrics, {"kind": "train", "step": step, "val_loss": 0.0})
        append_row(run.metrics, {"kind": "eval", "step": step, "val_loss": loss})
    return run


def make_hugging_face(folder: Path, words: Tokenizer, **more: Any) -> GPT:
    model = network(1, **more)
    settings, tensors = to_hugging_face(model.config, model.state_dict())
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(settings))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    words.save(folder / "tokenizer.json")
    return model


def shard(folder: Path) -> dict[str, str]:
    """Cuts model.safetensors into two files with an index."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    files = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    places = {name: files[number % 2] for number, name in enumerate(sorted(tensors))}
    for file in files:
        save_file({name: tensors[name] for name, place in places.items() if place == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return places


@torch.no_grad()
def same(opened: OpenedModel, model: GPT) -> bool:
    ids = torch.randint(257, (1, 16), generator=torch.Generator().manual_seed(0))
    assert not opened.model.training
    return torch.allclose(opened.model(ids), model.eval()(ids), rtol=0, atol=1e-6)


def test_a_run_opens_at_its_lowest_held_out_loss(tmp_path: Path, words: Tokenizer) -> None:
    run = make_run(tmp_path / "run", words, {10: 3.0, 20: 2.0, 30: 2.5})
    opened = open_model(str(run.path))
    assert same(opened, network(20)) and "step 20" in opened.origin and str(run.path) in opened.origin
    assert opened.tokenizer.fingerprint == words.fingerprint and opened.config == network(20).config


def test_a_run_without_a_held_out_loss_opens_at_its_newest(tmp_path: Path, words: Tokenizer) -> None:
    run = make_run(tmp_path / "run", words, {10: None, 20: None})
    assert best_checkpoint(run).step == 20


def test_a_run_whose_best_is_damaged_opens_at_the_newest_that_verifies(tmp_path: Path, words: Tokenizer) -> None:
    run = make_run(tmp_path / "run", words, {10: 1.0, 20: 2.0, 30: 3.0})
    for step in (10, 30):
        (run.checkpoints / f"step-000000{step}" / "model.safetensors").write_bytes(b"")
    assert best_checkpoint(run).step == 20
    (run.checkpoints / "step-00000020" / "state.json").unlink()
    with pytest.raises(CheckpointError, match=r"no checkpoint that can be used: .*model\.safetensors.*state\.json"):
        open_model(run.path)


def test_a_run_that_has_not_saved_yet_is_said(tmp_path: Path, words: Tokenizer) -> None:
    with pytest.raises(CheckpointError, match="before its first save"):
        open_model(make_run(tmp_path / "run", words, {}).path)


def test_a_run_can_be_moved(tmp_path: Path, words: Tokenizer) -> None:
    make_run(tmp_path / "here", words, {10: 3.0}).path.rename(tmp_path / "there")
    assert same(open_model(tmp_path / "there"), network(10))


def test_a_checkpoint_opens_by_itself(tmp_path: Path, words: Tokenizer) -> None:
    run = make_run(tmp_path / "run", words, {10: 1.0, 20: 2.0})
    shutil.copytree(run.checkpoints / "step-00000020", tmp_path / "alone")
    assert same(open_model(tmp_path / "alone"), network(20))


def test_opening_draws_no_random_numbers(tmp_path: Path, words: Tokenizer) -> None:
    run = make_run(tmp_path / "run", words, {10: 1.0})
    before = torch.get_rng_state()
    open_model(run.path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_checkpoint_of_another_shape_is_refused(tmp_path: Path, words: Tokenizer) -> None:
    run = make_run(tmp_path / "run", words, {10: 1.0})
    other = network(0, n_layers=3)
    save_checkpoint(run.checkpoints, 10, {"model": other.state_dict()}, {}, [run.config, run.tokenizer])
    with pytest.raises(CheckpointError, match=r"does not fit.*not in this model: blocks\.2\."):
        open_model(run.path)


def test_a_checkpoint_with_another_vocabulary_is_refused(tmp_path: Path, words: Tokenizer) -> None:
    run = make_run(tmp_path / "run", words, {})
    run.config.write_text(to_toml(Config(model=ModelConfig(**{**SHAPE, "vocab_size": 300}))))
    weights = network(0, vocab_size=300).state_dict()
    save_checkpoint(run.checkpoints, 10, {"model": weights}, {}, [run.config, run.tokenizer])
    with pytest.raises(CheckpointError, match="257 entries and the model 300"):
        open_model(run.path)


@pytest.mark.parametrize("more", [{}, {"tied_embeddings": False}, MODERN], ids=["gpt2", "untied", "qwen3"])
@pytest.mark.parametrize("sharded", [False, True])
def test_a_hugging_face_folder_opens_whole_or_in_shards(
    tmp_path: Path, words: Tokenizer, more: dict[str, Any], sharded: bool
) -> None:
    model = make_hugging_face(tmp_path / "hf", words, **more)
    if sharded:
        shard(tmp_path / "hf")
    assert same(open_model(tmp_path / "hf"), model)


def test_a_padded_vocabulary_is_accepted_and_one_too_large_refused(tmp_path: Path, words: Tokenizer) -> None:
    make_hugging_face(tmp_path / "padded", words, vocab_size=320)
    assert open_model(tmp_path / "padded").config.vocab_size == 320
    make_hugging_face(tmp_path / "small", words, vocab_size=256)
    with pytest.raises(CheckpointError, match="do not belong together"):
        open_model(tmp_path / "small")


def only_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")


def no_shard(folder: Path) -> None:
    shard(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()


def promise(folder: Path) -> None:
    places = shard(folder)
    places["transformer.more.weight"] = "model-00001-of-00002.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


def outside(folder: Path) -> None:
    shard(folder)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).write_bytes(content), None][1]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (only_pickle, r"a pickle.*save_pretrained"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights"),
        (lambda folder: (folder / "tokenizer.json").unlink(), r"no tokenizer\.json; copy"),
        (no_shard, "model-00002-of-00002.safetensors"),
        (promise, r"lacks transformer\.more\.weight"),
        (outside, "not a file of this folder"),
        (write("model.safetensors", b"\x80\x04."), "not a whole safetensors file"),
        (write("model.safetensors", b"\xff" * 64), "not a whole safetensors file"),
        (write("config.json", b"{"), "not valid JSON"),
        (write("config.json", b"[" * 10**5), "not valid JSON"),
        (write("config.json", b"[1]"), "no JSON object"),
        (write("config.json", b'{"model_type": "bert"}'), "known: gpt2"),
        (write("tokenizer.json", b"{}"), "tokenizer.json"),
    ],
)
def test_a_spoilt_hugging_face_folder_is_refused(
    tmp_path: Path, words: Tokenizer, spoil: Callable[[Path], Any], message: str
) -> None:
    make_hugging_face(tmp_path / "hf", words)
    spoil(tmp_path / "hf")
    with pytest.raises(ChainruleError, match=message):
        open_model(tmp_path / "hf")


def test_a_cut_safetensors_file_is_refused_at_every_length(tmp_path: Path, words: Tokenizer) -> None:
    make_hugging_face(tmp_path / "hf", words)
    path = tmp_path / "hf" / "model.safetensors"
    whole = path.read_bytes()
    for length in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="not a whole safetensors file"):
            open_model(tmp_path / "hf")


def test_what_is_no_model_is_said_with_what_would_be(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("x")
    for path in (tmp_path, tmp_path / "text.txt"):
        with pytest.raises(CheckpointError, match="give a run folder"):
            open_model(path)


def test_a_mistyped_run_is_answered_with_the_nearest_and_without_the_network(
    tmp_path: Path, words: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "runs" / "shakespeare", words, {})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ChainruleError, match=r"Did you mean .*runs/shakespeare"):
        open_model("runs/shakespear")


def cached(cache: Path, name: str, words: Tokenizer) -> GPT:
    """A repository as huggingface_hub keeps it."""
    folder = cache / f"models--{name.replace('/', '--')}"
    model = make_hugging_face(folder / "snapshots" / ("0" * 40), words)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0" * 40)
    return model


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", ["gpt9", "owner/gpt9"])
def test_a_hub_name_opens_from_the_cache(tmp_path: Path, words: Tokenizer, name: str) -> None:
    cached(tmp_path, name, words)
    folder = hub_folder(name, cache=tmp_path)
    assert (folder / "tokenizer.json").is_file() and open_model(folder).config.vocab_size == 257


@pytest.mark.usefixtures("offline")
def test_a_hub_name_without_a_network_says_which_files_to_copy(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"huggingface\.co/nobody/nothing.*config\.json, tokenizer\.json and model"
    ):
        hub_folder("nobody/nothing", cache=tmp_path)


@pytest.mark.usefixtures("offline")
def test_open_model_asks_the_hub_for_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="cannot be reached"):
        open_model("nobody/nothing-at-all")


def test_a_name_that_the_hub_cannot_have_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no name on the Hugging Face hub"):
        hub_folder("a..b--c", cache=tmp_path)


def test_a_run_with_a_broken_config_is_refused(tmp_path: Path, words: Tokenizer) -> None:
    run = make_run(tmp_path / "run", words, {})
    run.config.write_text("[model]\nvocab = 3\n")
    save_checkpoint(run.checkpoints, 1, {"model": network(1).state_dict()}, {}, [run.config, run.tokenizer])
    with pytest.raises(ConfigError, match="vocab"):
        open_model(run.path)


def test_nothing_in_the_package_can_unpickle() -> None:
    """But what a process and its own workers hand each other: through pipes, and where another executor was asked for
    in a folder of the cache, which nobody else may write; datatrove hands its own steps over alike.
    """
    package = Path(chainrule.checkpoint.__file__).parents[1]
    pipes = {package / "data" / name for name in ("workers.py", "worker_process.py", "executors.py", "tasks.py")}
    # A benchmark writes the file that nanoGPT's own training reads, and reads the weights that this training wrote.
    peers = {package / "bench" / "characters.py": "pickle.dumps(", package / "bench" / "score.py": "weights_only=True"}
    for path, way in peers.items():
        found = re.findall(r"(pickle\.\w+\(|torch\.load\(.*)", path.read_text(encoding="utf-8"))
        assert found and all(way in one for one in found), path
    for path in set(package.rglob("*.py")) - pipes - set(peers):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = {alias.name for alias in node.names} if isinstance(node, ast.Import | ast.ImportFrom) else set()
            assert not named & {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}, path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) != ("torch", "load"), path
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.load":
                assert "allow_pickle=False" in ast.unparse(node), path


def test_a_chat_template_comes_with_the_model_from_a_folder_and_from_a_checkpoint(
    words: Tokenizer, tmp_path: Path
) -> None:
    chatting = words.with_control_tokens(("<|im_start|>", "<|im_end|>"))
    template = chat_template(OWN_TEMPLATE, chatting)
    make_hugging_face(tmp_path / "hf", chatting, vocab_size=chatting.vocab_size)
    assert open_model(tmp_path / "hf").template is None
    save_template(template, tmp_path / "hf")
    assert open_model(tmp_path / "hf").template == template

    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    run.config.write_text(to_toml(Config(model=ModelConfig(**SHAPE | {"vocab_size": chatting.vocab_size}))))
    chatting.save(run.tokenizer)
    save_template(template, run.path)
    weights = {"model": network(1, vocab_size=chatting.vocab_size).state_dict()}
    copies = [run.config, run.tokenizer, *(run.path / name for name in TEMPLATE_FILES)]
    save_checkpoint(run.checkpoints, 1, weights, {}, copies)
    assert open_model(run.path).template == template
