"""chainrule: pretrain a language model from raw text, and see every gradient that taught it."""

from chainrule.base import spin_less

__version__ = "0.1.0"

# Here, because OpenMP reads its settings when torch is loaded, and every room that loads torch comes after this line.
spin_less()
