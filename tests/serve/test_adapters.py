"""Several adapters on one base: each is a model by its own name, and writes what it would write alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from serve.servers import Server, running, write_model

from chainrule.base import CheckpointError, ConfigError
from chainrule.checkpoint import open_model, save_adapter
from chainrule.cli import main
from chainrule.finetune import open_merged
from chainrule.generate import quantised
from chainrule.model import LoraSettings, adapter_tensors, add_lora
from chainrule.serve.models import named_models
from chainrule.tokenizer import OWN_TEMPLATE, chat_template, save_template

NAMES = ["tiny", "poems", "letters"]
SETTINGS = {"poems": LoraSettings(rank=4), "letters": LoraSettings(rank=2, dora=True, targets=("attention.q",))}


def write_adapter(base: Path, folder: Path, settings: LoraSettings, seed: int) -> Path:
    """An adapter that has moved."""
    model = open_model(base).model
    add_lora(model, settings, seed)
    dice = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in adapter_tensors(model).items():
            if name.endswith("up"):
                tensor.copy_(0.3 * torch.randn(tensor.shape, generator=dice))
    save_adapter(model, folder)
    return folder


@pytest.fixture(scope="module")
def adapters(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return {
        name: write_adapter(base_folder, folder / name, settings, seed)
        for seed, (name, settings) in enumerate(SETTINGS.items())
    }


@pytest.fixture(scope="module")
def server(base_folder: Path, adapters: dict[str, Path]) -> Iterator[Server]:
    with running(base_folder, adapters=adapters) as made:
        yield made


def asked(number: int) -> dict[str, Any]:
    return {"prompt": f"the cat sat on mat {number % 4} and", "logprobs": 2, "max_tokens": 5 + number % 7}


def test_each_is_a_model_of_its_own_name(server: Server) -> None:
    models = server.client.get("/v1/models").json()["data"]
    assert [(one["id"], one["parent"]) for one in models] == [("tiny", None), ("poems", "tiny"), ("letters", "tiny")]
    assert server.client.get("/v1/models/poems").json() == models[1]
    answer = server.post("/v1/completions", {"prompt": "a", "model": "others"})
    assert answer.status_code == 404 and "'letters'" in answer.json()["error"]["message"]
    assert server.completion("a", model="letters")["model"] == "letters"
    assert server.post("/tokenize", {"prompt": "ab", "model": "poems"}).json()["count"] == 2


def test_together_each_has_the_bits_that_it_has_alone(
    server: Server, base_folder: Path, adapters: dict[str, Path]
) -> None:
    requests = [{**asked(number), "model": NAMES[number % 3]} for number in range(18)]
    alone = dict[int, Any]()
    for place, name in enumerate(NAMES):
        # A server that has this adapter and no other, and keeps nothing.
        own = {name: adapters[name]} if name in adapters else {}
        with running(base_folder, adapters=own, prefix_bytes=0) as single:
            for number in range(place, 18, 3):
                alone[number] = single.completion(**requests[number])["choices"]
    with ThreadPoolExecutor(12) as clients:
        for _ in range(2):  # the second time behind beginnings that were kept
            together = list(clients.map(lambda one: server.completion(**one)["choices"], requests))
            assert together == [alone[number] for number in range(18)]
    texts = {name: alone[place][0]["text"] for place, name in enumerate(NAMES)}
    assert len(set(texts.values())) == 3, "the models differ, so that one in another's place would be seen"


def test_a_beginning_that_one_has_read_is_of_no_use_to_another(server: Server) -> None:
    prompt = "a long beginning that only one of them has read so far"

    def reused(model: str) -> int:
        return server.completion(prompt, model=model)["usage"]["prompt_tokens_details"]["cached_tokens"]

    assert [reused("tiny"), reused("poems"), reused("letters")] == [0, 0, 0]
    assert [reused("tiny"), reused("poems"), reused("letters")] == [len(prompt) - 1] * 3


def test_an_adapter_writes_what_the_merged_model_writes(
    server: Server, base_folder: Path, adapters: dict[str, Path]
) -> None:
    merged = open_merged(base_folder, adapters["poems"])
    ids = merged.tokenizer.encode("the cat")
    told = server.completion("the cat", model="poems", echo=True, logprobs=1, max_tokens=1)["choices"][0]["logprobs"]
    with torch.no_grad():
        expected = merged.model(torch.tensor([ids]))[0].log_softmax(-1)[range(len(ids) - 1), ids[1:]]
    torch.testing.assert_close(torch.tensor(told["token_logprobs"][1:-1]), expected, rtol=0, atol=1e-4)


def test_an_adapter_with_a_template_of_its_own_chats(base_folder: Path, tmp_path: Path) -> None:
    folder = write_adapter(base_folder, tmp_path / "chatty", LoraSettings(rank=2), 5)
    source = OWN_TEMPLATE.replace("<|im_start|>", "[").replace("<|im_end|>", "]")
    save_template(chat_template(source, open_model(base_folder).tokenizer), folder)
    hello = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
    with running(base_folder, adapters={"chatty": folder}) as made:
        assert made.post("/v1/chat/completions", {**hello, "model": "chatty"}).status_code == 200
        assert made.post("/v1/chat/completions", hello).json()["error"]["code"] == "no_chat_template"
        assert [one["chat"] for one in made.client.get("/v1/models").json()["data"]] == [False, True]


def test_an_adapter_for_another_base_is_refused_at_the_start(tmp_path: Path, adapters: dict[str, Path]) -> None:
    other = write_model(tmp_path / "other", seed=1)
    with pytest.raises(CheckpointError, match="made for another base"):
        named_models(open_model(other), "other", {"poems": adapters["poems"]})


def test_packed_weights_take_no_adapter(
    base_folder: Path, adapters: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="these are packed"):
        named_models(quantised(open_model(base_folder), "int8"), "tiny", {"poems": adapters["poems"]})
    command = ["serve", str(base_folder), "--weights", "int8", "--adapter", f"poems={adapters['poems']}"]
    assert main(command) == 2
    assert "export hf" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["poems"], "write NAME=FOLDER"),
        (["=folder"], "write NAME=FOLDER"),
        (["a=x", "a=y"], "two adapters are called"),
        (["a b=x"], "no name of an adapter"),
        (["base=x"], "has the base's name"),
        (["poems=no-such-folder"], "is no adapter"),
    ],
)
def test_a_wrong_adapter_is_said(
    base_folder: Path, given: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [part for one in given for part in ("--adapter", one)]
    assert main(["serve", str(base_folder), "--port", "0", *flags]) == 2
    assert words in " ".join(capsys.readouterr().err.split())
