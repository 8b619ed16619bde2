"""The files of a page that was built ahead, out of the package: from its folder `page` and from nowhere else.

What a page may do is said by its Content-Security-Policy: own scripts and styles, calls to this server, no frames.
"""

from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
# On every answer: they keep browsers from guessing, and from telling others where they were.
SAFE_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".json": "application/json",
}


@dataclass(frozen=True)
class PageFile:
    """One file of a page, and what kind of content it has."""

    file: Traversable
    kind: str

    def read(self) -> bytes:
        """Its content."""
        return self.file.read_bytes()


def page_files(package: str) -> dict[str, PageFile]:
    """The page that lies in a room's folder `page`: index.html under "", the others under their names."""
    folder = files(package) / "page"
    assets = folder / "assets"
    there = [one for one in assets.iterdir() if _kind(one.name)] if assets.is_dir() else []
    found = {one.name: PageFile(one, _kind(one.name)) for one in there}
    return {"": PageFile(folder / "index.html", KINDS[".html"]), **found}


def _kind(name: str) -> str:
    return next((kind for end, kind in KINDS.items() if name.endswith(end)), "")
