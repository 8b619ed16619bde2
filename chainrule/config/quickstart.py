"""The settings of a quickstart: a text that needs no download, and prompts that go with it."""

from chainrule.base import ConfigError, nearest
from chainrule.config.load import Layer

# They end without a space, as the words of the vocabulary begin with one.
QUICKSTARTS = {
    "king-james": ("And it came to pass", "And the king said unto", "The LORD is", "Then Jesus answered and said"),
    "python": ("\n\ndef", "\n\nclass", "\n\nimport", '\n\ndef read_lines(path):\n    """'),
}


def quickstart_layer(text: str, *, seed: int = 0, device: str | None = None) -> Layer:
    """What a quickstart on `text` (king-james or python) sets; all else is chosen for the machine and the time.

    Raises ConfigError for another text.
    """
    if text not in QUICKSTARTS:
        raise ConfigError(
            f"{text!r} is no text of a quickstart.{nearest(text, QUICKSTARTS)} {', '.join(QUICKSTARTS)} are"
        )
    values: dict[str, dict[str, object]] = {
        "text": {"paths": [text]},
        "training": {"prompts": list(QUICKSTARTS[text]), "seed": seed},
    }
    if device is not None:
        values["machine"] = {"device": device}
    return Layer("quickstart", values)
