"""Fixed numbers for samples."""

import torch
from torch import Tensor


def between(low: float, high: float, *shape: int) -> Tensor:
    """Distinct numbers from low to high, shuffled in a fixed way."""
    n = torch.Size(shape).numel()
    order = torch.randperm(n, generator=torch.Generator().manual_seed(n))
    return torch.linspace(low, high, n, dtype=torch.float64)[order].reshape(shape)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def listed(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def complex_normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.complex(normal(*shape, seed=seed), normal(*shape, seed=seed + 50))
