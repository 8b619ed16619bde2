import json
import os
import shutil
import sys

import pytest

from chainrule.base import DataError
from chainrule.data import jobs, pieces, range_ends, survey, text, units

# The room's function of that name hides the file.
survey_file = sys.modules["chainrule.data.surveying"]


def kept_texts(found):
    return {split: "".join(found.texts(split)) for split in ("train", "validation")}


def test_every_kept_document_is_on_exactly_one_side(workshop, make_prose):
    workshop.fill(60)
    found = workshop.survey()
    texts = {split: set(found.texts(split)) for split in ("train", "validation")}
    assert texts["train"] | texts["validation"] == {make_prose(index) for index in range(60)}
    assert not texts["train"] & texts["validation"]
    for split in ("train", "validation"):
        assert found.split_bytes(split) == sum(len(text.encode()) for text in texts[split])
    assert 0.02 < found.split_bytes("validation") / found.report["bytes"] < 0.06


def test_the_split_depends_on_content_and_not_on_names(workshop):
    workshop.fill(60)
    before = set(workshop.survey().texts("validation"))
    for path in workshop.texts.iterdir():
        path.rename(workshop.texts / f"{99 - int(path.stem):03d}.md")
    assert set(workshop.survey().texts("validation")) == before


def test_exact_duplicates_are_removed_and_counted(workshop, make_prose):
    workshop.fill(20)
    for index in range(3):
        workshop.write(f"copy-{index}.txt", make_prose(index))
    found = workshop.survey()
    assert (found.report["duplicates"], found.report["documents"], found.report["near_duplicates"]) == (3, 20, 0)


def test_near_duplicates_are_removed_and_counted(workshop, make_prose):
    workshop.fill(20)
    for index in range(3):
        workshop.write(f"near-{index}.txt", make_prose(index) + " and a little more")
    found = workshop.survey()
    assert (found.report["duplicates"], found.report["near_duplicates"], found.report["documents"]) == (0, 3, 20)
    # The earlier one stays.
    assert not any("a little more" in text for split in ("train", "validation") for text in found.texts(split))


@pytest.mark.parametrize("seed", range(4))
def test_what_is_kept_of_alike_documents_is_on_one_side(workshop, make_prose, seed):
    for index in range(30):
        text = make_prose(100 * seed + index)
        workshop.write(f"{index:02d}-a.txt", f"{index} {text}")
        workshop.write(f"{index:02d}-b.txt", f"{index} {text}")
        workshop.write(f"{index:02d}-c.txt", f"{index} {text} more")
    found = workshop.survey(duplicates="keep", near_duplicates="keep", validation_share=0.3)
    sides = {split: {text.split()[0] for text in found.texts(split)} for split in ("train", "validation")}
    assert found.report["documents"] == 90
    assert sides["validation"] and not sides["train"] & sides["validation"]


def test_a_single_book_is_cut_at_a_line_and_the_report_says_so(workshop, make_prose):
    book = make_prose(0, 20_000)
    workshop.write("book.txt", book)
    found = workshop.survey()
    texts = kept_texts(found)
    assert texts["train"] + texts["validation"] == book
    assert texts["train"].endswith("\n")
    assert abs(len(texts["validation"]) / len(book) - 0.05) < 0.002
    assert found.report["held_out"] == "last share"
    assert "last share of the text" in found.report["warnings"][0]


def test_a_long_book_of_many_pieces_is_cut_as_well(workshop, make_prose):
    book = "".join(f"{index} {make_prose(index, 500)}" for index in range(400))
    workshop.write("book.txt", book)
    texts = kept_texts(workshop.survey())
    assert texts["train"] + texts["validation"] == book
    assert abs(len(texts["validation"]) / len(book) - 0.05) < 0.002


def test_documents_left_out_are_counted_and_listed(workshop, make_prose):
    workshop.fill(10)
    workshop.write("bad.txt", b"caf\xe9")
    workshop.write("image.txt", b"GIF\0\0")
    workshop.write("empty.txt", "")
    workshop.write("blank.txt", " \n\t")
    workshop.write("photo.jpg", "x")
    found = workshop.survey(on_bad="skip")
    report = found.report
    assert (report["files"], report["read_documents"], report["documents"]) == (14, 13, 10)
    assert (report["bad"], report["empty"], report["encoding_errors"]) == (1, 2, 1)
    assert report["skipped_by"] == {".jpg": 1, "binary": 1}
    listed = [
        json.loads(line)["reason"] for line in (workshop.data / "survey" / "left_out.jsonl").read_text().splitlines()
    ]
    assert len(listed) == 2
    assert "bad.txt: byte 3: invalid UTF-8" in listed[0] and "image.txt: is binary" in listed[1]


def test_replaced_places_are_counted(workshop):
    workshop.fill(10)
    workshop.write("bad.txt", b"caf\xe9 caf\xe9 and more words \xff")
    workshop.write("rows.jsonl", b'{"text": "caf\xe9 of a row"}\n{"text": "half \\ud800"}\n{"text": 7}\n')
    workshop.write("rows.csv", b"text\nof a caf\xe9 in a table\n")
    report = workshop.survey(on_bad="replace").report
    assert (report["bad"], report["encoding_errors"], report["documents"]) == (1, 6, 14)


