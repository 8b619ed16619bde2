"""Documents are left out by rules as the text is read: what is kept, what is told of the rest."""

import json

import pytest

from chainrule.base import ConfigError, DataError
from chainrule.config import Layer, TextConfig, resolve
from chainrule.data import list_files, look_at_text, open_dataset, survey_key
from chainrule.data.curation import JUDGED_BYTES

GERMAN = "Alle {} Menschen sind frei und gleich an Würde und Rechten geboren, und sie sind mit Vernunft begabt.\n"


def english(make_prose, seed):
    words = make_prose(seed, 120).split()
    lines = [
        " ".join(["The", *words[at : at + 8], "is", "that", "of", "the", words[at], "and", "it."])
        for at in range(0, 120, 8)
    ]
    return "\n".join(lines) + "\n"


@pytest.fixture
def web(workshop, make_prose):
    for index in range(12):
        workshop.write(f"{index:02d}.txt", english(make_prose, index))
    workshop.write("20-menu.txt", "Home\nAbout\nContact\n" * 30)
    workshop.write("21-deutsch.txt", "".join(GERMAN.format(number) for number in range(20)))
    workshop.write("22-copy.txt", english(make_prose, 3))
    return workshop


def kept(survey):
    return {survey.files[file].path.rpartition("/")[2] for file in survey.table["file"][survey.states < 3]}


def test_every_step_tells_what_it_removed_with_examples(web):
    found = web.survey(filters=("gopher-quality", "fineweb"), languages=("en",))
    assert kept(found) == {f"{index:02d}.txt" for index in range(12)}
    removals = found.report["removals"]
    assert {rule: one["documents"] for rule, one in removals.items()} == {
        "language: cannot be told": 1,
        "language: de": 1,
        "duplicates": 1,
    }
    (menu,) = removals["language: cannot be told"]["examples"]
    assert menu["file"].endswith("20-menu.txt")
    assert menu["begins"].startswith("Home About Contact Home")
    (copy,) = removals["duplicates"]["examples"]
    assert copy["file"].endswith("22-copy.txt")
    assert copy["found"].endswith("03.txt")
    assert found.report["filtered"] == 2
    report = web.prepare(filters=("gopher-quality", "fineweb"), languages=("en",)).report
    assert report.removals["language: de"].examples[0].file.endswith("21-deutsch.txt")
    assert open_dataset(web.data).split("train").n_documents


def test_the_first_rule_that_does_not_hold_is_told(web):
    removals = web.survey(filters=("fineweb",)).report["removals"]
    (menu,) = removals["fineweb: lines that end like a sentence"]["examples"]
    assert menu["found"] == "0, allowed from 0.12"


def test_both_passes_see_the_same_masked_and_shortened_text(web, make_prose):
    web.write("30-mail.txt", english(make_prose, 30) + "Write to anna@example.org at the end of the day.\nHome\n")
    manifest = web.prepare(pii="mask", filters=("c4",))
    text = "".join(web.survey(pii="mask", filters=("c4",)).texts("train"))
    text += "".join(web.survey(pii="mask", filters=("c4",)).texts("validation"))
    assert "anna@example.org" not in text
    assert "Write to email@example.com at the end of the day." in text
    assert "Home" not in text
    assert manifest.report.masked == 1


def test_documents_that_share_a_run_of_words_with_a_test_are_left_out(web, make_prose, tmp_path):
    sets = tmp_path / "sets"
    sets.mkdir()
    words = english(make_prose, 5).split()
    question = " ".join(words[20:34])
    (sets / "test.jsonl").write_text(json.dumps({"question": question, "answer": {"text": "Yes."}}) + "\n")
    removals = web.survey(decontaminate=(str(sets),)).report["removals"]
    (example,) = removals["decontaminate"]["examples"]
    assert example["file"].endswith("05.txt")
    web.write("40-long.txt", english(make_prose, 40) * 5000 + question + "\n")
    assert (web.texts / "40-long.txt").stat().st_size > 4 * JUDGED_BYTES
    removals = web.survey(decontaminate=(str(sets),)).report["removals"]
    assert removals["decontaminate"]["documents"] == 2


def test_one_word_less_is_no_contamination(web, make_prose, tmp_path):
    sets = tmp_path / "test.txt"
    sets.write_text(" ".join(english(make_prose, 5).split()[20:32]) + " something else\n")
    assert "decontaminate" not in web.survey(decontaminate=(str(sets),)).report["removals"]
    assert "decontaminate" in web.survey(decontaminate=(str(sets),), decontaminate_words=12).report["removals"]


def test_two_workers_find_what_one_does(web):
    from chainrule.data import survey

    settings = TextConfig(paths=(str(web.texts),), filters=("fineweb",), languages=("en",), pii="mask")
    alone = survey(settings, web.data, workers=1)
    two = survey(settings, web.data.with_name("two"), workers=2)
    assert alone.report == two.report
    assert alone.states.tobytes() == two.states.tobytes()


def test_settings_that_are_as_they_ever_were_leave_older_surveys_valid(workshop, make_prose):
    """The key is that of before there were filters: of this listing, with sizes and times put to fixed ones."""
    plain = TextConfig(paths=(str(workshop.write("a.txt", make_prose(1)).parent),))
    listing = list_files(plain.paths)
    key = survey_key(plain, listing)
    assert survey_key(plain.model_copy(update={"mixture": ("a=1",)}), listing) == key
    assert survey_key(plain.model_copy(update={"pii": "mask"}), listing) != key
    assert survey_key(plain.model_copy(update={"filters": ("c4",)}), listing) != key


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("filters", ("gopher-qualty",), "Did you mean 'gopher-quality'?"),
        ("languages", ("english",), "'english' is no language that is known. Known: ar, bg"),
        ("pii", "hide", "'keep' or 'mask'"),
        ("mixture", ("books",), "'books' is no source with its weight"),
        ("mixture", ("books=0 code=0",), "at least one must be more than zero"),
        ("mixture", ("books=1", "x: code=1"), "before the colon stand the tokens"),
        ("mixture", ("books=1", "20M: code=1", "10M: code=1"), "begins at 10,000,000 tokens, not after"),
        ("mixture", ("5M: books=1",), "the first stage"),
        ("mixture", ("books=-1",), "weights of zero or more"),
    ],
)
def test_a_word_that_is_not_known_is_refused_with_the_nearest(setting, value, told):
    with pytest.raises(ConfigError) as fault:
        resolve([Layer("flag", {"text": {setting: value}})])
    assert told in str(fault.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "there is no such file"), ("Too short.", "has 13 words in a row"), ('{"a": 1\n', "mend it")],
)
def test_a_set_that_cannot_be_used_is_refused(web, tmp_path, content, told):
    path = tmp_path / ("set.jsonl" if content and content.startswith("{") else "set.txt")
    if content:
        path.write_text(content)
    with pytest.raises(DataError, match=told) as fault:
        web.survey(decontaminate=(str(path),))
    assert "text.decontaminate" in str(fault.value)


def test_a_look_reads_what_filters_change(web):
    assert look_at_text(TextConfig(paths=(str(web.texts),), filters=("c4",)))["n_found"] == 0
