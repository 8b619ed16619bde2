"""A linear layer with adapters around it: the base's weight stays as it is, one adapter at a time adds its part."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chainrule.model.lora_settings import LoraSettings, Span


class LoraLinear(nn.Linear):
    """A linear layer that computes as it did, plus what the adapter `active` adds; None: as it did.

    Weight and bias are the layer's own, under their own names, so that the base's tensors are where they were.
    """

    def __init__(self, base: nn.Linear) -> None:
        # On `meta`, because the weights that it would draw are thrown away.
        super().__init__(base.in_features, base.out_features, bias=base.bias is not None, device="meta")
        self.weight, self.bias = base.weight, base.bias
        self.adapters = nn.ModuleDict()
        self.active: str | None = None
        self.train(base.training)

    def forward(self, input: Float[Tensor, "... I"]) -> Float[Tensor, "... O"]:  # noqa: A002  # nn.Linear's own name
        """Base and adapter; without an adapter the base's own kernel and nothing else."""
        y = nn.functional.linear(input, self.weight, self.bias)
        if self.active is None:
            return y
        adapter = self.adapters[self.active]
        assert isinstance(adapter, Adapter)
        return adapter.add(input, y, self.weight, self.bias)

    def plain(self) -> nn.Linear:
        """A linear layer without adapters that shares this one's weight and bias."""
        layer = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None, device="meta")
        layer.weight, layer.bias = self.weight, self.bias
        return layer.train(self.training)


class Adapter(nn.Module):
    """A and B of each span of a layer's rows: `down` has the As one below the other, `up` the Bs.

    As one product the Bs are block-diagonal: what the A of the keys reads reaches the keys alone.
    """

    def __init__(
        self, layer: nn.Linear, settings: LoraSettings, spans: tuple[Span, ...], dice: torch.Generator
    ) -> None:
        super().__init__()
        self.settings, self.spans, self.out_features = settings, spans, layer.out_features
        dtype, device = layer.weight.dtype, layer.weight.device
        # As in PEFT: uniform with the variance of a linear layer's own start; B is zero, so that nothing is added yet.
        bound = 1 / math.sqrt(layer.in_features)
        drawn = torch.empty(len(spans) * settings.rank, layer.in_features).uniform_(-bound, bound, generator=dice)
        self.down = nn.Parameter(drawn.to(device, dtype))
        self.up = nn.Parameter(
            torch.zeros(sum(end - start for start, end in spans), settings.rank, dtype=dtype, device=device)
        )
        self.magnitude: nn.Parameter | None = None
        self._norms: tuple[Any, Tensor] | None = None
        if settings.dora:
            self.magnitude = nn.Parameter(torch.empty_like(self.up[:, 0]))
            self.begin(layer.weight)

    @torch.no_grad()
    def begin(self, weight: Float[Tensor, "O I"]) -> None:
        """The norms of DoRA begin as those of the base's rows; without it nothing follows from the base."""
        if self.magnitude is not None:
            self.magnitude.copy_(self._row_norms(weight)[self._rows()])

    def add(
        self, x: Float[Tensor, "... I"], y: Float[Tensor, "... O"], weight: Float[Tensor, "O I"], bias: Tensor | None
    ) -> Float[Tensor, "... O"]:
        """`y`, which the base made of `x`, with the adapter's part.

        While B is zero that is `y` to the last bit, with DoRA too: its factor is then 1, computed as |W| / |W|.
        """
        delta = nn.functional.linear(nn.functional.linear(x, self.down) * self.settings.scale, self._wide_up())
        if self.magnitude is None:
            return y + delta
        factor = self._filled(self.magnitude / self._known_norms(weight)[self._rows()], 1.0).to(y.dtype)
        product = y if bias is None else y - bias.to(y.dtype)
        return y + (factor - 1) * product + factor * delta

    @torch.no_grad()
    def merged(self, weight: Float[Tensor, "O I"]) -> Float[Tensor, "O I"]:
        """The weight of a plain layer that computes the same; worked out in float64, so that rounding happens once."""
        whole = weight.double() + self.settings.scale * (self._wide_up().double() @ self.down.double())
        if self.magnitude is not None:
            norms = torch.linalg.vector_norm(whole, dim=1)[self._rows()]
            whole *= self._filled(self.magnitude.double() / norms, 1.0)[:, None]
        return whole.to(weight.dtype)

    def _wide_up(self) -> Float[Tensor, "O R"]:
        """The block-diagonal B, with rows of zeros where nothing is adapted."""
        rank, n_spans = self.settings.rank, len(self.spans)
        if n_spans == 1:
            return self._filled(self.up, 0.0)
        blocks = torch.split(self.up, [end - start for start, end in self.spans])
        padded = [
            nn.functional.pad(block, (place * rank, (n_spans - 1 - place) * rank)) for place, block in enumerate(blocks)
        ]
        return self._filled(torch.cat(padded), 0.0)

    def _filled(self, rows: Float[Tensor, "P *rest"], value: float) -> Float[Tensor, "O *rest"]:
        """The adapted rows in their places, `value` in all others."""
        if len(rows) == self.out_features:
            return rows
        parts, at, taken = list[Tensor](), 0, 0
        for start, end in (*self.spans, (self.out_features, self.out_features)):
            parts.append(rows.new_full((start - at, *rows.shape[1:]), value))
            parts.append(rows[taken : taken + end - start])
            at, taken = end, taken + end - start
        return torch.cat(parts)

    def _rows(self) -> Tensor:
        """The numbers of the adapted rows."""
        return torch.cat([torch.arange(start, end) for start, end in self.spans]).to(self.down.device)

    def train(self, *mode: bool) -> "Adapter":  # as nn.Module has it, but no boolean with a name
        """Forgets the kept norms: a change of mode is where weights move or have moved."""
        self._norms = None
        super().train(*mode)
        return self

    def _known_norms(self, weight: Tensor) -> Tensor:
        """The norms of the rows of W + s B A, a constant in the backward pass (section 4.3 of the paper).

        They cost a pass over W, so without gradients they are kept: writing a token asks for them each time. Versions
        of the tensors alone would not tell when to forget them, because a fused AdamW moves weights and counts none.
        """
        learning = self.training or torch.is_grad_enabled()
        versions = tuple((tensor.data_ptr(), tensor._version) for tensor in (weight, self.down, self.up))
        if learning or self._norms is None or self._norms[0] != versions:
            with torch.no_grad():
                self._norms = versions, self._row_norms(weight)
        norms = self._norms[1]
        if learning:
            self._norms = None
        return norms

    def _row_norms(self, weight: Tensor) -> Tensor:
        return torch.linalg.vector_norm(weight + self.settings.scale * (self._wide_up() @ self.down), dim=1)
