"""The command line: one file per verb, which parses, calls the room and prints."""

from chainrule.cli.command import main

__all__ = [
    "main",
]
