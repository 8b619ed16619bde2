"""A model that writes, opened by one word."""

import chainrule
from chainrule.config import Layer
from chainrule.generate import open_writer
from chainrule.train import pretrain


def test_a_run_is_loaded_and_writes(tmp_path):
    (tmp_path / "texts").mkdir()
    for number in range(30):
        (tmp_path / "texts" / f"{number}.txt").write_text(f"{number}: the quick brown fox jumps over the dog\n" * 4)
    small = {
        "model": {"context_length": 16, "emb_dim": 16, "n_heads": 2, "n_layers": 1},
        "vocabulary": {"kind": "bytes"},
        "training": {"steps": 1, "batch_tokens": 64, "sample_tokens": 2, "prompts": ["the "]},
        "machine": {"threads": 1},
    }
    text = Layer("text", {"text": {"paths": [str(tmp_path / "texts")]}})
    pretrain([text, Layer("small", small)], str(tmp_path / "run"))
    writer = chainrule.load(str(tmp_path / "run"), temperature=0)
    assert repr(writer).startswith("<Writer of step 1 of ") and len(repr(writer)) < 300
    one = writer.write("the ")
    assert str(one) == "the " + one.text == "the " + "".join(writer.stream("the "))
    assert next(map(str, writer.write(["the ", "fox"]))) == str(one)
    assert type(open_writer(str(tmp_path / "run"))) is type(writer)
