"""A tiny instructed model and a base model for the tests of talks: real ones, whose weights are random and large."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from chainrule.checkpoint import OpenedModel, to_hugging_face, write_tensors
from chainrule.config import ModelConfig
from chainrule.model import GPT
from chainrule.tokenizer import OWN_TEMPLATE, Tokenizer, chat_template, save_template, train_bpe

TEXT = "the cat sat on the mat. the dog ate the cat's hat. user assistant system. "


def loud(vocab_size: int, context_length: int, silent: list[int], seed: int = 0) -> GPT:
    """A model that writes something else after every text, and never a token of `silent`."""
    shape = {"vocab_size": vocab_size, "context_length": context_length, "emb_dim": 32, "n_heads": 4, "n_layers": 2}
    made = GPT(ModelConfig(**shape))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * (0.4 if parameter.dim() > 1 else 1.0))
        made.token_embedding.weight[silent] = 0.0
    return made.eval()


def words() -> Tokenizer:
    return train_bpe([TEXT] * 3, 290)


def base(context_length: int = 256) -> OpenedModel:
    """A base model that writes ASCII."""
    tokenizer = words()
    model = loud(tokenizer.vocab_size, context_length, not_ascii(tokenizer))
    return OpenedModel(model, tokenizer, model.config, "a base model of the tests")


def not_ascii(tokenizer: Tokenizer) -> list[int]:
    """The ids of what is no printable ASCII, control tokens apart."""
    return [
        number
        for number, content in enumerate(tokenizer.token_bytes)
        if content and not (content.isascii() and content.decode().isprintable())
    ]


def instructed(context_length: int = 256, seed: int = 0) -> OpenedModel:
    """A model with our own chat template that writes ASCII."""
    plain = words().with_control_tokens(("<|im_start|>", "<|im_end|>"))
    template = chat_template(OWN_TEMPLATE, plain)
    opening = template.words["<|im_start|>"]
    model = loud(plain.vocab_size, context_length, [opening, *not_ascii(plain)], seed)
    return OpenedModel(model, plain, model.config, "an instructed model of the tests", template=template)


@contextmanager
def counted(model: GPT) -> Iterator[list[int]]:
    """How many tokens the model is given inside, pass by pass."""
    seen: list[int] = []
    handle = model.token_embedding.register_forward_hook(lambda _, given, __: seen.append(given[0].numel()))
    try:
        yield seen
    finally:
        handle.remove()


def saved(opened: OpenedModel, folder: Path) -> Path:
    """The model as a Hugging Face folder."""
    folder.mkdir()
    settings, tensors = to_hugging_face(opened.config, opened.model.state_dict())
    (folder / "config.json").write_text(json.dumps(settings))
    with (folder / "model.safetensors").open("wb") as stream:
        write_tensors(stream, tensors)
    opened.tokenizer.save(folder)
    if opened.template:
        save_template(opened.template, folder)
    return folder
