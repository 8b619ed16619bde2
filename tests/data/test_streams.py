import builtins
import bz2
import errno
import gzip
import lzma
import os
from random import Random

import pytest
import zstandard

from chainrule.base import DataError, DiskError
from chainrule.config import TextConfig
from chainrule.data import streams, survey, write_shards
from chainrule.data.documents import read_documents
from chainrule.data.files import list_files
from chainrule.data.streams import BinaryFileError, opened
from chainrule.tokenizer.train import byte_tokenizer

COMPRESS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor().compress,
}


def read_all(path):
    (file,) = list_files([str(path)]).files
    with opened(file) as stream:
        stream.refuse_binary()
        return b"".join(iter(lambda: stream.read(100_000), b""))


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize(
    "content", [b"", b"short", Random(0).randbytes(1 << 18).hex().encode()], ids=["nothing", "little", "much"]
)
def test_compressed_files_give_what_went_in(workshop, suffix, content):
    assert read_all(workshop.write(f"a.txt.{suffix}", COMPRESS[suffix](content))) == content


@pytest.mark.parametrize("suffix", COMPRESS)
def test_several_frames_in_one_file_are_read_to_the_end(workshop, suffix):
    content = COMPRESS[suffix](b"one ") + COMPRESS[suffix](b"two")
    assert read_all(workshop.write(f"a.txt.{suffix}", content)) == b"one two"


def long_window(content):
    """As `zstd --long=30` makes it: the header asks for a gibibyte of window."""
    settings = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True, write_content_size=False)
    made = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    return made.compress(content) + made.flush()


def test_zstandard_with_a_long_window_is_read_to_the_end(workshop):
    content = os.urandom(1 << 18).hex().encode()
    packed = long_window(content)
    assert zstandard.get_frame_parameters(packed).window_size == 1 << 30
    assert read_all(workshop.write("a.txt.zst", packed)) == content
    assert read_all(workshop.write("b.txt.zst", packed + long_window(b" and more"))) == content + b" and more"


@pytest.mark.parametrize("share", [0.3, 0.99])
def test_a_long_window_makes_damage_no_other(workshop, share):
    packed = long_window(os.urandom(1 << 16).hex().encode())
    with pytest.raises(DataError, match="truncated at byte"):
        read_all(workshop.write("a.txt.zst", packed[: int(len(packed) * share)]))
    with pytest.raises(DataError, match="damaged"):
        read_all(workshop.write("b.txt.zst", packed[:30] + b"nonsense" * 9 + packed[102:]))


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_truncated_file_says_so_and_where(workshop, suffix, share):
    whole = COMPRESS[suffix](os.urandom(1 << 16).hex().encode())
    path = workshop.write(f"a.txt.{suffix}", whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=rf"a\.txt\.{suffix}: truncated at byte {int(len(whole) * share)}"):
        read_all(path)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_truncated_text_of_one_piece_is_no_document(workshop, suffix):
    whole = COMPRESS[suffix](os.urandom(1 << 14).hex().encode())
    path = workshop.write(f"a.txt.{suffix}", whole[: len(whole) - 20])
    (file,) = list_files([str(path)]).files
    pieces = [piece for piece, _ in read_documents(file, TextConfig())]
    assert [piece.last for piece in pieces] == [True] and "truncated at byte" in pieces[0].bad
    with pytest.raises(DataError, match="truncated at byte"):
        workshop.prepare()


@pytest.mark.parametrize("suffix", COMPRESS)
def test_what_is_not_compressed_at_all_is_damaged(workshop, suffix):
    path = workshop.write(f"a.txt.{suffix}", b"this is plain text, whatever its name says")
    with pytest.raises(DataError, match=r"damaged"):
        read_all(path)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_bomb_is_refused_while_it_unfolds(workshop, monkeypatch, suffix):
    monkeypatch.setattr(streams, "RATIO_FROM", 1 << 20)
    path = workshop.write(f"a.txt.{suffix}", COMPRESS[suffix](b"0" * (4 << 20)))
    with pytest.raises(DataError, match="compression bomb"):
        read_all(path)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_of_a_bomb_no_more_is_given_to_be_worked_on_than_shows_what_it_is(workshop, suffix):
    path = workshop.write(
        f"a.txt.{suffix}", COMPRESS[suffix](Random(0).randbytes(99).hex().encode() + b"0" * (9 << 20))
    )
    (file,) = list_files([str(path)]).files
    given = 0
    with streams.opened(file) as stream, pytest.raises(DataError, match="compression bomb"):
        while part := stream.read(1 << 15):
            given += len(part)
    assert given <= 2 << 20


