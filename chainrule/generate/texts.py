"""The ids of texts of many lengths on the model's device, where sampling rules look at them."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

FIRST_ROOM = 1024


class Texts:
    """A row of ids for each text; room is made by doubling, so that a long text does not copy itself at each token."""

    def __init__(self, n_rows: int, device: torch.device) -> None:
        self._room = torch.zeros(n_rows, FIRST_ROOM, dtype=torch.int64, device=device)

    def put(self, row: int, ids: Sequence[int]) -> None:
        """The row becomes `ids`."""
        self._make_room(len(ids))
        self._room[row, : len(ids)] = torch.tensor(ids, device=self._room.device)

    def append(self, rows: Sequence[int], lengths: Sequence[int], ids: Sequence[int]) -> None:
        """An id for each of these rows, behind the `lengths` that it has."""
        if rows:
            self._make_room(max(lengths) + 1)
            places, new = torch.tensor([[*rows], [*lengths]]), torch.tensor(ids, device=self._room.device)
            self._room[places[0].to(new.device), places[1].to(new.device)] = new

    def ids(self, rows: Sequence[int], length: int) -> Int[Tensor, "B T"]:
        """The first `length` ids of these rows, which ascend; not copied where no row between them is left out."""
        if rows[-1] - rows[0] == len(rows) - 1:
            return self._room[rows[0] : rows[-1] + 1, :length]
        return self._room[torch.tensor(rows, device=self._room.device), :length]

    def _make_room(self, length: int) -> None:
        while length > self._room.shape[1]:
            self._room = torch.cat((self._room, torch.zeros_like(self._room)), dim=1)
