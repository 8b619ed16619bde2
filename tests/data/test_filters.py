"""Each rule of the filters removes what it should, and keeps prose."""

import random

import pytest

from chainrule.config.curation import FILTERS
from chainrule.data.filters import RULES, Look, _grams, c4_lines
from chainrule.data.similarity import hashed_words


def word(chooser):
    return "".join(chooser.choice("bdfgklmnprstv") + chooser.choice("aeiou") for _ in range(chooser.randint(1, 4)))


def sentence(chooser):
    """Seldom the same words in a row, and English words between them."""
    words = [word(chooser) for _ in range(chooser.randint(9, 16))]
    for frequent in chooser.sample(["the", "of", "and", "that", "with", "to"], 3):
        words.insert(chooser.randrange(len(words)), frequent)
    return " ".join(words).capitalize() + "."


def prose(seed=0, n_sentences=40):
    chooser = random.Random(seed)
    lines = [" ".join(sentence(chooser) for _ in range(2)) for _ in range(n_sentences // 2)]
    return "\n".join(lines) + "\n"


PROSE = prose()


def rule(name, text):
    found = RULES[name](Look(text.encode()))
    return None if found is None else found.rule.partition(": ")[2]


def test_the_settings_know_every_filter():
    assert set(RULES) == set(FILTERS)


@pytest.mark.parametrize("name", FILTERS)
def test_prose_passes_every_filter(name):
    assert rule(name, PROSE) is None


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("gopher-quality", "The end of the day, that is to be.", "words"),
        ("gopher-quality", "word and " * 60_000, "words"),
        ("gopher-quality", "a b of the " * 60, "mean word length"),
        ("gopher-quality", "extraordinarily thoroughgoing " * 60, "mean word length"),
        ("gopher-quality", PROSE.replace(" the ", " # # the # # "), "signs of number per word"),
        ("gopher-quality", PROSE.replace(" the ", " … … the … … "), "ellipses per word"),
        ("gopher-quality", "".join(f"- {line}\n" for line in PROSE.splitlines()), "lines that begin with a bullet"),
        ("gopher-quality", PROSE.replace(".\n", " and …\n"), "lines that end with an ellipsis"),
        ("gopher-quality", "the 1234 of 5678 and 9012 " * 20, "words with a letter"),
        ("gopher-quality", "lorem dolor amet sit consectetur elit " * 20, "of eight frequent English words"),
        ("gopher-repetition", "\n".join([*PROSE.splitlines()[:4], *["again this"] * 8]), "repeated lines"),
        ("gopher-repetition", PROSE + PROSE.splitlines()[0] + "\n", None),
        ("gopher-repetition", "very much " * 50, "text in its most frequent run of 2 words"),
        ("gopher-repetition", PROSE.replace("\n", " ") + " and then " + PROSE[: len(PROSE) // 2].replace("\n", " "),
         "text in repeated runs of 5 words"),
        ("c4", PROSE + "Lorem ipsum is here.", "lorem ipsum"),
        ("c4", PROSE + "if (x) { return; }", "curly brackets"),
        ("c4", "Only this one sentence stands here.", "sentences"),
        ("fineweb", "a line of a list without any end of a sentence\n" * 3, "lines that end like a sentence"),
        ("fineweb", PROSE + "\n".join(PROSE.splitlines()[:5]), "text in repeated lines"),
        ("fineweb", "\n".join(f"Menu {number}." for number in range(30)), "lines of less than 30 bytes"),
    ],
)  # fmt: skip
def test_what_a_rule_is_there_for_is_removed_and_it_says_why(name, text, what):
    assert rule(name, text) == what


def test_repeated_runs_are_those_that_counting_finds():
    chooser = random.Random(1)
    words = [chooser.choice(["ab", "cde", "fghi", "jk"]) for _ in range(400)]
    text = " ".join(words).encode()
    starts = [*hashed_words(text)[0].tolist(), len(text)]
    figures = {figure.name: figure.value for figure in _grams(text)}
    for n in range(2, 11):
        grams = [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]
        if n < 5:
            most = max(map(grams.count, grams))
            places = {gram: at for at, gram in enumerate(grams)}
            sizes = [starts[at + n] - starts[at] for gram, at in places.items() if grams.count(gram) == most]
            assert figures[f"text in its most frequent run of {n} words"] == pytest.approx(
                most * max(sizes) / len(text), rel=0.02
            )
            continue
        seen, covered = set(), set()
        for at, gram in enumerate(grams):
            covered |= set(range(at, at + n)) if gram in seen else set()
            seen.add(gram)
        expected = sum(starts[at + 1] - starts[at] for at in covered) / len(text)
        # Where a shorter run has little enough, longer ones are not looked at.
        told = figures.get(f"text in repeated runs of {n} words")
        assert told == pytest.approx(expected) if told is not None else expected <= 0.1


def test_c4_leaves_lines_that_are_sentences():
    kept = "This line is a sentence of seven words."
    lines = [kept, "Home", "Short one.", "Please enable JavaScript to see this page.", "It goes on and on and on …",
             "We use cookies and a privacy policy for all.", "", kept]  # fmt: skip
    assert c4_lines("\n".join(lines).encode()).decode() == f"{kept}\n\n{kept}"


@pytest.mark.parametrize("text", ["", "\n", "a", "å", " " * 10, "\x00"])
@pytest.mark.parametrize("name", FILTERS)
def test_hardly_any_text_ends_no_filter(name, text):
    RULES[name](Look(text.encode()))