def test_what_unfolds_far_at_one_place_alone_is_read(workshop):
    content = b"0" * (3 << 20) + Random(0).randbytes(60_000).hex().encode()
    assert read_all(workshop.write("a.txt.gz", gzip.compress(content))) == content


def test_a_bomb_with_a_long_window_is_refused_while_it_unfolds(workshop, monkeypatch):
    monkeypatch.setattr(streams, "RATIO_FROM", 1 << 20)
    with pytest.raises(DataError, match="compression bomb"):
        read_all(workshop.write("a.txt.zst", long_window(b"0" * (4 << 20))))


def test_text_that_compresses_well_is_no_bomb(workshop):
    content = b"2024-01-01 00:00:00 INFO all is well\n" * 100_000
    assert read_all(workshop.write("a.txt.gz", gzip.compress(content))) == content


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"\x7fELF\0\0\0", r"is a program, not text \(byte 4 is NUL"),
        (b"x" * 8000 + b"\0", "byte 8000"),
        (Random(0).randbytes(8192), "NUL"),
    ],
    ids=["a program", "late", "noise"],
)
def test_binary_content_is_refused(workshop, content, hint):
    with pytest.raises(BinaryFileError, match=hint):
        read_all(workshop.write("a.txt", content))


def test_a_file_that_changed_since_it_was_listed_is_refused(workshop):
    path = workshop.write("a.txt", "one")
    (file,) = list_files([str(path)]).files
    path.write_text("other")
    with pytest.raises(DataError, match=r"a\.txt: changed while"), opened(file):
        pass


def test_a_file_that_grows_while_it_is_read_is_refused(workshop):
    path = workshop.write("a.txt", "one")
    (file,) = list_files([str(path)]).files
    with pytest.raises(DataError, match="changed while"), opened(file) as stream:
        assert stream.read(10) == b"one"
        with path.open("a") as writer:
            writer.write("two")


def test_a_file_that_went_away_is_refused(workshop):
    path = workshop.write("a.txt", "one")
    (file,) = list_files([str(path)]).files
    path.unlink()
    with pytest.raises(DataError, match="unreadable"), opened(file):
        pass


@pytest.mark.parametrize("what", ["went away", "changed"])
def test_a_file_that_went_away_or_changed_before_it_was_read_is_left_out_when_skipping(workshop, what):
    workshop.fill(10)
    listing = list_files([str(workshop.texts)], "skip")
    path = workshop.texts / "004.txt"
    path.unlink() if what == "went away" else path.write_text("other words")
    config = TextConfig(paths=(str(workshop.texts),), on_bad="skip")
    found = survey(config, workshop.data, workers=1, listing=listing)
    assert (found.report["bad"], found.report["documents"]) == (1, 9)
    assert "004.txt" in (workshop.data / "survey" / "left_out.jsonl").read_text()
    write_shards(found, byte_tokenizer(), workshop.data, context_length=16, workers=1)
    with pytest.raises(DataError, match=r"004\.txt: (is unreadable|changed while)"):
        survey(config.model_copy(update={"on_bad": "error"}), workshop.data, workers=1, listing=listing)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOTCONN])
@pytest.mark.parametrize("call", ["builtins.open", "os.scandir", "os.stat"])
def test_what_is_no_matter_of_one_file_ends_the_preparation_even_when_skipping(workshop, monkeypatch, number, call):
    # Each further file would meet the same, and a whole text would be left out as if it had been bad.
    (workshop.texts / "below").mkdir()
    workshop.write("below/a.txt", "some words")
    workshop.fill(3)
    module, _, name = call.partition(".")
    real = getattr(builtins if module == "builtins" else os, name)

    def refused(path, *arguments, **options):
        if str(path).startswith(f"{workshop.texts}/"):
            raise OSError(number, os.strerror(number), path)
        return real(path, *arguments, **options)

    monkeypatch.setattr(call, refused)
    with pytest.raises(DiskError, match=r"too many files open|no longer connected"):
        workshop.survey(on_bad="skip")
