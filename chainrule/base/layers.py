"""The layer that a module of a model belongs to, by the module's path, and in words."""


def layer_of(path: str) -> str:
    """The layer that the module at `path` belongs to.

    The path up to the first word after its first number (`blocks.3.attention` of `blocks.3.attention.qkv`); a path
    without a number is its own layer. Works on any naming that numbers its blocks: `transformer.h.0.attn.c_attn`
    belongs to `transformer.h.0.attn`, `lm_head` to itself.
    """
    words = path.split(".")
    number = next((place for place, word in enumerate(words) if word.isdigit()), None)
    return path if number is None else ".".join(words[: number + 2])


def block_of(layer: str) -> tuple[int, str] | None:
    """(3, "attention") of `blocks.3.attention`: which block, and which part of it; None outside the blocks."""
    words = layer.split(".")
    number = next((place for place, word in enumerate(words) if word.isdigit()), None)
    return None if number is None else (int(words[number]), ".".join(words[number + 1 :]))


def layer_in_words(layer: str) -> str:
    """As a sentence names it: `block 3's attention`, `the token embedding`."""
    found = block_of(layer)
    if found is None:
        return f"the {layer.replace('_', ' ').replace('.', ' ')}"
    return f"block {found[0]}’s {found[1].replace('_', ' ').replace('.', ' ')}" if found[1] else f"block {found[0]}"
