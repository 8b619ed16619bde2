"""Byte-level vocabularies: learnt, published or plain, each one tokenizer.json that transformers reads too."""

from chainrule.tokenizer.build import build_tokenizer, check_vocab_size
from chainrule.tokenizer.gpt2 import gpt2_tokenizer
from chainrule.tokenizer.load import load_tokenizer
from chainrule.tokenizer.report import TokenizerReport, count_tokens, tokenizer_report
from chainrule.tokenizer.sample import sample_bytes
from chainrule.tokenizer.stream import StreamDecoder
from chainrule.tokenizer.tokenizer import Tokenizer
from chainrule.tokenizer.train import byte_tokenizer, char_tokenizer, train_bpe

__all__ = [
    "StreamDecoder",
    "Tokenizer",
    "TokenizerReport",
    "build_tokenizer",
    "byte_tokenizer",
    "char_tokenizer",
    "check_vocab_size",
    "count_tokens",
    "gpt2_tokenizer",
    "load_tokenizer",
    "sample_bytes",
    "tokenizer_report",
    "train_bpe",
]
