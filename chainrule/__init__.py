"""chainrule: pretrain a language model from raw text, and see every gradient that taught it."""

__version__ = "0.1.0"
