"""A zip archive as it may be trusted: what it unfolds into is bounded, and so are its files."""

import zipfile
import zlib
from io import BytesIO

from chainrule.base import bytes_text

# XML shrinks to a tenth or twentieth; a file of one letter to a thousandth. 4 MiB of empty elements take a second.
RATIO, RATIO_FROM, MOST_ENTRIES = 100, 4 << 20, 50_000
LEAST_READ = 2048


class _BombError(Exception):
    pass


class ZipArchive:
    """The files of an archive by name; raises ValueError for what is none, or is damaged, locked or a bomb."""

    def __init__(self, content: bytes) -> None:
        self._left = max(RATIO_FROM, RATIO * len(content))
        try:
            self._archive = zipfile.ZipFile(BytesIO(content))
        # Of a damaged directory also struct's and Unicode's errors, and NotImplementedError of a newer version.
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, IndexError) as fault:
            raise ValueError(f"is truncated or damaged, or no zip archive at all ({fault})") from None
        if len(self._archive.filelist) > MOST_ENTRIES:
            raise ValueError(f"holds {len(self._archive.filelist):,} files, more than any document")
        self.names = frozenset(self._archive.namelist())

    def read(self, name: str) -> bytes:
        """The content of a file of the archive."""
        try:
            # No more than what it says it unfolds into is ever read, so that nothing of a bomb is. Each file by itself:
            # a picture beside it, which does not shrink, makes no bomb honest.
            entry = self._archive.getinfo(name)
            if entry.file_size > min(self._left, max(RATIO_FROM, RATIO * entry.compress_size)):
                raise _BombError
            with self._archive.open(name) as stream:
                content = stream.read()
        except _BombError:
            raise ValueError(
                f"unfolds into more than {bytes_text(RATIO_FROM)} and {RATIO} times its size: "
                "this looks like a compression bomb"
            ) from None
        except KeyError:
            raise ValueError(f"lacks {name}, so it is damaged or another kind of file") from None
        except RuntimeError:
            raise ValueError("is locked with a password; save it without one") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as fault:
            raise ValueError(f"is damaged in {name} ({fault})") from None
        # The empty ones count, too: a book may name one chapter without end.
        self._left -= max(len(content), LEAST_READ)
        return content
