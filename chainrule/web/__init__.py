"""What every server of ours has, whatever it offers: who may call it, the port, the files of its page; no package."""

from chainrule.web.callers import Callers, RefusedError, token_of
from chainrule.web.listening import address_of, listen
from chainrule.web.outlasting import steadfast
from chainrule.web.pages import PAGE_HEADERS, SAFE_HEADERS, PageFile, page_files

__all__ = [
    "PAGE_HEADERS",
    "SAFE_HEADERS",
    "Callers",
    "PageFile",
    "RefusedError",
    "address_of",
    "listen",
    "page_files",
    "steadfast",
    "token_of",
]
