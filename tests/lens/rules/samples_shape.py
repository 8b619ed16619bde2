"""Samples of the rules of what moves numbers: shapes, pieces, indices, writes."""

from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from lens.rules.numbers import normal

aten = torch.ops.aten
A, CUBE, ROW = normal(3, 4), normal(2, 3, 4), normal(4, seed=1)
TWICE = torch.tensor([2, 0, 2, 1])
MASK = torch.tensor([[True, False, True, False], [False] * 4, [True] * 4])


def of(function, *tensors, **given):
    return (partial(function, **given), tensors)


def after(change, *tensors):
    """The function that changes a copy of its first argument in place and returns it."""

    def changed(x, *others):
        copy = x * 1
        change(copy, *others)
        return copy

    return (changed, tensors)


def turned(x, by):
    """A rotation of pairs, written with complex numbers."""
    return torch.view_as_real(torch.view_as_complex(x) * torch.view_as_complex(by))


def weighted_bags(table, weights):
    """Three bags, the first of them empty."""
    return F.embedding_bag(TWICE, table, torch.tensor([0, 0, 3]), mode="sum", per_sample_weights=weights)


SHAPE = {
    "view": [(lambda x: x.view(4, 3), (A,)), (lambda x: x.view(-1), (CUBE,))],
    "_unsafe_view": [of(aten._unsafe_view, A, size=[2, 6])],
    "_reshape_alias": [of(aten._reshape_alias, A, size=[2, 6], stride=[6, 1])],
    "squeeze": [of(torch.squeeze, normal(3, 1, 2, 1)), (lambda x: x.squeeze(1), (normal(3, 1),)),
                (lambda x: x.squeeze((0, 2)), (normal(1, 3, 1),))],
    "narrow_copy": [(lambda x: torch.narrow_copy(x, 1, 1, 2), (A,))],
    "unsqueeze": [of(torch.unsqueeze, A, dim=d) for d in (0, -1)],
    "alias": [of(aten.alias, A)],
    "clone": [of(torch.clone, A), (lambda x: x.t().contiguous(), (A,))],
    "_to_copy": [(lambda x: x.to(torch.float64, copy=True), (A,))],
    "t": [of(torch.t, A), of(torch.t, ROW)],
    "transpose": [of(torch.transpose, CUBE, dim0=0, dim1=-1)],
    "permute": [(lambda x: x.permute(2, 0, 1), (CUBE,)), (lambda x: x.movedim(0, -1), (CUBE,))],
    "expand": [(lambda x: x.expand(2, 3, 4), (normal(3, 1),)), (lambda x: x.expand(5), (normal(1),))],
    "repeat": [(lambda x: x.repeat(2, 1, 3), (A,)), (lambda x: x.repeat(3), (ROW,)),
               (lambda x: x.repeat(2), (normal(),))],
    "flip": [of(torch.flip, CUBE, dims=(0, 2))],
    "roll": [of(torch.roll, A, shifts=1), of(torch.roll, A, shifts=(1, -2), dims=(0, 1))],
    "rot90": [of(torch.rot90, A, k=k) for k in (1, 2, -1)],
    "as_strided": [of(torch.as_strided, A, size=(3, 3), stride=(2, 1)),
                   of(torch.as_strided, A, size=(2, 2), stride=(1, 3), storage_offset=2)],
    "unfold": [(lambda x: x.unfold(1, 3, 1), (A,)), (lambda x: x.unfold(0, 2, 2), (normal(5),))],
    "pixel_shuffle": [of(torch.pixel_shuffle, normal(1, 4, 2, 3), upscale_factor=2)],
    "view_as_complex": [(turned, (normal(3, 2, 2), normal(2, 2, seed=1)))],
    "view_as_real": [(turned, (normal(3, 2, 2), normal(2, 2, seed=1)))],
    "_conj": [(lambda x: torch.view_as_real(torch.view_as_complex(x).conj().resolve_conj()), (normal(3, 2),))],
    "pixel_unshuffle": [of(torch.pixel_unshuffle, normal(1, 1, 4, 6), downscale_factor=2)],
}  # fmt: skip

