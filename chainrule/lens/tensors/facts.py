"""The facts of a tensor as short labelled lines under headings, for text, Markdown and HTML alike."""

from collections.abc import Iterator

from chainrule.base import bytes_text
from chainrule.lens.tensors.attributes import TensorFacts
from chainrule.lens.tensors.text import Facts, Sections
from chainrule.lens.tensors.values import MOST_MEASURED, Values
from chainrule.lens.tensors.words import dtype_name, dtype_words, number, rank_name, shape_words


def title(facts: TensorFacts) -> str:
    """One line: what it is."""
    kind = f"{shape_words(facts.shape)} {dtype_name(facts.dtype)}"
    return f"{facts.name}: {rank_name(facts.shape)}, {kind} on {facts.device}"


def sections(facts: TensorFacts) -> Sections:
    """Form, memory, autograd, and values where there are any."""
    found = [("form", tuple(_form(facts))), ("memory", tuple(_memory(facts))), ("autograd", tuple(_autograd(facts)))]
    return [*found, ("values", tuple(_values(facts)))]


def _form(facts: TensorFacts) -> Iterator[tuple[str, str]]:
    axes = ("a single number", "one axis", "rows and columns")
    told = axes[facts.rank] if facts.rank < len(axes) else f"{facts.rank} axes"
    yield "rank", f"{facts.rank}: {rank_name(facts.shape)}, {told}"
    yield "shape", f"{facts.shape}, {_counted(facts.n_elements, 'element')}"
    yield (
        "dtype",
        f"{dtype_name(facts.dtype)}, {_counted(facts.element_bytes, 'byte')} each: {dtype_words(facts.dtype)}",
    )
    if facts.made:
        yield "made", facts.made
    elif facts.autograd.grad_fn and facts.autograd.grad_fn.startswith("ToCopy"):
        yield "made", "by .to(…) or a shorthand of it, from another dtype or device"
    yield "device", facts.device + (": shape and dtype without values" if facts.device == "meta" else "")


def _memory(facts: TensorFacts) -> Iterator[tuple[str, str]]:
    layout = facts.layout
    yield "stride", f"{layout.stride}: {layout.steps}"
    yield "order", layout.order
    if layout.overlapping:
        yield "overlap", "several elements stand in one place: writing in place is refused or changes more than one"
    elif layout.overlapping is None:
        yield "overlap", "possible: the strides are less than the sizes need, and there are too many elements to count"
    yield (
        "offset",
        f"{_counted(layout.offset, 'element')} into the storage" if layout.offset else "0: it begins the storage",
    )
    yield "bytes", _bytes(facts)
    yield "view", _view(facts)
    yield ".view(-1)", f"works: {facts.flat.why}" if facts.flat else f"refused: {facts.flat.why}; .reshape(-1) copies"
    if facts.rank == 2:
        turned = tuple(reversed(layout.stride))
        yield ".T", f"a view: shape {tuple(reversed(facts.shape))}, stride {turned}, nothing is moved"
    if facts.sharing is not None:
        yield "shared", _shared(facts)
    if facts.numpy is not None:
        memory = "shared memory, a write to one changes the other" if facts.numpy.shared else "a copy"
        yield "NumPy", f"{facts.numpy.call}: {memory}" + (f" ({facts.numpy.why})" if facts.numpy.why else "")


def _autograd(facts: TensorFacts) -> Iterator[tuple[str, str]]:
    place = facts.autograd
    yield "requires_grad", f"{place.requires_grad}: {place.words}"
    yield "grad_fn", place.grad_fn or "none"
    counted = "not counted in inference mode" if place.version is None else f"{place.version}"
    yield "version", counted if not place.version else f"{counted}: written to in place, here or through a view"


def _values(facts: TensorFacts) -> Iterator[tuple[str, str]]:
    found = facts.values
    if found is None:
        yield "none", "no elements" if facts.device != "meta" else "a tensor on meta has no values"
        return
    if found.n_sampled is not None:
        yield (
            "sample",
            (
                f"{found.n_sampled:,} elements drawn from {facts.n_elements:,} (more than {MOST_MEASURED:,}); "
                "smallest, largest, NaN and Inf are of all"
            ),
        )
    if facts.dtype.is_complex:
        yield "of", "the magnitudes |z|"
    yield from _statistics(found)
    yield "NaN", _wrong(found.stats.n_nan, found.nan_places)
    yield "Inf", _wrong(found.stats.n_inf, found.inf_places)


def _statistics(found: Values) -> Facts:
    stats = found.stats
    if not found.quantiles:
        return (("finite", "no element is"),)
    shares = "  ".join(f"{share:.0%} {number(one)}" for share, one in found.quantiles.items())
    return (
        ("range", f"{number(found.smallest)} to {number(found.largest)}"),
        ("mean", f"{number(stats.mean)}, standard deviation {number(stats.std)}, norm {number(stats.norm)}"),
        ("below", shares),
        ("zeros", f"{found.n_zero:,}"),
    )


def _wrong(n: int, places: tuple[tuple[int, ...], ...]) -> str:
    if not n:
        return "none"
    told = ", ".join(f"[{', '.join(map(str, place))}]" for place in places)
    return f"{n:,}: at {told}" + (" …" if n > len(places) else "")


def _view(facts: TensorFacts) -> str:
    if facts.base is not None:
        return f"a view of a tensor of shape {facts.base}: no memory of its own"
    if facts.foreign:
        return "no; the memory is another owner's (NumPy's, or a file's)"
    if facts.storage_bytes > facts.layout.span * facts.element_bytes and facts.n_elements:
        return "a part of a larger storage (detached, or loaded like that): memory shared with whoever has the rest"
    return "no: memory of its own, as far as autograd knows"


def _shared(facts: TensorFacts) -> str:
    assert facts.sharing is not None
    others = facts.sharing.of(facts.name)
    if not others:
        return "with none of the tensors given"
    apart = [
        pair.second if pair.first == facts.name else pair.first
        for pair in facts.sharing.pairs
        if facts.name in (pair.first, pair.second) and pair.overlap is False
    ]
    told = f"with {', '.join(others)}"
    return told + (f" (no element in common with {', '.join(apart)})" if apart else "")


def _bytes(facts: TensorFacts) -> str:
    own = facts.layout.span * facts.element_bytes
    if own == facts.n_bytes == facts.storage_bytes:
        return f"{bytes_text(own)}, the whole storage"
    told = f"{bytes_text(facts.n_bytes)} of numbers over {bytes_text(own)} of a storage of "
    much = facts.n_bytes * 10 < facts.storage_bytes and facts.storage_bytes > 2**20
    return told + bytes_text(facts.storage_bytes) + (": the small view keeps all of it alive" if much else "")


def _counted(n: int, thing: str) -> str:
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"
