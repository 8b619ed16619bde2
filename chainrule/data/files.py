"""From what the user names to the list of files that will be read, with their state at that moment.

A folder is walked without what is not the person's own text (folders.py); files in it are taken by suffix
(formats.py), .json by its beginning (json_head.py), and all others are counted as ignored. A document is what its
content says (signatures.py). A file that is named itself, or matched by a glob, is read
whatever its suffix. What is no regular file, or is not readable, is named with its kind: an error, or left out and
listed, as `on_bad` says.
"""

import errno
import glob
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from chainrule.base import DataError, MissingPackageError
from chainrule.config import TextConfig
from chainrule.data.decompression import FAULTS, decompressed
from chainrule.data.folders import Entry, shown, walk
from chainrule.data.formats import EVERYTHING, Names, UnreadFormatError, passed_as
from chainrule.data.json_head import holds_text
from chainrule.data.king_james import KING_JAMES, king_james_files
from chainrule.data.policy import OnBad, refuse_system_fault
from chainrule.data.remote import is_remote, remote_files
from chainrule.data.signatures import DOCUMENTS, kind_by_content, looks_like_text
from chainrule.data.standard_library import LIBRARY, library_files
from chainrule.data.whole_files import EXTRA

# Words that stand for a text: path, kind and source name of each of its files.
NAMED_TEXTS = {LIBRARY: library_files, KING_JAMES: king_james_files}
# A table of figures by source stays readable; a folder with more entries than this is one source.
MOST_SOURCES = 64
MANY = "text"
# Entries of a folder among which the one that was probably meant is looked for.
MOST_NEIGHBOURS = 10_000
# Of a file whose content says what kind it is.
HEAD_BYTES = 4096
# Of suffixes that were passed over so many are looked at, but for what is text and nothing that a person writes.
SUFFIX, MOST_SUGGESTED = re.compile(r"\.[\w-]{1,12}"), 20
KNOWN_AS_OTHER = (
    ".svg .map .lock .pem .crt .csr .sum .pyc .png .jpg .jpeg .gif .bmp .tif .tiff .webp .heic .ico .psd .mp3 .wav"
    " .flac .ogg .m4a .aac .opus .mp4 .mkv .avi .mov .webm .zip .tar .tgz .7z .rar .jar .whl .exe .dll .so .dylib .o"
    " .a .class .bin .dat .ttf .otf .woff .woff2 .db .sqlite .npy .npz .pt .pth .pkl .onnx .gguf .safetensors .iso"
    " .dmg .deb .rpm"
)
NO_PROSE = frozenset(KNOWN_AS_OTHER.split())
JSON = ".json without text"
"""What .json files are counted as that were passed over in a folder."""
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}


@dataclass(frozen=True, slots=True)
class TextFile:
    """One file to read, as it was when it was listed."""

    path: str
    kind: str
    """text; of rows: jsonl, json, csv, tsv, parquet; mbox; or one of those that are read whole (whole_files.py)."""
    codec: str
    """Compression: gzip, zstd, xz, bz2, or the empty string."""
    size: int
    mtime_ns: int
    source: str
    named: bool = False
    """The user named this file itself, so it is refused rather than passed over when it is binary."""


@dataclass
class Listing:
    """All files to read, in reading order, how many were passed over, by reason, and what could not be read."""

    on_bad: OnBad = "error"
    names: Names = EVERYTHING
    files: list[TextFile] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    left_out: list[str] = field(default_factory=list)
    examples: dict[str, str] = field(default_factory=dict)
    """The first path of each reason to be passed over."""

    def pass_over(self, reason: str, path: str) -> None:
        """Counts what is no text, or none of the person's own."""
        self.ignored[reason] += 1
        self.examples.setdefault(reason, path)

    def leave_out(self, reason: str, remedy: str) -> None:
        """Notes why a file or folder is left out; raises DataError when `on_bad` is error."""
        if self.on_bad == "error":
            raise DataError(f"{reason}; {remedy}, or set text.on_bad to skip")
        self.left_out.append(reason)


class Root(NamedTuple):
    """One thing that the user named."""

    path: str
    named: bool = True
    """False for what a glob matched."""


