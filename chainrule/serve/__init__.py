"""A model behind OpenAI's HTTP interface, and the contract of that interface as a test of any server."""

from chainrule.serve.calling import Caller
from chainrule.serve.contract import conformance, unmet
from chainrule.serve.offers import Offer, offered
from chainrule.serve.serving import serve
from chainrule.serve.settings import Serving

__all__ = ["Caller", "Offer", "Serving", "conformance", "offered", "serve", "unmet"]
