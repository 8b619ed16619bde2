"""Under pytest every shape in a signature of the package is checked at each call (jaxtyping with beartype)."""

import jaxtyping

ROOMS = ("model", "optim", "data", "checkpoint", "generate", "evaluate", "train", "tokenizer", "lens")
jaxtyping.install_import_hook([f"chainrule.{room}" for room in ROOMS], "shapes.checked")