def test_a_named_binary_file_is_refused(workshop):
    path = workshop.write("image.txt", b"GIF\0\0")
    with pytest.raises(DataError, match=r"image\.txt: is binary"):
        workshop.survey(paths=(str(path),))


@pytest.mark.parametrize("files", [{"a.txt": ""}, {"a.txt": " \n", "b.txt": b"\0"}, {"a.jsonl": '{"text": ""}\n'}])
def test_no_text_at_all_is_an_error_that_names_the_folder(workshop, files):
    for name, content in files.items():
        workshop.write(name, content)
    with pytest.raises(DataError, match=r"texts: no text there"):
        workshop.survey()


def test_longest_shortest_and_sources_are_reported(workshop, make_prose):
    workshop.write("one/a.txt", make_prose(0, 50))
    workshop.write("one/b.txt", make_prose(1, 900))
    workshop.write("two.txt", make_prose(2, 100))
    report = workshop.survey().report
    assert report["longest"]["file"].endswith("one/b.txt") and report["shortest"]["file"].endswith("one/a.txt")
    assert report["longest"]["bytes"] == len(make_prose(1, 900))
    assert {name: figures["documents"] for name, figures in report["sources"].items()} == {"one": 2, "two.txt": 1}


def test_a_finished_survey_is_taken_as_it_is(workshop):
    workshop.fill(30)
    first = workshop.survey()
    before = {path: path.stat().st_mtime_ns for path in (workshop.data / "survey").iterdir()}
    again = workshop.survey()
    assert {path: path.stat().st_mtime_ns for path in (workshop.data / "survey").iterdir()} == before
    assert again.report == first.report and again.states.tolist() == first.states.tolist()


def test_other_settings_or_files_make_a_new_survey(workshop):
    workshop.fill(30)
    first = workshop.survey()
    assert workshop.survey(validation_share=0.3).split_bytes("validation") > first.split_bytes("validation")
    workshop.write("more.txt", "some new words that make a document")
    assert workshop.survey().report["documents"] == 31


def test_a_file_that_changed_after_the_survey_is_refused_by_name(workshop, make_prose):
    workshop.fill(30)
    found = workshop.survey()
    path = workshop.texts / "007.txt"
    path.write_text(make_prose(7) + "more")
    with pytest.raises(DataError, match=r"007\.txt: changed while"):
        kept_texts(found)


def test_even_a_change_that_keeps_size_and_time_is_seen_by_its_documents(workshop):
    rows = [f'{{"text": "the words of document number {index:03d} are these"}}\n' for index in range(200)]
    path = workshop.write("a.jsonl", "".join(rows))
    found, state = workshop.survey(near_duplicates="keep"), path.stat()
    path.write_text("".join(rows[:-1]) + " " * len(rows[-1]))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(DataError, match=r"a\.jsonl: its content changed"):
        kept_texts(found)


def test_several_processes_find_the_same(workshop):
    workshop.fill(30)
    alone = workshop.survey()
    tables = {name: (workshop.data / "survey" / name).read_bytes() for name in ("documents.bin", "states.bin")}
    shutil.rmtree(workshop.data)
    seen = []
    together = survey(alone.config, workshop.data, workers=2, on_progress=lambda *row: seen.append(row))
    assert together.report == alone.report
    assert tables == {name: (workshop.data / "survey" / name).read_bytes() for name in tables}
    phases, done, totals = zip(*seen, strict=True)
    assert set(phases) == {"reading"} and list(done) == sorted(done) and done[-1] == totals[-1]


@pytest.mark.parametrize("layout", ["many", "one", "parted"])
def test_a_sample_is_evenly_spread_and_reads_a_part_of_the_text(workshop, make_prose, monkeypatch, layout):
    for module in (pieces, range_ends, text):
        monkeypatch.setattr(module, "PIECE_BYTES", 1000)
    monkeypatch.setattr(units, "UNIT_BYTES", 4000)
    monkeypatch.setattr(survey_file, "SAMPLE_PLACES", 16)
    parts = [make_prose(seed, 90) for seed in range(300)]
    if layout == "many":
        for place, part in enumerate(parts):
            workshop.write(f"{place:03d}.txt", part)
    else:
        workshop.write("a.txt", ("\n==\n" if layout == "parted" else "").join(parts))
    seen = []
    monkeypatch.setattr(survey_file, "read_job", lambda job: seen.append(job) or jobs.read_job(job))
    found = workshop.survey(separator="==" if layout == "parted" else None)
    whole = "".join(found.texts("train"))
    n_jobs = len(seen)
    seen.clear()
    sample = list(found.sample("train", len(whole) // 10))
    assert len(whole) / 20 < sum(map(len, sample)) < len(whole) / 4
    places = [whole.index(part) for part in sample]
    assert places == sorted(places)
    assert len({16 * place // len(whole) for place in places}) >= 14
    assert len(seen) <= 17 < n_jobs
    assert "".join(found.sample("train", len(whole) + 16)) == whole