PIECE = {
    "slice": [(lambda x: x[1:], (A,)), (lambda x: x[:, ::2], (A,)), (lambda x: x[:, -3:-1], (A,))],
    "select": [(lambda x: x[1], (A,)), (lambda x: x[:, -1], (A,))],
    "diagonal": [of(torch.diagonal, A), of(torch.diagonal, CUBE, offset=1, dim1=0, dim2=2)],
    "diag_embed": [of(torch.diag_embed, ROW), of(torch.diag_embed, A, offset=-1)],
    "split": [of(torch.split, normal(5, 2), split_size_or_sections=2), (lambda x: x.chunk(2, 1)[1], (A,))],
    "split_with_sizes": [(lambda x: x.split([1, 3], 1), (A,))],
    "unsafe_split": [of(torch.unsafe_split, A, split_size=3, dim=1)],
    "unsafe_split_with_sizes": [of(torch.unsafe_split_with_sizes, A, split_sizes=[1, 3], dim=1)],
    "unbind": [of(torch.unbind, A), (lambda x: x.unbind(1)[2], (A,))],
    "cat": [(lambda a, b: torch.cat([a, b, a]), (A, normal(2, 4))),
            (lambda a, b: torch.cat([a, b], -1), (A, normal(3, 1))),
            (lambda a: torch.cat([torch.empty(0, dtype=a.dtype), a]), (A,))],
    "stack": [(lambda a, b: torch.stack([a, b, a], -1), (A, normal(3, 4, seed=1)))],
    "constant_pad_nd": [of(F.pad, A, pad=(1, 2), value=3.0), of(F.pad, A, pad=(-1, 1, 0, 2))],
    "reflection_pad1d": [of(F.pad, A, pad=(2, 1), mode="reflect")],
    "reflection_pad2d": [of(F.pad, normal(1, 2, 3, 4), pad=(2, 1, 1, 2), mode="reflect")],
    "replication_pad1d": [of(F.pad, A, pad=(2, 1), mode="replicate")],
    "replication_pad2d": [of(F.pad, normal(1, 2, 3, 4), pad=(2, 1, 1, 2), mode="replicate")],
    "reflection_pad3d": [of(F.pad, normal(1, 1, 2, 3, 2), pad=(1, 1, 2, 0, 0, 1), mode="reflect")],
    "replication_pad3d": [of(F.pad, normal(1, 1, 2, 3, 2), pad=(1, 1, 2, 0, 0, 1), mode="replicate")],
    "tril": [of(torch.tril, CUBE), of(torch.tril, A, diagonal=-1)],
    "triu": [of(torch.triu, CUBE), of(torch.triu, A, diagonal=1)],
    "trace": [of(torch.trace, A)],
}  # fmt: skip

INDEX = {
    "embedding": [(lambda w: F.embedding(TWICE, w), (A,)), (lambda w: F.embedding(TWICE.view(2, 2), w), (A,))],
    "_embedding_bag": [(lambda w: F.embedding_bag(TWICE.view(2, 2), w, mode="mean"), (A,)),
                       (lambda w: F.embedding_bag(TWICE.view(2, 2), w, mode="max"), (A,)),
                       (weighted_bags, (A, ROW))],
    "index": [(lambda x: x[TWICE], (A,)), (lambda x: x[:, TWICE], (A,)), (lambda x: x[TWICE[:3], TWICE[1:]], (A,)),
              (lambda x: x[MASK], (A,)), (lambda x: x[TWICE - 3], (A,))],
    "_unsafe_index": [(lambda x: aten._unsafe_index(x, [None, TWICE]), (A,))],
    "index_select": [of(torch.index_select, A, dim=1, index=TWICE)],
    "take": [of(torch.take, A, index=torch.tensor([0, 5, 5, -1]))],
    "gather": [of(torch.gather, A, dim=1, index=torch.tensor([[1, 1], [0, 3]]))],
    "index_add": [(lambda x, s: x.index_add(0, TWICE, s, alpha=1.5), (A, normal(4, 4)))],
    "scatter_add": [(lambda x, s: x.scatter_add(1, TWICE.view(1, 4), s), (A, normal(1, 4, seed=1)))],
}  # fmt: skip

WRITE = {
    "copy": [after(lambda x, s: x.copy_(s), A, ROW), after(lambda x, s: x[1].copy_(s), A, ROW)],
    "fill": [after(lambda x, v: x[1].fill_(v), A, normal())],
    "zero": [after(lambda x: x[:, 1].zero_(), A)],
    "write_through": [after(lambda x, s: x[1:].mul_(s), A, ROW), after(lambda x: x.t()[::2].add_(x[0, 0] * 1), A)],
    "masked_fill": [(lambda x: x.masked_fill(MASK, 2.0), (A,)), (lambda x, v: x.masked_fill(MASK, v), (A, normal())),
                    (lambda x: x.masked_fill(MASK, 2.0), (ROW,)), after(lambda x: x.masked_fill_(MASK, 1.0), A)],
    "where": [(lambda a, b: torch.where(MASK, a, b), (A, ROW)), (lambda a: torch.where(MASK, a, 1.0), (A,))],
    "masked_scatter": [(lambda x, s: x.masked_scatter(MASK, s), (A, normal(8)))],
    "index_put": [(lambda x, v: x.index_put((TWICE[:2],), v), (A, normal(2, 4))),
                  (lambda x, v: x.index_put((TWICE,), v, accumulate=True), (A, ROW)),
                  after(lambda x, v: x.__setitem__(MASK, v), A, normal())],
    "_index_put_impl": [after(lambda x, v: aten._index_put_impl_(x, [TWICE[:2]], v), A, normal(2, 4))],
    "_unsafe_index_put": [(lambda x, v: aten._unsafe_index_put(x, [None, TWICE[:2]], v), (A, normal(3, 2)))],
    "index_copy": [(lambda x, s: x.index_copy(0, TWICE[:2], s), (A, normal(2, 4)))],
    "index_fill": [(lambda x: x.index_fill(0, TWICE, 2.0), (A,)),
                   (lambda x, v: x.index_fill(1, TWICE, v), (A, normal()))],
    "scatter": [(lambda x, s: x.scatter(1, TWICE[1:3].view(1, 2), s), (A, normal(1, 2, seed=1))),
                (lambda x: x.scatter(1, TWICE.view(4, 1)[:3], 5.0), (A,))],
    "slice_scatter": [of(torch.slice_scatter, A, normal(3, 2), dim=1, start=1, end=4, step=2)],
    "select_scatter": [of(torch.select_scatter, A, ROW, dim=0, index=1)],
}  # fmt: skip

SAMPLES = {**SHAPE, **PIECE, **INDEX, **WRITE}
