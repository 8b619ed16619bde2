"""How much text a run needs: too little is refused before anything slow, and little is said."""

from chainrule.base import bytes_text
from chainrule.config import Resolved
from chainrule.data import refuse_little

# What a model of a million parameters reads ten times in some minutes. Less is learnt by heart (docs/LOG.md has the
# runs on 4 MB, which read best).
LITTLE_BYTES = 1_000_000
# Held out is a twentieth, and must fill one window with tokens of about two bytes.
LEAST_BYTES, START = 10_000, "100 kB"


def check_amount(given: Resolved) -> None:
    """Raises DataError when the text is so little that no window of it could be filled, as far as its files tell."""
    config = given.config
    if not config.text.paths or config.origin.start_from is not None:
        return  # the other model's window is known later
    chosen = given.sources.get("model.context_length", "automatic").startswith("automatic")
    # A token stands for a byte at least, and both sides of the split need a window.
    least = LEAST_BYTES if chosen else 2 * (config.model.context_length + 1)
    refuse_little(config.text, least, START if chosen else f"this model.context_length needs {least:,}; {START}")


def little_sentence(n_bytes: int) -> str | None:
    """What to say of so little text; None when there is more."""
    if n_bytes >= LITTLE_BYTES:
        return None
    return (
        f"{bytes_text(n_bytes)} of text are little: the model will soon know it by heart and write what stands in it; "
        "a megabyte and more reads better"
    )
