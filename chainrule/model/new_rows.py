"""A vocabulary's new rows, which learn while all others stay as they are: control tokens of a model with an adapter."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class NewRows(nn.Module):
    """Rows `first` and up of a table [V, D] that learn by themselves, in `rows`; the table's own are not read."""

    weight: Tensor
    rows: nn.Parameter
    first: int
    active: bool = True
    """Whether `rows` are used; else the table's own, as before anything learnt."""

    def whole(self) -> Float[Tensor, "V D"]:
        """The table as it is to be used."""
        if not self.active:
            return self.weight
        return torch.cat([self.weight[: self.first], self.rows, self.weight[self.first + len(self.rows) :]])

    @torch.no_grad()
    def begin(self) -> None:
        """The rows begin as the table has them."""
        self.rows.copy_(self.weight[self.first : self.first + len(self.rows)])

    def plain(self) -> nn.Module:
        """A table that shares the weight, and whose rows all are its own."""
        raise NotImplementedError

    def _take(self, weight: Tensor, first: int, count: int) -> None:
        self.weight, self.first = weight, first
        self.rows = nn.Parameter(weight.detach()[first : first + count].clone())


class GrownEmbedding(NewRows, nn.Embedding):
    """An embedding of which some rows learn."""

    def __init__(self, table: nn.Embedding, first: int, count: int) -> None:
        # With a weight given nothing is drawn: on `meta` torch would load its compiler for that.
        nn.Embedding.__init__(self, table.num_embeddings, table.embedding_dim, _weight=table.weight)
        self._take(table.weight, first, count)

    def forward(self, input: Int[Tensor, "..."]) -> Float[Tensor, "... D"]:  # noqa: A002  # nn.Embedding's own name
        """The rows of these ids."""
        return nn.functional.embedding(input, self.whole())

    def plain(self) -> nn.Embedding:
        """An embedding that shares the weight."""
        table = nn.Embedding(self.num_embeddings, self.embedding_dim, _weight=self.weight)
        table.weight = self.weight
        return table


class GrownHead(NewRows, nn.Linear):
    """A head of which some rows learn."""

    def __init__(self, head: nn.Linear, first: int, count: int) -> None:
        nn.Linear.__init__(self, head.in_features, head.out_features, bias=False, device="meta")
        self._take(head.weight, first, count)

    def forward(self, input: Float[Tensor, "... D"]) -> Float[Tensor, "... V"]:  # noqa: A002  # nn.Linear's own name
        """Scores of all tokens."""
        return nn.functional.linear(input, self.whole())

    def plain(self) -> nn.Linear:
        """A head that shares the weight."""
        layer = nn.Linear(self.in_features, self.out_features, bias=False, device="meta")
        layer.weight = self.weight
        return layer
