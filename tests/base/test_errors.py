"""The tree in the docstring is the tree."""

import re

import pytest

from chainrule import base
from chainrule.base import ChainruleError, MissingPackageError, errors

DRAWN = re.findall(r"── (\w+)\s+(\d+)?:?", errors.__doc__ or "")


def test_every_error_is_drawn_and_every_drawing_exists():
    public = {name for name in base.__all__ if name.endswith("Error")} - {"ChainruleError"}
    assert {name for name, _ in DRAWN} == public


@pytest.mark.parametrize(("name", "code"), DRAWN)
def test_the_drawn_exit_code_is_the_errors(name, code):
    error = getattr(base, name)
    assert issubclass(error, ChainruleError)
    assert error.exit_code == int(code)


def test_a_missing_package_names_its_remedy():
    error = MissingPackageError("export to GGUF", "gguf", "gguf")
    assert str(error) == "export to GGUF needs gguf: pip install 'chainrule[gguf]'"