def list_files(paths: Sequence[str], on_bad: OnBad = "error", config: TextConfig | None = None) -> Listing:
    """The files below `paths` (folders, files, globs, named texts); `config` says what the text of a .json file is.

    Raises DataError when a path is not there or none gives a file, and for what cannot be read when `on_bad` is error.
    """
    if not paths:
        raise DataError(f"no text was named; give folders, files or globs, or one of {', '.join(NAMED_TEXTS)}")
    config = config or TextConfig()
    listing, seen = Listing(on_bad, Names(frozenset(config.suffixes))), set[tuple[int, int]]()
    for file, identity in _found([root for path in paths for root in _roots(path)], listing, config):
        if identity not in seen:
            seen.add(identity)
            listing.files.append(file)
        else:
            listing.pass_over("another name of a file that is read", file.path)
    _suggest_suffixes(listing)
    if not listing.files:
        ignored = ", ".join(f"{count} {reason}" for reason, count in listing.ignored.most_common(5))
        left_out = f"; left out: {len(listing.left_out)}, such as {listing.left_out[0]}" if listing.left_out else ""
        raise DataError(
            f"{', '.join(map(shown, paths))}: no text there (ignored: {ignored or 'nothing'}{left_out}). In a folder, "
            "files are taken by suffix (.txt, .md, .pdf, .docx, .html, .jsonl, .csv, .py, … also .gz, .zst, .xz, .bz2; "
            "more by text.suffixes), and "
            ".json when it begins with rows that have the field of text.field or a conversation; a file that is named "
            "itself is read whatever its suffix"
        )
    return listing


def _absolute(path: str) -> str:
    named = path in NAMED_TEXTS or is_remote(path)
    return path if named else os.path.abspath(Path(path).expanduser())  # noqa: PTH100 (a link stays a link)


def absolute_texts(config: TextConfig) -> dict[str, tuple[str, ...]]:
    """The settings of the text that name files, from the root of the file system; words of named texts as they are.

    Raises DataError for a path that is not there and a glob that matches nothing; reads no folder.
    """
    named = {"paths": config.paths, "decontaminate": config.decontaminate}
    for path in (*config.paths, *config.decontaminate):
        _roots(path)
    return {name: tuple(map(_absolute, paths)) for name, paths in named.items() if paths}


def roots_of(paths: Sequence[str]) -> list[str]:
    """The folders and files that paths stand for, and words of named texts as they are; raises as absolute_texts."""
    return [root.path for path in paths for root in _roots(path)]


def _roots(path: str) -> list[Root]:
    """The path itself, or what it matches as a glob."""
    if path in NAMED_TEXTS or is_remote(path):
        return [Root(path)]
    if not path.strip():
        raise DataError(
            "a path is empty (a shell variable that is not set?); name a folder, a file or a glob, `.` for this folder"
        )
    expanded = str(Path(path).expanduser())
    if os.path.lexists(expanded):
        return [Root(expanded)]
    if not glob.has_magic(expanded):
        raise DataError(f"{shown(path)}: there is no such file or folder.{_nearest_path(expanded)}")
    # Path.glob takes no absolute patterns.
    matches = sorted(glob.glob(expanded, recursive=True), key=os.fsencode)  # noqa: PTH207
    if not matches:
        raise DataError(f"{shown(path)}: nothing matches this glob")
    return [Root(match, named=False) for match in matches]


def _nearest_path(path: str) -> str:
    """The path beside the one that is not there whose name is most like it, or one of the texts that need no path."""
    given = Path(path)
    folder = given.absolute().parent
    if not folder.is_dir():
        return f" The folder {shown(str(given.parent))} is not there either."
    with os.scandir(folder) as entries:
        names = [entry.name for entry in islice(entries, MOST_NEIGHBOURS)]
    close = get_close_matches(given.name, [*names, *(NAMED_TEXTS if given.name == path else ())], n=1)
    return f" Did you mean {shown(str(given.with_name(close[0])))}?" if close else ""


def _found(roots: list[Root], listing: Listing, config: TextConfig) -> Iterator[tuple[TextFile, tuple[int, int]]]:
    """Every file with its identity; its source is the entry of a single folder, else what the user named."""
    names = {root.path: _name(root.path) for root in roots}
    crowded = len(set(names.values())) > MOST_SOURCES
    for root in roots:
        source = MANY if crowded else names[root.path]
        if root.path in NAMED_TEXTS:
            for path, kind, part in NAMED_TEXTS[root.path]():
                yield from _inspect(listing, path, kind, "", part)
        elif is_remote(root.path):
            yield from _remote(root.path, listing, source)
        elif os.path.isdir(root.path):  # noqa: PTH112 (Path.is_dir raises for a link to itself)
            entries = [
                entry
                for entry in walk(root.path, listing.names, listing.pass_over, listing.leave_out)
                if _taken(entry, listing, config)
            ]
            by_entry = len(roots) == 1 and len({entry.top for entry in entries}) <= MOST_SOURCES
            for entry in entries:
                yield from _inspect(listing, *entry[:3], entry.top if by_entry else source)
        else:
            try:
                kind, codec = listing.names.named_kind(Path(root.path).name)
            except UnreadFormatError as fault:
                if root.named:
                    raise DataError(f"{shown(root.path)}: {fault}") from None
                listing.pass_over(passed_as(Path(root.path).name, listing.names), root.path)
            else:
                yield from _inspect(listing, root.path, kind, codec, source, named=root.named)


