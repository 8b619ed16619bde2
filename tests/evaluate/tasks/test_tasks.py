"""Tasks: what is asked of a model is what stands in the file, and what is right is what a hand finds right."""

import csv
import gzip
import json
import math

import pyarrow
import pyarrow.parquet
import pytest
import torch

from chainrule.base import ConfigError, DataError
from chainrule.config import ModelConfig
from chainrule.evaluate import Candidate, Scoring, tasks_for
from chainrule.evaluate.tasks.choices import Choices
from chainrule.evaluate.tasks.cloze import Cloze
from chainrule.evaluate.tasks.likelihood import Item, answers
from chainrule.evaluate.tasks.pairs import Pairs
from chainrule.evaluate.tasks.table import TASKS, open_task
from chainrule.generate import Temperature, generate
from chainrule.model import GPT
from chainrule.tokenizer.train import byte_tokenizer

CONTEXT = 48
PAIRS = [{"sentence_good": f"the cat {n} sleeps", "sentence_bad": f"the cat {n} sleep"} for n in range(9)]
QUESTIONS = [
    {"question": f"what is {n}", "choices": ["one", "two", "three of them"], "answer": n % 3} for n in range(12)
]
GAPS = [{"text": f"once upon a {word}"} for word in ("time", "tide", "hill")]


@pytest.fixture(scope="module")
def words():
    return byte_tokenizer()


@pytest.fixture(scope="module")
def candidate(words):
    torch.manual_seed(0)
    config = {"vocab_size": words.vocab_size, "context_length": CONTEXT, "emb_dim": 16, "n_heads": 2, "n_layers": 2}
    made = GPT(ModelConfig(**config, drop_rate=0.3))
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return Candidate(made, words)


@torch.no_grad()
def nats_by_hand(candidate, context, choice):
    """Sum of -ln p over the choice's tokens, one forward pass alone."""
    begun = list(candidate.tokenizer.encode(context)) or [candidate.tokenizer.end_of_text]
    ids = [*begun, *candidate.tokenizer.encode(choice)]
    logits = candidate.model.eval()(torch.tensor([ids[:-1]]))[0].double().log_softmax(-1)
    return -sum(float(logits[place - 1, ids[place]]) for place in range(len(begun), len(ids)))


