"""Byte-level vocabularies: learnt, published or plain, each one tokenizer.json that transformers reads too."""

from chainrule.tokenizer.build import build_tokenizer
from chainrule.tokenizer.gguf_words import gguf_vocabulary, template_from_gguf, tokenizer_from_gguf
from chainrule.tokenizer.load import load_tokenizer
from chainrule.tokenizer.report import TokenizerReport, tokenizer_report
from chainrule.tokenizer.sample import sample_bytes
from chainrule.tokenizer.template import OWN_TEMPLATE, ChatTemplate, Message, chat_template
from chainrule.tokenizer.template_files import TEMPLATE_FILES, load_template, save_template
from chainrule.tokenizer.tokenizer import Tokenizer
from chainrule.tokenizer.train import train_bpe

__all__ = [
    "OWN_TEMPLATE",
    "TEMPLATE_FILES",
    "ChatTemplate",
    "Message",
    "Tokenizer",
    "TokenizerReport",
    "build_tokenizer",
    "chat_template",
    "gguf_vocabulary",
    "load_template",
    "load_tokenizer",
    "sample_bytes",
    "save_template",
    "template_from_gguf",
    "tokenizer_from_gguf",
    "tokenizer_report",
    "train_bpe",
]
