"""What a file's name says about how it is read.

To add a format of text: a suffix here; of rows, a kind in ROWS with its function in rows.py; of files that are read
whole, a row in whole_files.py.
"""

from pathlib import PurePath

from chainrule.data.whole_files import WHOLE_FILES

CODECS = {".gz": "gzip", ".zst": "zstd", ".xz": "xz", ".bz2": "bz2"}
STRUCTURED = {
    **{".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"},
    **{".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"},
    **{suffix: kind for kind, one in WHOLE_FILES.items() for suffix in one.suffixes},
}
# Kinds whose bytes are no text, whatever their first ones look like.
BINARY = frozenset({"parquet", *(kind for kind, one in WHOLE_FILES.items() if one.binary)})
ARCHIVES = frozenset({".zip", ".tar", ".tgz", ".tbz2", ".txz", ".7z", ".rar"})
PROSE = ".txt .text .md .markdown .mbox"
MARKUP = ".rst .org .adoc .tex .html .htm .xml"
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


def kind_and_codec(name: str) -> tuple[str | None, str]:
    """How a file of this name is read: its kind (None: the name is not one of a text) and its compression."""
    stem, suffix = _split(name)
    codec = CODECS.get(suffix, "")
    if codec:
        name, suffix = stem, _split(stem)[1]
    if suffix in STRUCTURED:
        return STRUCTURED[suffix], codec
    known = suffix in TEXT_SUFFIXES or (not suffix and name in TEXT_NAMES)
    return ("text" if known else None), codec


def _split(name: str) -> tuple[str, str]:
    """Stem and suffix in small letters, as pathlib has them, whose objects are slow for a million names."""
    stem, _, suffix = name.rpartition(".")
    return (stem, f".{suffix.lower()}") if suffix and stem.strip(".") else (name, "")


def named_kind(name: str) -> tuple[str, str]:
    """The same for a file that was named itself, plain text unless its name says else; raises UnreadFormatError."""
    kind, codec = kind_and_codec(name)
    inner = (PurePath(PurePath(name).stem) if codec else PurePath(name)).suffix.lower()
    if inner in ARCHIVES or inner in CODECS:
        raise UnreadFormatError(f"archives ({inner}) are not read; unpack it and give the folder")
    return kind or "text", codec
