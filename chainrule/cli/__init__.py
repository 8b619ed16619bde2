"""The command line: one file per verb, which parses, calls the room and prints."""

from chainrule.cli.verbs import main

__all__ = [
    "main",
]
