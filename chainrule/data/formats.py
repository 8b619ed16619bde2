"""What a file's name says about how it is read.

To add a format of text: a suffix here; of rows, a kind in ROWS with its function in rows.py; of files that are read
whole, a row in whole_files.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from chainrule.data.whole_files import EXTRA, WHOLE_FILES, missing_packages

CODECS = {".gz": "gzip", ".zst": "zstd", ".xz": "xz", ".bz2": "bz2"}
STRUCTURED = {
    **{".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"},
    **{".csv": "csv", ".tsv": "tsv", ".parquet": "parquet", ".mbox": "mbox"},
    **{suffix: kind for kind, one in WHOLE_FILES.items() for suffix in one.suffixes},
}
# Kinds whose bytes are no text, whatever their first ones look like.
BINARY = frozenset({"parquet", *(kind for kind, one in WHOLE_FILES.items() if one.binary)})
ARCHIVES = frozenset({".zip", ".tar", ".tgz", ".tbz2", ".txz", ".7z", ".rar"})
# Formats that hold text and are not read, and what they are turned into.
SAVED_AS = {
    **dict.fromkeys((".doc", ".dot", ".wpd", ".wps", ".pages"), ".docx"),
    **dict.fromkeys((".ppt", ".pptx", ".odp", ".key", ".djvu", ".xps", ".ps"), ".pdf"),
    **dict.fromkeys((".xls", ".xlsx", ".xlsm", ".ods", ".numbers"), ".csv"),
    **dict.fromkeys((".mobi", ".azw", ".azw3", ".fb2", ".lit"), ".epub"),
    **dict.fromkeys((".msg", ".pst"), ".mbox"),
    **dict.fromkeys((".mht", ".mhtml", ".webarchive"), ".html"),
}
PROSE = ".txt .text .md .markdown .abc .ly .fountain"
MARKUP = ".rst .org .adoc .tex .xml"
CODE = (
    ".py .pyi .pyx .js .mjs .cjs .jsx .ts .tsx .c .h .cc .cpp .cxx .hh .hpp .cu .cuh .m .mm .java .kt .kts .scala"
    " .groovy .cs .fs .vb .go .rs .zig .nim .d .swift .dart .rb .php .pl .pm .lua .r .jl .hs .ml .mli .ex .exs .erl"
    " .clj .lisp .el .scm .rkt .sh .bash .zsh .fish .ps1 .sql .css .scss .less .vue .svelte .proto .thrift .graphql"
    " .cmake .mk .asm .s .f .f90 .pas .v .vhd .sv .tcl .vim .toml .yaml .yml .ini .cfg .conf"
)
TEXT_SUFFIXES = frozenset(f"{PROSE} {MARKUP} {CODE}".split())
CODE_SUFFIXES, MARKUP_SUFFIXES = frozenset(CODE.split()), frozenset(MARKUP.split())
TEXT_NAMES = frozenset({"Makefile", "Dockerfile", "README", "LICENSE", "COPYING", "NEWS", "AUTHORS", "CHANGES"})


class UnreadFormatError(ValueError):
    """A format that is not read, with what to do instead."""


@dataclass(frozen=True)
class Names:
    """How a file is read by its name, on this machine and with these settings."""

    plain: frozenset[str] = frozenset()
    """Suffixes that are read as plain text besides, whatever else they would be."""
    missing: Mapping[str, str] = field(default_factory=missing_packages)
    """Kinds that cannot be read here, each with the package that it lacks."""

    def kind_and_codec(self, name: str) -> tuple[str | None, str]:
        """The kind (None: the name is not one of a text) and the compression of a file of this name."""
        stem, suffix = _split(name)
        codec = CODECS.get(suffix, "")
        if codec:
            name, suffix = stem, _split(stem)[1]
        if suffix in self.plain:
            return "text", codec
        if suffix in STRUCTURED:
            return STRUCTURED[suffix], codec
        known = suffix in TEXT_SUFFIXES or (not suffix and name in TEXT_NAMES)
        return ("text" if known else None), codec

    def named_kind(self, name: str) -> tuple[str, str]:
        """The same for a file that was named itself, plain text unless its name says else; raises UnreadFormatError."""
        kind, codec = self.kind_and_codec(name)
        inner = (PurePath(PurePath(name).stem) if codec else PurePath(name)).suffix.lower()
        if inner in ARCHIVES or inner in CODECS:
            raise UnreadFormatError(f"archives ({inner}) are not read; unpack it and give the folder")
        if kind is None and inner in SAVED_AS:
            raise UnreadFormatError(f"{inner} is not read; save it as {SAVED_AS[inner]}")
        return kind or "text", codec

    def shows_itself(self, name: str, kind: str) -> bool:
        """Whether the content of a file with this name may show that it is no plain text, where it was named itself."""
        suffix = _split(name)[1]
        return kind == "text" and suffix not in self.plain | CODE_SUFFIXES | MARKUP_SUFFIXES

    def is_known(self, name: str) -> bool:
        """Whether the name is one of a text by itself."""
        return self.kind_and_codec(name)[0] is not None


def kind_and_codec(name: str) -> tuple[str | None, str]:
    """How a file of this name is read where all extras are installed."""
    return EVERYTHING.kind_and_codec(name)


def passed_as(name: str, names: Names) -> str:
    """As what a file is counted that is passed over for its name: its suffix, and what would help."""
    suffix, (kind, codec) = _split(name)[1], names.kind_and_codec(name)
    if codec:
        suffix = _split(_split(name)[0])[1] + suffix
    if kind in names.missing:
        return f"{suffix} (pip install 'chainrule[{EXTRA}]')"
    if suffix in SAVED_AS:
        return f"{suffix} (save as {SAVED_AS[suffix]})"
    return suffix or "no suffix"


EVERYTHING = Names(missing={})


def _split(name: str) -> tuple[str, str]:
    """Stem and suffix in small letters, as pathlib has them, whose objects are slow for a million names."""
    stem, _, suffix = name.rpartition(".")
    return (stem, f".{suffix.lower()}") if suffix and stem.strip(".") else (name, "")
