"""Texts and tokenizers that the tests of this room share."""

import sysconfig
from pathlib import Path

import pytest
from hypothesis import settings

from chainrule.tokenizer import Tokenizer, train_bpe
from chainrule.tokenizer.train import byte_tokenizer, char_tokenizer

settings.register_profile("steady", deadline=None)  # the first example warms caches, and machines are shared
settings.load_profile("steady")

FOREIGN_SCRIPTS = "naïve café, Ⅷ ½ ² ١٢٣ 第一章 ไทย हिन्दी 한국어 e\u0301 👩‍👩‍👧‍👦 \U0010ffff \u2028\u3000\ufeff end\n"


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Real Python source, then a text of many scripts, then texts with traps."""
    library = Path(sysconfig.get_paths()["stdlib"])
    sources = [(library / f"{name}.py").read_text() for name in ("argparse", "heapq", "inspect", "textwrap", "turtle")]
    return [
        *sources,
        FOREIGN_SCRIPTS * 20,
        "",
        " ",
        "\n\n  \n\tx\r\n",
        "a<|endoftext|>b",
        "\x00\x1c\x1f \x85 it's I'LL we've",
    ]


@pytest.fixture(scope="session")
def bpe(texts: list[str]) -> Tokenizer:
    return train_bpe(texts, 1000)


@pytest.fixture(scope="session")
def every_kind(texts: list[str], bpe: Tokenizer) -> dict[str, Tokenizer]:
    return {"bpe": bpe, "bytes": byte_tokenizer(), "chars": char_tokenizer(texts)}
