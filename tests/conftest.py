"""Under pytest every shape in a signature of the package is checked at each call (jaxtyping with beartype).

Files that state no shapes are left alone: checking costs 50 µs a call, and the lens calls some functions at every
operation of a program.
"""

from pathlib import Path

import jaxtyping

HERE = Path(__file__).resolve().parent.parent
STATING = [path for path in (HERE / "chainrule").rglob("*.py") if "from jaxtyping import" in path.read_text("utf-8")]

jaxtyping.install_import_hook(
    [".".join(path.relative_to(HERE).with_suffix("").parts) for path in STATING], "shapes.checked"
)
