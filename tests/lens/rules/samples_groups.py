"""Samples of what is reduced by an index, read between points, aligned, or held to margins."""

from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from lens.rules.numbers import between, listed, normal
from lens.rules.samples_reduce import each_reduction

aten = torch.ops.aten
MASK = torch.tensor([[True, False, True, False], [False] * 4, [True] * 4])
X, SOURCE = between(-2, 2, 3, 4), between(-1.9, 2.1, 13)[:12].reshape(3, 4)
PLACES = torch.tensor([[0, 2, 2, 0], [1, 1, 0, 3], [3, 3, 3, 3]])
ROWS = torch.tensor([2, 0, 2])
ZEROS = torch.where(MASK, SOURCE, 0)
HOW = ("sum", "mean", "prod", "amax", "amin")


def scattered(x, s, how, include, index=PLACES):
    return x.scatter_reduce(1, index, s, how, include_self=include)


def indexed(x, s, how, include):
    return x.index_reduce(0, ROWS, s, how, include_self=include)


def pieces(x, how, initial=None):
    lengths = torch.tensor([2, 1] if initial is None else [2, 0, 1])
    return torch.segment_reduce(x, how, lengths=lengths, initial=initial)


TARGET = torch.tensor([2, 0, 1, 1])
LABELS = torch.tensor([[1, 0, -1], [2, -1, 0], [0, 1, 2], [-1, 0, 0]])
SCORES = between(-1.7, 1.9, 4, 3)
FRAMES, LENGTHS = torch.tensor([6, 5, 4]), torch.tensor([3, 2, 0])
WORDS = torch.tensor([[1, 1, 2], [3, 2, 0], [0, 0, 0]])
LOGITS = normal(6, 3, 4)


def aligned(x, words=WORDS, **how):
    return F.ctc_loss(x.log_softmax(-1), words, FRAMES, LENGTHS, **how)


PICTURE, VOLUME = normal(2, 2, 4, 5), normal(1, 2, 3, 4, 3)
# Between two points of the picture, some of them outside, and never near where the slope changes.
BETWEEN = listed(-1.4, -0.8, 0.4, 1.3, 2.7, 1.6, 0.7, 3.8, 2.4, 4.6, -0.7, 1.4)


def grid(sizes, n_examples, *, aligned):
    """The coordinates of places in a picture, x first."""
    n = torch.tensor([*reversed(sizes)], dtype=torch.float64)
    places = BETWEEN.reshape(n_examples, -1, *[1] * (len(sizes) - 1), len(sizes))
    return 2 * places / (n - 1) - 1 if aligned else (2 * places + 1) / n - 1


def sampled(how, picture=PICTURE):
    return [
        (
            partial(F.grid_sample, mode=how, padding_mode=padding, align_corners=aligned),
            (picture, grid(picture.shape[2:], len(picture), aligned=aligned)),
        )
        for padding in ("zeros", "border", "reflection")
        for aligned in (False, True)
    ]


POOLED = torch.tensor([[[[0, 3], [9, 10]]]])
DRAWN = between(0.1, 0.9, 1, 2, 2)

