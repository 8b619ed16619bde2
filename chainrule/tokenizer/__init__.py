"""Byte-level vocabularies: learnt, published or plain, each one tokenizer.json that transformers reads too."""

from chainrule.tokenizer.build import build_tokenizer
from chainrule.tokenizer.load import load_tokenizer
from chainrule.tokenizer.report import TokenizerReport, tokenizer_report
from chainrule.tokenizer.sample import sample_bytes
from chainrule.tokenizer.tokenizer import Tokenizer
from chainrule.tokenizer.train import train_bpe

__all__ = [
    "Tokenizer",
    "TokenizerReport",
    "build_tokenizer",
    "load_tokenizer",
    "sample_bytes",
    "tokenizer_report",
    "train_bpe",
]
