"""chainrule: pretrain a language model from raw text, and see every gradient that taught it."""

import importlib

from chainrule.base import spin_less

__version__ = "0.1.0"

# Here, because OpenMP reads its settings when torch is loaded, and every room that loads torch comes after this line.
spin_less()


def __getattr__(name: str) -> object:
    """`chainrule.load(source)`, a model that writes: looked up when it is asked for, because it loads torch."""
    if name == "load":
        return importlib.import_module("chainrule.generate").open_writer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; its rooms are modules, as chainrule.train")
