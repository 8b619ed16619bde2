"""Text in a remote place is read as here: through fsspec, of which `file://` is a place that every machine has."""

import gzip
import importlib.util
import json

import pytest

from chainrule.base import DataError, MissingPackageError
from chainrule.config import TextConfig
from chainrule.data import list_files, survey

pytest.importorskip("fsspec")


def texts(found):
    return sorted("".join(found.texts("train")) + "".join(found.texts("validation")))


def test_a_remote_folder_gives_the_same_documents(workshop, make_prose, tmp_path):
    workshop.fill(10)
    workshop.write("below/rows.jsonl", "".join(json.dumps({"text": make_prose(100 + row)}) + "\n" for row in range(5)))
    workshop.write("folded.txt.gz", gzip.compress(make_prose(200).encode()))
    workshop.write("picture.png", b"\x89PNG")
    here = workshop.survey()
    there = survey(TextConfig(paths=(workshop.texts.as_uri(),)), tmp_path / "there", workers=2)
    assert sorted(map(bytes, there.table["digest"])) == sorted(map(bytes, here.table["digest"]))
    assert texts(there) == texts(here)
    assert there.report["skipped_by"] == {".png": 1}


def test_globs_and_single_files_are_found(workshop, make_prose):
    workshop.fill(3)
    assert len(list_files((f"{workshop.texts.as_uri()}/*1.txt",)).files) == 1
    (file,) = list_files((f"{workshop.texts.as_uri()}/001.txt",)).files
    assert file.named
    assert file.source == "001.txt"


def test_a_remote_file_that_changes_is_refused(workshop, make_prose, tmp_path):
    workshop.fill(3)
    listing = list_files((workshop.texts.as_uri(),))
    workshop.write("001.txt", "other")
    with pytest.raises(DataError, match="changed while it was being prepared"):
        survey(TextConfig(paths=(workshop.texts.as_uri(),)), tmp_path / "data", workers=1, listing=listing)


@pytest.mark.parametrize(
    ("path", "told"),
    [("file:///nowhere/at/all", "there is no such file"), ("nosuch://x/y", "is no place that is known")],
)
def test_a_place_that_is_not_there_is_told(path, told):
    with pytest.raises(DataError, match=told):
        list_files((path,))


@pytest.mark.skipif(importlib.util.find_spec("s3fs") is not None, reason="s3fs is installed")
def test_without_the_package_the_extra_is_named():
    with pytest.raises(MissingPackageError, match=r"reading s3:// needs s3fs: pip install 'chainrule\[remote\]'"):
        list_files(("s3://bucket/folder",))
