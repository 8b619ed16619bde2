"""Parameters in portions, so that who looks at an update while it happens copies little at a time."""

from collections.abc import Iterator, Mapping

from torch import nn

# Numbers of the parameters that move at once: 64 MiB, so that who measures the update copies no more than that or a
# single parameter.
PORTION_NUMBERS = 2**24
Groups = Mapping[str, list[nn.Parameter]]


def portions(groups: Groups) -> Iterator[Groups]:
    """The groups in their order, at most PORTION_NUMBERS numbers of them at a time or a single parameter."""
    portion: dict[str, list[nn.Parameter]] = {}
    size = 0
    for group, parameters in groups.items():
        for parameter in parameters:
            if size and size + parameter.numel() > PORTION_NUMBERS:
                yield portion
                portion, size = {}, 0
            portion.setdefault(group, []).append(parameter)
            size += parameter.numel()
    if portion:
        yield portion
