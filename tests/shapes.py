"""How the tests check the package's annotations: each call whose shapes and types were not seen before.

What jaxtyping and beartype find of a call depends on the shapes and types of what goes in and comes out. So a call that
agrees in all of these with one that passed passes too, and is let through: the check itself costs 50 to 200 µs, and
took as long as all else that writes a text with a tiny model. What holds more than its type tells (a list of many, a
dict) is checked each time.
"""

import functools
import inspect
import threading
import types
from collections.abc import Callable, Hashable
from typing import Any, ClassVar

import jaxtyping
from beartype import BeartypeConf, beartype

# An int will do for a float, as PEP 484 says.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
LONGEST = 8  # of a tuple or list that is looked through; beartype itself looks at one element of a list
HOLDING = (dict, set, frozenset)
jaxtyped = jaxtyping.jaxtyped


class Unknown(Exception):  # noqa: N818
    """The type of a value does not tell whether an annotation accepts it."""


@functools.cache
def is_array(of: type) -> bool:
    """Whether values of this type are tensors or arrays; torch is not imported to ask."""
    return hasattr(of, "shape") and hasattr(of, "dtype")


def kind(value: Any) -> Hashable:
    """All that an annotation can ask of a value."""
    of = type(value)
    if is_array(of):
        return of, tuple(value.shape), value.dtype
    if of is tuple or of is list:
        if len(value) > LONGEST:
            raise Unknown
        return of, *map(kind, value)
    if isinstance(value, HOLDING):
        raise Unknown
    return value if of is str or of is type else of  # of a Literal, and of `type[X]`


class Seen:
    """The kinds of calls that passed, and of pairs of a call and its result; and how a result alone is checked.

    All copies of an inner function share it: each call of the outer function makes one, and to make its check takes
    milliseconds.
    """

    of: ClassVar[dict[Hashable, "Seen"]] = {}

    def __init__(self) -> None:
        self.passed = set[Hashable]()
        self.said = threading.local()
        self.returning: Callable | None = None

    @classmethod
    def by(cls, plain: Callable) -> "Seen":
        return cls.of.setdefault((plain.__code__, *plain.__annotations__.items()), cls())

    def check_result(self, plain: Callable, result: Any, *args: Any, **kwargs: Any) -> None:
        """Checks this as what the function returned, without calling it."""
        self.said.result = result
        self.returning = self.returning or returning(plain, self.said)
        self.returning(*args, **kwargs)


def returning(plain: Callable, said: threading.local) -> Callable:
    """A checked function with the annotations of `plain` that returns `said.result`; it keeps no hold of `plain`."""

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        return said.result

    # With the names of its module, in which annotations in quotation marks are looked up.
    there = types.FunctionType(stand_in.__code__, plain.__globals__, plain.__name__, None, stand_in.__closure__)
    functools.update_wrapper(there, plain)
    del there.__wrapped__
    there.__signature__ = inspect.signature(plain)
    return jaxtyped(there, typechecker=checked)


def once_for_each_kind(plain: Callable) -> Callable:
    """`plain`, checked at every call of a kind that has not passed yet."""
    seen = Seen.by(plain)
    passed = seen.passed

    @functools.wraps(plain)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            given = (*map(kind, args), *((name, kind(value)) for name, value in kwargs.items()))
        except Unknown:
            return full()(*args, **kwargs)
        known = given in passed
        result = (plain if known else full())(*args, **kwargs)
        try:
            both = (given, kind(result))
        except Unknown:
            both = None
        if both not in passed:
            if known:
                seen.check_result(plain, result, *args, **kwargs)
            passed.update((given, both) if both else (given,))
        return result

    @functools.cache
    def full() -> Callable:
        return jaxtyped(plain, typechecker=checked)

    return call


def decorate(what: Any) -> Any:
    """In place of `jaxtyping.jaxtyped` for the package's functions; classes and descriptors are jaxtyping's."""
    return once_for_each_kind(what) if inspect.isfunction(what) else jaxtyped(what, typechecker=checked)


def install(modules: list[str]) -> None:
    """From now on these modules are checked when they are imported."""
    jaxtyping.install_import_hook(modules, "shapes.checked")
    # The hook writes `@jaxtyping.jaxtyped(typechecker=…)` above each function.
    jaxtyping.jaxtyped = lambda *, typechecker: decorate
