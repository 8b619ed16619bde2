"""A model behind OpenAI's HTTP interface, and the contract of that interface as a test of any server."""

from chainrule.serve.serving import serve
from chainrule.serve.settings import Serving, token_of

__all__ = ["Serving", "serve", "token_of"]
