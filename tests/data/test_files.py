import os
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from chainrule.base import DataError
from chainrule.data.files import MOST_SOURCES, list_files
from chainrule.data.folders import shown
from chainrule.data.formats import kind_and_codec


def names(listing):
    return [Path(file.path).name for file in listing.files]


def test_a_folder_gives_its_text_files_in_the_order_of_their_names(workshop):
    for name in ("b.txt", "a.md", "c/d.py", "c/e.rst", "Makefile"):
        workshop.write(name, "text")
    assert names(list_files([str(workshop.texts)])) == ["Makefile", "a.md", "b.txt", "d.py", "e.rst"]


def test_what_is_passed_over_is_counted_by_reason(workshop):
    for name in ("a.txt", "b.png", "c.png", "d.zip", ".hidden", ".git/e.txt", "__pycache__/f.py", "g"):
        workshop.write(name, "text")
    listing = list_files([str(workshop.texts)])
    assert names(listing) == ["a.txt"]
    assert listing.ignored == {".png": 2, ".zip": 1, "hidden": 3, "no suffix": 1}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", ("text", "")),
        ("a.TXT.GZ", ("text", "gzip")),
        ("a.c.zst", ("text", "zstd")),
        ("a.jsonl.xz", ("jsonl", "xz")),
        ("a.ndjson", ("jsonl", "")),
        ("a.tsv.bz2", ("tsv", "bz2")),
        ("a.parquet", ("parquet", "")),
        ("README", ("text", "")),
        ("a.bin", (None, "")),
        ("a.gz", (None, "gzip")),
    ],
)
def test_a_name_says_how_the_file_is_read(name, expected):
    assert kind_and_codec(name) == expected


@pytest.mark.parametrize(
    "name", ["with space.txt", "with\nnewline.txt", "[glob]*?.txt", "é語😀.txt", "x" * 251 + ".txt", "-n.txt", "~.txt"]
)
def test_odd_names_work_named_and_in_a_folder(workshop, name):
    path = workshop.write(name, "text")
    assert names(list_files([str(workshop.texts)])) == [name]
    assert names(list_files([str(path)])) == [name]
    assert "\n" not in shown(path)


def test_names_that_are_no_utf8_work(workshop):
    path = os.fsencode(workshop.texts) + b"/caf\xe9.txt"
    Path(os.fsdecode(path)).write_text("a word or two " * 30)
    found = workshop.survey()
    assert found.report["documents"] == 1
    assert found.report["longest"]["file"].endswith("caf\\xe9.txt")


def test_globs_give_what_they_match_whatever_the_suffix(workshop):
    for name in ("a.log", "b.log", "c.txt", "d/e.log"):
        workshop.write(name, "text")
    assert names(list_files([f"{workshop.texts}/*.log"])) == ["a.log", "b.log"]
    assert names(list_files([f"{workshop.texts}/**/*.log"])) == ["a.log", "b.log", "e.log"]
    with pytest.raises(DataError, match=r"nothing matches this glob"):
        list_files([f"{workshop.texts}/*.tex"])


def test_a_file_that_is_named_twice_is_read_once(workshop):
    path = workshop.write("a.txt", "text")
    (workshop.texts / "b.txt").symlink_to(path)
    assert len(list_files([str(path), str(workshop.texts), f"{workshop.texts}/*"]).files) == 1


def test_links_in_a_circle_end(workshop):
    workshop.write("a/b.txt", "text")
    (workshop.texts / "a" / "again").symlink_to(workshop.texts)
    assert names(list_files([str(workshop.texts)])) == ["b.txt"]


@pytest.mark.parametrize("given", ["", "empty", "missing.txt", "no/such/folder"])
def test_nothing_there_is_an_error_that_names_it(workshop, given):
    (workshop.texts / "empty").mkdir()
    path = str(workshop.texts / given)
    with pytest.raises(DataError, match=r"no text there|no such file") as caught:
        list_files([path])
    assert path in str(caught.value)


def test_no_path_at_all_is_an_error():
    with pytest.raises(DataError, match="no text was named"):
        list_files([])


def test_a_folder_without_text_says_what_it_has_instead(workshop):
    workshop.write("a.png", "x")
    workshop.write("a.json", '{"name": "a package"}')
    with pytest.raises(DataError, match=r"1 \.json without text, 1 \.png\).*\.json when it begins with rows"):
        list_files([str(workshop.texts)])


def bind_socket(path):
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkfifo, "FIFO"),
        (lambda path: path.symlink_to("/nowhere/at/all"), "broken symbolic link"),
        (lambda path: path.symlink_to("/dev/zero"), "character device"),
        (lambda path: path.symlink_to(path), "symbolic link that leads back to itself"),
        (bind_socket, "socket"),
    ],
)
def test_what_is_no_regular_file_is_refused_with_its_kind(workshop, monkeypatch, make, kind):
    # A socket's path must be short.
    monkeypatch.chdir(workshop.texts)
    make(Path("a.txt"))
    for given in ("a.txt", "."):
        with pytest.raises(DataError, match=kind) as caught:
            list_files([given])
        assert "a.txt" in str(caught.value)
    Path("b.txt").write_text("text")
    for on_bad in ("skip", "replace"):
        listing = list_files(["."], on_bad)
        assert names(listing) == ["b.txt"]
        assert len(listing.left_out) == 1 and kind in listing.left_out[0] and "a.txt" in listing.left_out[0]


