"""What is held out of texts of every make, and what a person is told of it."""

import pytest

from chainrule.data import units


def sizes(found):
    return {split: sum(len(text.encode()) for text in found.texts(split)) for split in ("train", "validation")}


@pytest.mark.parametrize("end", ["", "\nThe end.\n"])
@pytest.mark.parametrize("n_files", [1, 3])
@pytest.mark.parametrize("title", ["", "# A title\n"])
def test_text_in_one_line_is_cut_inside_the_line(workshop, make_prose, end, n_files, title):
    for index in range(n_files):
        workshop.write(f"{index}.txt", title + make_prose(index, 3000).replace("\n", " ") + end)
    found = workshop.survey()
    held = sizes(found)
    assert 0.04 <= held["validation"] / sum(held.values()) <= 0.06
    assert "".join(found.texts("train"))[-1] == " "


def test_held_out_text_has_a_limit_and_what_is_cut_is_whole_when_joined(workshop, make_prose, monkeypatch):
    monkeypatch.setattr(units, "UNIT_BYTES", 1 << 19)
    books = [make_prose(index, 60_000) for index in range(6)]
    for index, book in enumerate(books):
        workshop.write(f"{index}.txt", book)
    for index in range(40):
        workshop.write(f"small-{index}.txt", make_prose(100 + index))
    found = workshop.survey(validation_bytes=30_000)
    assert len(found.cuts) == 6
    held = sizes(found)
    assert 25_000 <= held["validation"] <= 35_000
    assert held["train"] + held["validation"] == found.report["bytes"]
    whole = "".join(found.texts("train")) + "".join(found.texts("validation"))
    assert sorted(whole.split("\n")) == sorted(
        "".join([*books, *(make_prose(100 + index) for index in range(40))]).split("\n")
    )
    assert found.report["notes"][-1].startswith("held out: about 29.3 KiB (text.validation_bytes)")
    # Each book's end, at the end of a line.
    ends = list(found.texts("validation"))
    assert all(any(end.endswith(book[-200:]) for end in ends) for book in books)
    assert found.report["held_out"] == "documents and ends of huge ones"


def test_documents_in_one_file_are_told_and_held_out_whole(workshop, make_prose, monkeypatch):
    stories = [make_prose(index) for index in range(300)]
    path = workshop.write("stories.txt", "<|endoftext|>\n".join(stories))
    found = workshop.survey(paths=(str(path),))
    assert found.report["notes"] == ["stories.txt: 300 documents, separated by <|endoftext|>"]
    assert not found.cuts and set(found.texts("validation")) <= set(stories)
    states = found.states.tolist()
    monkeypatch.setattr(units, "UNIT_BYTES", 1 << 16)
    workshop.data = workshop.data / "again"
    again = workshop.survey(paths=(str(path),))
    assert again.n_units > 3 and again.states.tolist() == states


def test_a_file_may_be_kept_whole(workshop, make_prose):
    path = workshop.write("a.txt", "<|endoftext|>\n".join(make_prose(index) for index in range(9)))
    report = workshop.survey(paths=(str(path),), separator="none").report
    assert (report["documents"], report["notes"]) == (1, [])


def test_a_mark_inside_lines_and_a_separator_that_is_nowhere_are_told(workshop, make_prose):
    path = workshop.write("a.txt", "<|endoftext|>".join(make_prose(index) for index in range(9)))
    report = workshop.survey(paths=(str(path),)).report
    assert report["documents"] == 1
    assert report["notes"][0].startswith("<|endoftext|> stands inside lines and is read as text")
    notes = workshop.survey(paths=(str(path),), separator="==").report["notes"]
    assert notes == ["text.separator '==' stands on no line of its own: each file is one document"]


def test_what_was_left_out_is_told_in_one_line(workshop):
    workshop.fill(10)
    workshop.write("bad.txt", b"caf\xe9")
    workshop.write("image.txt", b"GIF\0\0")
    (workshop.texts / "gone.txt").symlink_to("/nowhere")
    (note,) = workshop.survey(on_bad="skip").report["notes"]
    assert note.startswith("left out: 1 bad document, 1 unreadable file or folder, 1 binary file; ")
    assert "gone.txt: is a broken symbolic link" in note and note.endswith(
        "all in survey/left_out.jsonl, in the data folder"
    )


def test_an_ordinary_text_needs_no_notes(workshop):
    workshop.fill(30)
    assert workshop.survey().report["notes"] == []


def test_huge_documents_that_are_cut_become_tokens_on_both_sides(workshop, make_prose):
    for index in range(4):
        workshop.write(f"{index}.txt", make_prose(index, 8000))
    manifest = workshop.prepare(validation_bytes=4000)
    held = manifest.tokens("validation")
    assert 3000 < held < 5000
    assert manifest.tokens("train") + held == manifest.report.bytes + 8


def test_json_files_that_were_passed_over_are_told(workshop):
    workshop.fill(10)
    for index in range(2):
        workshop.write(f"{index}.json", '{"compilerOptions": {}}')
    (note,) = workshop.survey().report["notes"]
    assert note.startswith("passed over: 2 .json files do not begin with a field 'text' or a conversation")