def written(path, rows):
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, rows[0].keys())
            table.writeheader()
            table.writerows(rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return str(path)


def test_a_choice_costs_what_it_costs_alone(candidate):
    items = [Item("a context", (" and a choice", "b")), Item("", ("begins a text",)), Item("x", ("y" * 30, "z"))]
    found = {item.context: said for item, said in answers(candidate, items)}
    for item in items:
        for choice, said in zip(item.choices, found[item.context], strict=True):
            assert said.nats == pytest.approx(nats_by_hand(candidate, item.context, choice), rel=1e-5)
            assert (said.n_tokens, said.n_bytes) == (len(choice), len(choice))


def test_a_space_at_the_end_of_a_context_belongs_to_the_choice(candidate):
    ((_, (said,)),) = answers(candidate, [Item("a context ", ("b",))])
    assert said.nats == pytest.approx(nats_by_hand(candidate, "a context", " b"), rel=1e-5) and said.n_tokens == 2


def test_an_answer_does_not_depend_on_what_stands_beside_it(candidate):
    items = [Item(f"context {n} " * (1 + n % 3), (f"choice {n}", "other")) for n in range(70)]
    together = dict(answers(candidate, items))
    small = Candidate(candidate.model, candidate.tokenizer, Scoring(micro_batch=1))
    for item in items[::7]:
        ((_, alone),) = answers(small, [item])
        assert [one.nats for one in alone] == pytest.approx([one.nats for one in together[item]], rel=1e-5)


def test_a_model_that_was_training_trains_on(candidate):
    candidate.model.train()
    answers(candidate, [Item("a", ("b",))])
    assert candidate.model.training
    candidate.model.eval()


def test_a_long_context_loses_its_beginning_and_a_long_choice_its_question(candidate):
    (told,) = answers(candidate, [Item("x" * 200, ("yes",)), Item("a", ("n" * (CONTEXT + 1), "no"))])
    assert told[0].choices == ("yes",)
    assert told[1][0].nats == pytest.approx(nats_by_hand(candidate, "x" * (CONTEXT - 2), "yes"), rel=1e-5)


@pytest.mark.parametrize("name", ["q.jsonl", "q.jsonl.gz", "q.json", "q.parquet"])
def test_choices_are_right_where_the_right_one_is_likeliest(candidate, tmp_path, name):
    result = open_task(f"choices:{written(tmp_path / name, QUESTIONS)}").examine(candidate)
    nats = [
        [nats_by_hand(candidate, f"Question: {row['question']}\nAnswer:", f" {choice}") for choice in row["choices"]]
        for row in QUESTIONS
    ]
    right = sum(one.index(min(one)) == row["answer"] for one, row in zip(nats, QUESTIONS, strict=True))
    assert (result.n, result.right, result.of_n, result.task) == (12, right, 12, f"choices:{name}")
    assert result.guess == pytest.approx(1 / 3) and 0 <= result.figures["by_bytes"] <= 1


@pytest.mark.parametrize("name", ["p.jsonl", "p.csv"])
def test_pairs_are_told_apart_by_their_whole_probability(candidate, tmp_path, name):
    result = open_task(f"pairs:{written(tmp_path / name, PAIRS)}").examine(candidate)
    right = sum(
        nats_by_hand(candidate, "", row["sentence_good"]) < nats_by_hand(candidate, "", row["sentence_bad"])
        for row in PAIRS
    )
    assert (result.n, result.right, result.guess) == (9, right, 0.5)


def likeliest(candidate, begun):
    (text,) = generate(candidate.model, candidate.tokenizer, [begun], max_new_tokens=1, rules=[Temperature(0)])
    return text.text


def test_an_end_is_foreseen_where_greedy_decoding_writes_it(candidate):
    begun = next(text for n in range(500) if (text := f"context {n}") and likeliest(candidate, text).isalpha())
    end = likeliest(candidate, begun)
    items = tuple(Item(begun, (one,)) for one in (end, "~"))
    assert [
        one.greedy for _, (one,) in sorted(answers(candidate, items), key=lambda one: one[0].choices[0] != end)
    ] == [
        True,
        False,
    ]
    result = Cloze("cloze:x", items).examine(candidate)
    assert (result.n, result.right) == (2, 1)


def test_the_perplexity_of_ends_is_that_of_their_mean(candidate, tmp_path):
    mean = sum(nats_by_hand(candidate, "once upon a", f" {row['text'].split()[-1]}") for row in GAPS) / 3
    result = open_task(f"cloze:{written(tmp_path / 'gaps.jsonl', GAPS)}").examine(candidate)
    assert result.figures["perplexity"] == pytest.approx(math.exp(mean), rel=1e-4)


def test_the_rows_of_known_data_sets_are_questions():
    piqa = {"goal": "Open a jar", "sol1": "Turn the lid.", "sol2": "Eat it.", "label": 1}
    assert Choices.item_of(piqa) == Item("Question: Open a jar\nAnswer:", (" Turn the lid.", " Eat it."), 1)
    hellaswag = {"ctx": "A man sits", "endings": ["down.", "up.", "in.", "on."], "label": "2"}
    assert Choices.item_of(hellaswag) == Item("A man sits", (" down.", " up.", " in.", " on."), 2)
    arc = {"question": "Q", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"}
    assert Choices.item_of(arc) == Item("Question: Q\nAnswer:", (" x", " y"), 1)
    assert Choices.item_of({"query": "1 + 1 =", "options": ["3", "2"], "answer": 0}).answer == 0
    assert Choices.item_of({"query": "1 + 1 =", "options": ["3", "2"], "answer": "2"}).answer == 1
    assert Choices.item_of({"context": "a", "choices": ["b", "c"], "gold": "B"}).answer == 1
    assert Pairs.item_of({"good": "a", "bad": "b", "uid": 3}) == Item("", ("a", "b"))
    assert Cloze.item_of({"text": "we went to the beach"}) == Item("we went to the", (" beach",))
    assert Cloze.item_of({"prompt": "2 + 2 =", "completion": "4"}) == Item("2 + 2 =", (" 4",))


@pytest.mark.parametrize(("rows", "kind"), [(PAIRS, Pairs), (QUESTIONS, Choices), (GAPS, Cloze)])
def test_a_file_alone_is_known_by_its_columns(tmp_path, rows, kind):
    assert isinstance(open_task(written(tmp_path / "rows.jsonl", rows)), kind)


@pytest.mark.parametrize(
    ("kind", "row", "said"),
    [
        ("choices", {"question": "q", "choices": ["a"], "answer": 0}, "not a list of at least two"),
        ("choices", {"question": "q", "choices": ["a", "b"], "answer": 2}, "none of its 2 choices"),
        ("choices", {"question": 3, "choices": ["a", "b"], "answer": 1}, "3 is no text"),
        ("choices", {"question": "q", "choices": ["a", None], "answer": 0}, "None is no text"),
        ("choices", {"text": "t"}, "has the columns 'text'; rows for choices have"),
        ("pairs", {"sentence_good": "a"}, "rows for pairs have sentence_good and sentence_bad"),
        ("cloze", {"text": "word"}, "there is no last word"),
        ("cloze", {"text": None}, "None is no text"),
    ],
)
def test_a_row_that_is_no_question_is_named_with_its_place(tmp_path, kind, row, said):
    good = {"choices": QUESTIONS, "pairs": PAIRS, "cloze": GAPS}[kind][0]
    path = written(tmp_path / "rows.jsonl", [good, row])
    with pytest.raises(DataError, match=rf"rows\.jsonl:2: .*{said}"):
        open_task(f"{kind}:{path}")


def test_what_is_no_task_is_refused_with_what_is_meant(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'choices'"):
        open_task("choice")
    with pytest.raises(ConfigError, match=r"pairs needs a file: pairs:my_questions.jsonl"):
        open_task("pairs")
    with pytest.raises(ConfigError, match="needs no file"):
        open_task("python-functions:a.jsonl")
    for content, said in (("", "holds no question"), ("{torn\n", "malformed"), ("[1]\n", "not an object")):
        (tmp_path / "a.jsonl").write_text(content)
        with pytest.raises(DataError, match=r"a\.jsonl"):
            open_task(str(tmp_path / "a.jsonl"))
        with pytest.raises(DataError, match=said if content else "no (question|text there)"):
            open_task(f"cloze:{tmp_path / 'a.jsonl'}")
    (tmp_path / "b.jsonl").write_text('{"name": "nobody"}\n')
    with pytest.raises(DataError, match="no task reads those"):
        open_task(str(tmp_path / "b.jsonl"))
    with pytest.raises(DataError, match="holds no rows"):
        (tmp_path / "c.txt").write_text("plain")
        open_task(f"pairs:{tmp_path / 'c.txt'}")
    with pytest.raises(DataError, match="no such file"):
        open_task("pairs:absent.jsonl")


def test_time_that_is_up_leaves_a_part_and_says_so(candidate):
    items = tuple(Item(f"context {n}", ("a", "b")) for n in range(200))
    late = Candidate(candidate.model, candidate.tokenizer, is_late=lambda: True)
    result = Choices("choices:x", items).examine(late)
    assert (result.n, result.of_n) == (64, 200)
    none = Candidate(candidate.model, candidate.tokenizer, affords=lambda n_texts, n_tokens: 0)
    assert open_task("python-functions").examine(none) is None


def test_functions_are_written_and_parsed(candidate):
    few = Candidate(candidate.model, candidate.tokenizer, affords=lambda n_texts, n_tokens: 3)
    result = open_task("python-functions").examine(few)
    assert result.n == 3 and 0 <= result.right <= 3 and result.version


def test_a_run_is_put_to_what_was_asked_for_or_what_suits_its_text(tmp_path):
    assert [type(task) for task in tasks_for([], ["python"])] == [TASKS["python-functions"]]
    assert tasks_for([], ["texts/"]) == []
    path = written(tmp_path / "pairs.jsonl", PAIRS)
    assert [type(task) for task in tasks_for([path], ["python"])] == [Pairs]