def test_two_links_to_each_other_are_told_and_end(workshop):
    workshop.write("a.txt", "text")
    (workshop.texts / "b").symlink_to(workshop.texts / "c.txt")
    (workshop.texts / "c.txt").symlink_to(workshop.texts / "b")
    assert names(list_files([str(workshop.texts)], "skip")) == ["a.txt"]
    with pytest.raises(DataError, match=r"c\.txt: is a symbolic link that leads back to itself; remove it"):
        list_files([str(workshop.texts)])


def test_what_cannot_be_opened_is_listed_and_counted_when_skipping(workshop):
    workshop.fill(10)
    (workshop.texts / "gone.txt").symlink_to("/nowhere/at/all")
    os.mkfifo(workshop.texts / "pipe.txt")
    found = workshop.survey(on_bad="skip")
    assert (found.report["unreadable"], found.report["documents"]) == (2, 10)
    listed = (workshop.data / "survey" / "left_out.jsonl").read_text()
    assert "gone.txt: is a broken symbolic link" in listed and "pipe.txt: is a named pipe" in listed


def test_when_all_is_left_out_the_error_names_the_first_of_it(workshop):
    (workshop.texts / "gone.txt").symlink_to("/nowhere/at/all")
    with pytest.raises(DataError, match=r"no text there .*left out: 1, such as .*gone\.txt: is a broken symbolic link"):
        list_files([str(workshop.texts)], "skip")


@pytest.mark.parametrize("path", ["", " "])
def test_an_empty_path_is_no_path(path):
    with pytest.raises(DataError, match=r"a path is empty"):
        list_files([path])


def test_devices_and_folders_in_place_of_files_are_refused():
    with pytest.raises(DataError, match="/dev/zero: is a character device"):
        list_files(["/dev/zero"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(workshop):
    workshop.write("a.txt", "x").chmod(0)
    with pytest.raises(DataError, match="permission was denied"):
        list_files([str(workshop.texts)])


@contextmanager
def nobody():
    """This process without root's right to read everything."""
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become nobody")
def test_unreadable_files_and_folders_are_left_out_or_refused():
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.txt", "b.txt", "c/d.txt"):
            Path(folder, name).parent.mkdir(exist_ok=True)
            Path(folder, name).write_text("text")
        Path(folder).chmod(0o755)
        Path(folder, "b.txt").chmod(0)
        Path(folder, "c").chmod(0)
        with nobody():
            listing = list_files([folder], "skip")
            with pytest.raises(DataError, match=r"permission was denied; let it be read|cannot be listed"):
                list_files([folder])
    assert names(listing) == ["a.txt"]
    assert sorted(reason.removeprefix(folder) for reason in listing.left_out) == [
        "/b.txt: is unreadable: permission was denied",
        "/c: cannot be listed: Permission denied",
    ]


@pytest.mark.parametrize(
    ("name", "advice"),
    [("a.zip", "unpack it"), ("a.tar.gz", "unpack it"), ("a.txt.gz.gz", "archives")],
)
def test_formats_that_are_not_read_are_refused_with_advice(workshop, name, advice):
    path = workshop.write(name, "x")
    with pytest.raises(DataError, match=advice):
        list_files([str(path)])


def test_json_that_is_named_is_read_whatever_is_in_it(workshop):
    workshop.write("a.txt", "text")
    path = workshop.write("a.json", "[]")
    assert names(list_files([str(workshop.texts)])) == ["a.txt"]
    assert list_files([str(path)]).files[0].kind == list_files([f"{workshop.texts}/*.json"]).files[0].kind == "json"


def test_sources_are_the_entries_of_a_single_folder(workshop):
    for name in ("a.txt", "b/c.txt", "b/d/e.txt"):
        workshop.write(name, "text")
    assert [file.source for file in list_files([str(workshop.texts)]).files] == ["a.txt", "b", "b"]


def test_sources_are_what_was_named_when_that_is_several_things(workshop):
    for name in ("one/a.txt", "two/b.txt", "three.txt"):
        workshop.write(name, "text")
    given = [str(workshop.texts / name) for name in ("one", "two", "three.txt")]
    assert [file.source for file in list_files(given).files] == ["one", "two", "three.txt"]


def test_a_crowded_folder_is_one_source(workshop):
    for index in range(MOST_SOURCES + 1):
        workshop.write(f"{index}.txt", "text")
    assert {file.source for file in list_files([str(workshop.texts)]).files} == {"texts"}


def test_run_folders_among_the_texts_are_passed_over(workshop):
    workshop.write("a.txt", "text")
    for name in ("config.toml", "events.jsonl", "data/manifest.json"):
        workshop.write(f"runs/first/{name}", "{}")
    listing = list_files([str(workshop.texts)])
    assert names(listing) == ["a.txt"]
    assert listing.ignored == {"run folder": 1}


def test_what_was_prepared_inside_the_texts_is_no_text(workshop, make_prose):
    workshop.write("a.txt", make_prose(0))
    workshop.write("bad.txt", b"caf\xe9")
    workshop.data = workshop.texts / "prepared"
    assert workshop.survey(on_bad="skip").report["documents"] == 1
    workshop.write("b.txt", make_prose(1))
    assert workshop.survey(on_bad="skip").report["documents"] == 2


def test_a_path_that_is_not_there_is_answered_with_its_neighbour(tmp_path):
    (tmp_path / "my_texts").mkdir()
    with pytest.raises(DataError, match=r"no such file or folder\. Did you mean .*my_texts\?"):
        list_files([str(tmp_path / "my_text")])
    with pytest.raises(DataError, match=r"The folder .*nowhere is not there either"):
        list_files([str(tmp_path / "nowhere" / "texts")])
    with pytest.raises(DataError, match="Did you mean king-james"):
        list_files(["king-jame"])
