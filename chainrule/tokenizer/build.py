"""The tokenizer that a configuration asks for."""

from collections.abc import Callable, Iterable
from pathlib import Path

from chainrule.base import TokenizerError
from chainrule.config import VocabularyConfig
from chainrule.tokenizer.gpt2 import gpt2_tokenizer
from chainrule.tokenizer.load import load_tokenizer
from chainrule.tokenizer.tokenizer import Tokenizer
from chainrule.tokenizer.train import byte_tokenizer, char_tokenizer, train_bpe

Texts = Callable[[], Iterable[str]]

KINDS: dict[str, Callable[[VocabularyConfig, int, Texts], Tokenizer]] = {
    "bpe": lambda config, vocab_size, texts: train_bpe(texts(), vocab_size),
    "gpt2": lambda config, vocab_size, texts: gpt2_tokenizer(Path(config.path) if config.path else None),
    "bytes": lambda config, vocab_size, texts: byte_tokenizer(),
    "chars": lambda config, vocab_size, texts: char_tokenizer(texts(), vocab_size),
    "file": lambda config, vocab_size, texts: load_tokenizer(Path(config.path or "")),
}


def build_tokenizer(config: VocabularyConfig, vocab_size: int, texts: Texts) -> Tokenizer:
    """The tokenizer of `config`, of at most `vocab_size` entries; `texts` is called only when text is learnt from.

    A published or plain vocabulary has the size that it has, and so has a text with too few pairs: the model may take
    `vocab_size` from the result. Raises TokenizerError when the result does not fit into `vocab_size`.
    """
    tokenizer = KINDS[config.kind](config, vocab_size, texts)
    check_vocab_size(tokenizer, vocab_size)
    return tokenizer


def check_vocab_size(tokenizer: Tokenizer, vocab_size: int) -> None:
    """Raises TokenizerError unless a model of `vocab_size` rows has one for each id; more rows are padding."""
    if tokenizer.vocab_size > vocab_size:
        raise TokenizerError(
            f"the tokenizer ({tokenizer.kind}) has {tokenizer.vocab_size} entries, model.vocab_size is {vocab_size}; "
            f"set model.vocab_size to {tokenizer.vocab_size}, or choose another vocabulary"
        )
