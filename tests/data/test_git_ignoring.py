import subprocess
from pathlib import Path

import pytest

from chainrule.data.files import list_files
from chainrule.data.git_ignoring import _rules, left_out, rules_of

PATTERNS = r"""
# a comment
*.log
!keep.log
/top.txt
gen/
docs/*.txt
**/deep/x.txt
a/**/z.txt
b/**
[ab]c?.md
\#odd
trailing{blanks}
sp\ ace
!/unknown
[!x]y.md
""".format(blanks="  ")
PATHS = (
    *("a.log", "keep.log", "s/a.log", "top.txt", "s/top.txt", "gen/x", "s/gen/x", "gen.txt", "docs/a.txt"),
    *("docs/s/a.txt", "deep/x.txt", "p/q/deep/x.txt", "a/z.txt", "a/b/c/z.txt", "b/x", "b/c/x", "acd.md", "s/bcd.md"),
    *("#odd", "trailing", "sp ace", "xy.md", "zy.md", "s/ordinary.txt"),
)


def test_files_are_left_out_as_git_does(tmp_path):
    (tmp_path / ".gitignore").write_text(PATTERNS)
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / ".gitignore").write_text("!a.log\n/ordinary.txt\n")
    for path in PATHS:
        Path(tmp_path, path).parent.mkdir(parents=True, exist_ok=True)
        Path(tmp_path, path).write_text("x")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    asked = subprocess.run(
        ["git", "-C", str(tmp_path), "check-ignore", "--no-index", *PATHS], capture_output=True, text=True, check=True
    )
    rules, below = rules_of(str(tmp_path), ""), rules_of(str(tmp_path / "s"), "s/")

    def ignored(path: str) -> bool:
        parts = path.split("/")
        whole = rules + (below if parts[0] == "s" and len(parts) > 1 else ())
        above = ("/".join(parts[:count]) for count in range(1, len(parts)))
        return any(left_out(rules, one, is_folder=True) for one in above) or left_out(whole, path, is_folder=False)

    assert [path for path in PATHS if ignored(path)] == asked.stdout.splitlines()


def names(listing):
    return [Path(file.path).name for file in listing.files]


def test_what_is_not_a_persons_own_text_is_left_out_and_counted(workshop):
    for name in ("a.txt", "node_modules/m/x.js", "env/pyvenv.cfg", "env/lib/y.py", "dist/z.js", "sub/build/w.txt"):
        workshop.write(name, "x = 1\n")
    workshop.write(".gitignore", "secret/\n*.tmp.txt\n")
    workshop.write("secret/s.txt", "s")
    workshop.write("a.tmp.txt", "s")
    listing = list_files([str(workshop.texts)])
    assert names(listing) == ["a.txt"]
    assert listing.ignored == {
        "hidden": 1,
        "named in .gitignore": 2,
        "folder node_modules": 1,
        "folder dist": 1,
        "folder build": 1,
        "virtual environment": 1,
    }


@pytest.mark.parametrize("given", ["secret", "build", "env", "secret/s.txt"])
def test_what_is_named_is_read_all_the_same(workshop, given):
    workshop.write(".gitignore", "secret/\n")
    for name in ("secret/s.txt", "build/b.txt", "env/e.txt", "env/pyvenv.cfg"):
        workshop.write(name, "x")
    assert list_files([str(workshop.texts / given)]).files


def test_many_stars_are_no_matter():
    for pattern, path in (("*a" * 60 + "b", "a" * 200), ("**/a/" * 6 + "b", "a/" * 40 + "c")):
        assert not left_out(tuple(_rules([pattern], 0)), path, is_folder=False)