def _remote(path: str, listing: Listing, source: str) -> Iterator[tuple[TextFile, tuple[int, int]]]:
    """The files of a remote place by their names alone: reading the beginning of each costs a request."""
    files = remote_files(path)
    for place, size, mtime_ns in files:
        name, named = Path(place).name, len(files) == 1
        kind, codec = listing.names.kind_and_codec(name)
        kind = kind or ("text" if named else "")
        if not kind or kind in listing.names.missing or (kind == "json" and not named):
            listing.pass_over(JSON if kind == "json" else passed_as(name, listing.names), place)
        else:
            yield TextFile(place, kind, codec, size, mtime_ns, source, named), (-1, hash(place))


def _taken(entry: Entry, listing: Listing, config: TextConfig) -> bool:
    """False for a .json file without text, which is counted."""
    taken = entry.kind != "json" or holds_text(entry.path, entry.codec, config)
    if not taken:
        listing.pass_over(JSON, entry.path)
    return taken


def _name(path: str) -> str:
    name = Path(path).name
    return shown(name if name not in ("", "..") else Path(os.path.realpath(path)).name)


def _inspect(
    listing: Listing, path: str, kind: str, codec: str, source: str, *, named: bool = False
) -> Iterator[tuple[TextFile, tuple[int, int]]]:
    """The file as it is now, and its identity on the machine; nothing when it is not regular or not readable."""
    try:
        state = os.stat(path)  # noqa: PTH116 (a Path for each of a million files takes longer than the call)
    except OSError as fault:
        refuse_system_fault(path, fault)
        listing.leave_out(f"{shown(path)}: is {_unreachable(path, fault)}", "remove it or put the file there")
        return
    if not stat.S_ISREG(state.st_mode):
        what = KINDS.get(stat.S_IFMT(state.st_mode), "something else")
        listing.leave_out(f"{shown(path)}: is {what}, not a regular file", "copy its content into a file first")
    elif not os.access(path, os.R_OK):
        listing.leave_out(f"{shown(path)}: is unreadable: permission was denied", "let it be read")
    else:
        identity = state.st_dev, state.st_ino
        if kind in DOCUMENTS or (named and listing.names.shows_itself(Path(path).name, kind)):
            kind = kind_by_content(_head(path, codec), kind, is_known=listing.names.is_known(Path(path).name))
        if kind in listing.names.missing:
            if named:
                raise MissingPackageError(f"reading {shown(path)}", listing.names.missing[kind], EXTRA)
            listing.pass_over(passed_as(Path(path).name, listing.names), path)
            return
        yield TextFile(path, kind, codec, state.st_size, state.st_mtime_ns, source, named), identity


def _suggest_suffixes(listing: Listing) -> None:
    """Says of suffixes that were passed over how they are read, where their first file looks like text."""
    unknown = [reason for reason in listing.ignored if SUFFIX.fullmatch(reason) and reason not in NO_PROSE]
    for suffix in unknown[:MOST_SUGGESTED]:
        if looks_like_text(_head(listing.examples[suffix], "")):
            listing.ignored[f"{suffix} (text? --text.suffixes {suffix})"] = listing.ignored.pop(suffix)


def _head(path: str, codec: str) -> bytes:
    """The first bytes of the content; none of what cannot be read, of which its reader tells."""
    if is_remote(path):
        return b""
    try:
        # A pipe would be waited for.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return b""
        with Path(path).open("rb") as raw:
            return decompressed(codec, raw).read(HEAD_BYTES)
    except FAULTS:
        return b""


def _unreachable(path: str, fault: OSError) -> str:
    if fault.errno == errno.ELOOP:
        return "a symbolic link that leads back to itself"
    if Path(path).is_symlink() and isinstance(fault, FileNotFoundError):
        return "a broken symbolic link"
    return f"unreadable ({fault.strerror})"
