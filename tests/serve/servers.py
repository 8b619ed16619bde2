"""Real servers on free ports, around tiny models that lie in Hugging Face folders."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import torch
import uvicorn
from safetensors.torch import save_file

from chainrule.checkpoint import OpenedModel, open_model, to_hugging_face
from chainrule.config import ModelConfig
from chainrule.generate import quantised
from chainrule.model import GPT
from chainrule.serve.app import build_app
from chainrule.serve.offers import offered, offers_of
from chainrule.serve.serving import server_config
from chainrule.serve.settings import Serving
from chainrule.tokenizer import OWN_TEMPLATE, Tokenizer, chat_template, save_template
from chainrule.tokenizer.train import byte_tokenizer
from chainrule.web import address_of, listen

CONTEXT = 256
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False}


@dataclass
class Server:
    """A server that runs, and a client for it."""

    url: str
    opened: OpenedModel
    api: Any
    client: httpx.Client
    server: uvicorn.Server

    def post(self, path: str, content: dict[str, Any], **more: Any) -> httpx.Response:
        return self.client.post(path, json=content, **more)

    def completion(self, prompt: Any, **more: Any) -> dict[str, Any]:
        answer = self.post("/v1/completions", {"prompt": prompt, "temperature": 0, "max_tokens": 8, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()


def words(*, chat: bool) -> Tokenizer:
    bytes_alone = byte_tokenizer()
    return bytes_alone.with_control_tokens(["<|im_start|>", "<|im_end|>"]) if chat else bytes_alone


def write_model(folder: Path, *, chat: bool = False, seed: int = 0, **shape: Any) -> Path:
    """A random model whose likeliest tokens are letters, so that what it writes is text."""
    tokenizer = words(chat=chat)
    torch.manual_seed(seed)
    sizes = {"context_length": CONTEXT, "emb_dim": 32, "n_heads": 4, "n_kv_heads": 2, "n_layers": 2}
    model = GPT(ModelConfig(vocab_size=tokenizer.vocab_size, **{**sizes, **MODERN, **shape}))
    silent = [
        number
        for number, content in enumerate(tokenizer.token_bytes)
        if content == b"" or not content.isascii() or not content.decode().isprintable()
    ]
    with torch.no_grad():
        model.token_embedding.weight.mul_(4)
        model.token_embedding.weight[silent] *= 0.01
    settings, tensors = to_hugging_face(model.config, model.state_dict())
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(settings))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(folder / "tokenizer.json")
    if chat:
        save_template(chat_template(OWN_TEMPLATE, tokenizer), folder)
    return folder


@contextmanager
def running(
    folder: Path,
    *others: Path,
    weights: str = "float32",
    adapters: Mapping[str, Path] | None = None,
    **settings: Any,
) -> Iterator[Server]:
    """A server for the models in the folders, on a free port, in a thread of this process."""
    asked = Serving(**{"port": 0, "rows": 8, "name": "tiny", **settings})
    opened, listening = quantised(open_model(folder), weights), listen(asked.callers)
    beside = [offered(str(one), open_model(one)) for one in others]
    if beside or (folder / "checkpoints").is_dir():
        offers = [offered(str(folder), opened, asked.name, weights=weights), *beside]
    else:
        offers = offers_of(opened, asked, adapters or {})
    app = build_app(offers, asked)
    server = uvicorn.Server(server_config(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    url = address_of(listening)
    token = {"Authorization": f"Bearer {asked.token}"} if asked.token else {}
    try:
        until(lambda: server.started)
        with httpx.Client(base_url=url, timeout=60, headers=token, trust_env=False) as client:
            yield Server(url, opened, app.state.api, client, server)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server does not end"


def until(true: Any, seconds: float = 20) -> None:
    """Waits until it is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)
