"""What a run tells who watches it, for tests that listen by a word and read by name."""

from collections.abc import Callable
from typing import Any

from chainrule.run import (
    DataReport,
    EvalRow,
    Event,
    Machine,
    Plan,
    Progress,
    Record,
    Replanned,
    Sample,
    Saved,
    Summary,
    TokenizerFacts,
    TrainRow,
)

WORDS: dict[type[Record], str] = {
    DataReport: "data",
    EvalRow: "eval",
    Event: "notice",
    Machine: "machine",
    Plan: "plan",
    Progress: "progress",
    Replanned: "replan",
    Sample: "sample",
    Saved: "saved",
    Summary: "finished",
    TokenizerFacts: "tokenizer",
    TrainRow: "train",
}


def by_word(hear: Callable[[str, dict[str, Any]], object]) -> Callable[[Record], None]:
    """What watches a run and hands each record on as a word and a row."""

    def watch(record: Record) -> None:
        row = record.plan.row() if isinstance(record, Replanned) else record.row()
        hear(WORDS[type(record)], {name: value for name, value in row.items() if name != "kind" or "step" not in row})

    return watch


def told(word: str, row: dict[str, Any]) -> Record:
    """The record that a word and a row stand for."""
    kind = next(kind for kind, name in WORDS.items() if name == word)
    record = kind.of(row)
    assert record is not None, (word, row)
    return record
