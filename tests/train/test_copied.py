import pytest

from chainrule.config import Config, ModelConfig, TextConfig, TrainingConfig
from chainrule.data import open_dataset, survey, write_shards
from chainrule.tokenizer import train_bpe
from chainrule.tokenizer.train import byte_tokenizer
from chainrule.train import copied
from chainrule.train.copied import copied_row, copied_sentence
from chainrule.train.prepare import data_row


def prepared(folder, text, make):
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_text(text)
    found = survey(TextConfig(paths=(str(folder / "a.txt"),), validation_share=0.1, separator=""), folder, workers=1)
    tokenizer = make(list(found.texts("train")))
    write_shards(found, tokenizer, folder, context_length=16, workers=1)
    return open_dataset(folder)


def lines(first, n):
    return "".join(
        f"line {number:05d} of a text in which every line is like no other, {number * number}\n"
        for number in range(first, first + n)
    )


@pytest.mark.parametrize("make", [lambda texts: byte_tokenizer(), lambda texts: train_bpe(texts, 300)])
@pytest.mark.parametrize("blocks", [False, True])
def test_what_is_copied_into_the_training_text_is_counted(tmp_path, monkeypatch, make, blocks):
    monkeypatch.setattr(copied, "STRETCH_BYTES", 60)
    # The last tenth: a half of it is new, a half stands at the beginning as well.
    again = lines(90_000, 50)
    dataset = prepared(tmp_path, again + lines(0, 850) + lines(70_000, 50) + again, make)
    if blocks:
        # Blocks that cover nearly all of it, so that only a few stretches lie across two of them.
        monkeypatch.setattr(copied, "MOST_TOKENS", int(dataset.split("train").n_tokens * 0.97))
        monkeypatch.setattr(copied, "N_BLOCKS", 4)
    row = copied_row(dataset)
    assert abs(row.share - 0.5) < 0.1
    assert row.stretches > 900 and abs(row.stretch_bytes - 60) < 8
    assert (row.searched_share == 1) != blocks
    assert copied_sentence(row).startswith(f"{row.share:.1%} of held-out text stands word for word")


def test_text_without_copies_has_none(tmp_path):
    assert copied_row(prepared(tmp_path, lines(0, 1000), lambda texts: byte_tokenizer())).share < 0.01


def test_a_log_that_repeats_itself_is_all_copied(tmp_path):
    line = "INFO connection accepted from 10.0.0.1 port 80\n"
    row = copied_row(prepared(tmp_path, line * 3000, lambda texts: byte_tokenizer()))
    assert row.share == 1


def test_copies_between_the_two_sides_of_one_document_are_counted_and_said(tmp_path):
    # Separators that nobody recognises: the file is one document, and what stands in it twice is not looked for.
    stories = [f"{lines(40 * number, 5)}~~~ {number} ~~~\n" for number in range(60)]
    dataset = prepared(tmp_path, "".join(stories + stories), lambda texts: byte_tokenizer())
    report = dataset.manifest.report
    assert report.documents == 1 and report.duplicates == 0
    assert {name: report.split_documents[name] for name in ("train", "validation")} == {"train": 1, "validation": 1}
    assert copied_row(dataset).share > 0.95
    settings = {"context_length": 16, "emb_dim": 8, "n_heads": 1, "n_layers": 1, "vocab_size": 257}
    row = data_row(dataset, Config(model=ModelConfig(**settings), training=TrainingConfig(steps=2, batch_tokens=64)))
    assert any("of held-out text stands word for word in the training text" in warning for warning in row.warnings)
    once = prepared(tmp_path / "once", "".join(stories), lambda texts: byte_tokenizer())
    row = data_row(once, Config(model=ModelConfig(**settings), training=TrainingConfig(steps=2, batch_tokens=64)))
    assert not any("word for word" in warning for warning in row.warnings)