SAMPLES = {
    "masked_select": [
        (lambda x: x.masked_select(MASK), (X,)),
        (lambda x: torch.masked_select(x, MASK), (normal(4),)),
        (lambda x: torch.masked_select(x, MASK), (normal(3, 1),)),
    ],
    "scatter_reduce": [
        (partial(scattered, how=how, include=include), (X, SOURCE)) for how in HOW for include in (True, False)
    ]
    + [
        (partial(scattered, how="prod", include=True), (X, ZEROS)),
        (partial(scattered, how="prod", include=False), (ZEROS, SOURCE)),
    ],
    "index_reduce": [
        (partial(indexed, how=how, include=include), (X, SOURCE))
        for how in ("prod", "mean", "amax", "amin")
        for include in (True, False)
    ],
    "segment_reduce": [(partial(pieces, how=how), (normal(3, 2),)) for how in ("sum", "mean", "max", "min", "prod")]
    + [(partial(pieces, how=how, initial=0.3), (normal(3, 2),)) for how in ("sum", "max", "min", "prod")],
    "diagonal_scatter": [
        (torch.diagonal_scatter, (X, normal(3))),
        (partial(torch.diagonal_scatter, offset=1), (X, normal(3))),
    ],
    "block_diag": [(torch.block_diag, (X, normal(2, 2), normal(3)))],
    "channel_shuffle": [(lambda x: F.channel_shuffle(x, 3), (normal(1, 6, 2, 2),))],
    "nanmedian": [(torch.nanmedian, (X,)), (lambda x: torch.nanmedian(x, 1)[0], (X,))],
    "_ctc_loss": [
        *each_reduction(aligned, LOGITS),
        (lambda x: aligned(x, torch.tensor([1, 1, 2, 3, 2])), (LOGITS,)),
        (
            lambda x: F.ctc_loss(x.log_softmax(-1), torch.tensor([1, 2]), torch.tensor(6), torch.tensor(2)),
            (normal(6, 4),),
        ),
        (
            lambda x: F.ctc_loss(x.log_softmax(-1), torch.tensor([[1] * 4]), (6,), (4,), zero_infinity=True) + x.sum(),
            (normal(6, 1, 4),),
        ),
    ],
    "multi_margin_loss": [
        *each_reduction(lambda x, **how: F.multi_margin_loss(x, TARGET, **how), SCORES),
        (lambda x: F.multi_margin_loss(x, TARGET, p=2, margin=0.7, weight=listed(0.5, 1.5, 2.0)), (SCORES,)),
        (lambda x: F.multi_margin_loss(x, torch.tensor(1)), (listed(0.3, 0.9, -0.4),)),
    ],
    "multilabel_margin_loss_forward": [
        *each_reduction(lambda x, **how: F.multilabel_margin_loss(x, LABELS, **how), SCORES)
    ],
    "put": [
        (lambda x, s: x.put(torch.tensor([1, 5, 11]), s), (X, normal(3))),
        (lambda x, s: x.put(torch.tensor([1, 1, 11]), s, accumulate=True), (X, normal(3))),
    ],
    "as_strided_scatter": [(lambda x, s: torch.as_strided_scatter(x, s, (2, 2), (4, 1), 1), (X, normal(2, 2)))],
    "_unsafe_masked_index": [
        (lambda x: aten._unsafe_masked_index(x, MASK[:, :1], [ROWS[:, None], torch.tensor([[0, 1, 9, 2]])], 1.0), (X,))
    ],
    "_unsafe_masked_index_put_accumulate": [
        (lambda x, s: aten._unsafe_masked_index_put_accumulate(x, MASK, [PLACES.clamp(max=2), PLACES], s), (X, SOURCE))
    ],
    "dist": [(partial(torch.dist, p=p), (X, SOURCE)) for p in (2, 1, 3)],
    "affine_grid_generator": [
        (lambda t, aligned=aligned: F.affine_grid(t, [2, 1, 3, 4], align_corners=aligned), (normal(2, 2, 3),))
        for aligned in (True, False)
    ]
    + [(lambda t: F.affine_grid(t, [1, 1, 2, 3, 2], align_corners=False), (normal(1, 3, 4),))],
    "_pdist_forward": [(partial(F.pdist, p=p), (X,)) for p in (2, 1, 3)]
    + [(partial(F.pdist, p=float("inf")), (normal(3, 4),))],
    "renorm": [(lambda x, p=p: torch.renorm(x, p, 0, 1.5), (X,)) for p in (2, 1)],
    "grid_sampler_2d": [sample for how in ("bilinear", "bicubic", "nearest") for sample in sampled(how)],
    "grid_sampler_3d": [sample for how in ("bilinear", "nearest") for sample in sampled(how, VOLUME)],
    "max_unpool2d": [(lambda x: F.max_unpool2d(x, POOLED, 2), (normal(1, 1, 2, 2),))],
    "max_unpool3d": [
        (lambda x: F.max_unpool3d(x, torch.tensor([[[[[0, 5]], [[17, 30]]]]]), 2), (normal(1, 1, 2, 1, 2),))
    ],
    "fractional_max_pool2d": [
        (lambda x: F.fractional_max_pool2d(x, 2, output_size=2, _random_samples=DRAWN), (between(-2, 2, 1, 2, 5, 5),))
    ],
    "fractional_max_pool3d": [
        (
            lambda x: F.fractional_max_pool3d(x, 2, output_size=2, _random_samples=between(0.1, 0.9, 1, 1, 3)),
            (between(-2, 2, 1, 1, 4, 4, 4),),
        )
    ],
}
