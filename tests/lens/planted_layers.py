"""Twenty more faults beside innocent siblings, those of layers as people write them by hand; they join `PLANTED`.

Some stand beside a line that stops gradients (`beside`), which must excuse nothing.
"""

import math

import torch
from lens.planted import PLANTED, ROWS, WIDTH, planted
from torch import nn
from torch.autograd import Function
from torch.nn import functional

__all__ = ["PLANTED"]

IDS = torch.tensor([0, 1, 0, 2, 4])
TARGETS = torch.tensor([0, 1, -100, 2, 5])
CAUSAL = torch.ones(ROWS, WIDTH).triu(1) > 0


class Layer(nn.Module):
    """A custom Function with weights of these shapes; `beside` is added, to stop gradients beside it."""

    def __init__(self, function, *shapes, beside=lambda x: 0.0):
        super().__init__()
        self.function, self.beside = function.apply, beside
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(shape)) for shape in shapes])

    def forward(self, x):
        return self.function(x, *self.weights) + self.beside(x)


def layer(name, *shapes, beside=lambda x: 0.0):
    """Plants a Function that is made right or faulty; the verdict has to name its class."""

    def add(made):
        planted(name, made(True).__name__)(lambda faulty: Layer(made(faulty), *shapes, beside=beside))
        return made

    return add


def detached(x):
    return x.detach().cos()


def no_grad(x):
    with torch.no_grad():
        return x.square().mean()


def number(x):
    return x.sum().item()


@layer("a square weight is transposed", (WIDTH, WIDTH), beside=detached)
def _(faulty):
    class SquareLinear(Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x @ w.t()

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            return g @ (w.t() if faulty else w), g.t() @ x

    return SquareLinear


@layer("RMSNorm forgets that the size depends on the input", (WIDTH,), beside=no_grad)
def _(faulty):
    class RmsNorm(Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x * x.square().mean(-1, keepdim=True).rsqrt() * w

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            r = x.square().mean(-1, keepdim=True).rsqrt()
            term = x * r**3 * (g * w * x).mean(-1, keepdim=True)
            return g * w * r - (0 if faulty else 1) * term, (g * x * r).sum(0)

    return RmsNorm


@layer("a broadcast is not summed over", (WIDTH,))
def _(faulty):
    class Bias(Function):
        @staticmethod
        def forward(ctx, x, b):
            return x + b

        @staticmethod
        def backward(ctx, g):
            return g, g[0] if faulty else g.sum(0)

    return Bias


@layer("the mean is taken over the wrong axis", beside=number)
def _(faulty):
    class Centre(Function):
        @staticmethod
        def forward(ctx, x):
            return x - x.mean(0, keepdim=True)

        @staticmethod
        def backward(ctx, g):
            return g - g.mean(1 if faulty else 0, keepdim=True)

    return Centre


@layer("layer norm divides by n − 1 on the way back")
def _(faulty):
    class LayerNorm(Function):
        @staticmethod
        def forward(ctx, x):
            y = functional.layer_norm(x, x.shape[-1:], eps=0.0)
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            inner = g - g.mean(-1, keepdim=True) - y * (g * y).mean(-1, keepdim=True)
            return inner / x.std(-1, correction=1 if faulty else 0, keepdim=True)

    return LayerNorm


@layer("softmax has only the diagonal of its Jacobian")
def _(faulty):
    class Softmax(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x.softmax(-1))
            return x.softmax(-1)

        @staticmethod
        def backward(ctx, g):
            (p,) = ctx.saved_tensors
            return g * p * (1 - p) if faulty else p * (g - (p * g).sum(-1, keepdim=True))

    return Softmax


@layer("attention forgets its scale for the keys", beside=detached)
def _(faulty):
    class Scores(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return (x @ x.t() / math.sqrt(WIDTH)) @ torch.ones(ROWS, WIDTH, dtype=x.dtype)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            inner = g @ torch.ones(WIDTH, ROWS, dtype=g.dtype)
            return inner @ x / math.sqrt(WIDTH) + inner.t() @ x / (1 if faulty else math.sqrt(WIDTH))

    return Scores


@layer("the causal mask is missing on the way back")
def _(faulty):
    class CausalSoftmax(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.masked_fill(CAUSAL, -1e30).softmax(-1)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            p = (x if faulty else x.masked_fill(CAUSAL, -1e30)).softmax(-1)
            return p * (g - (p * g).sum(-1, keepdim=True))

    return CausalSoftmax


@layer("dropout draws its mask again")
def _(faulty):
    class Dropout(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.kept = torch.rand_like(x) > 0.4
            return x * ctx.kept / 0.6

        @staticmethod
        def backward(ctx, g):
            return g * (torch.rand_like(g) > 0.4 if faulty else ctx.kept) / 0.6

    return Dropout


@layer("the row of the padding is moved", (WIDTH, WIDTH), beside=no_grad)
def _(faulty):
    class Embedding(Function):
        @staticmethod
        def forward(ctx, x, table):
            return x + table[IDS] * (IDS > 0)[:, None]

        @staticmethod
        def backward(ctx, g):
            seen = g if faulty else g * (IDS > 0)[:, None]
            return g, g.new_zeros(WIDTH, WIDTH).index_add(0, IDS, seen)

    return Embedding


@layer("targets that are ignored are counted")
def _(faulty):
    class CrossEntropy(Function):
        @staticmethod
        def forward(ctx, logits):
            ctx.save_for_backward(logits)
            return functional.cross_entropy(logits, TARGETS)

        @staticmethod
        def backward(ctx, g):
            (logits,) = ctx.saved_tensors
            counted = (TARGETS >= 0)[:, None]
            hot = functional.one_hot(TARGETS.clamp(min=0), WIDTH) * counted
            return g * (logits.softmax(-1) * counted - hot) / (len(TARGETS) if faulty else int(counted.sum()))

    return CrossEntropy


@layer("a tied weight is counted once", (WIDTH, WIDTH))
def _(faulty):
    class Tied(Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return torch.tanh(x @ w) @ w.t()

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            h = torch.tanh(x @ w)
            inner = (g @ w) * (1 - h * h)
            return inner @ w.t(), x.t() @ inner + (0 if faulty else g.t() @ h)

    return Tied


@layer("the way back computes in float32", (WIDTH, WIDTH), beside=number)
def _(faulty):
    class Single(Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x @ w

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            mine = g.float().to(g.dtype) if faulty else g
            return mine @ w.t(), x.t() @ mine

    return Single


@layer("a gradient is clipped on the way back")
def _(faulty):
    class Clipped(Function):
        @staticmethod
        def forward(ctx, x):
            return 3 * x

        @staticmethod
        def backward(ctx, g):
            bound = 1e-3 if faulty else 1e3
            return (3 * g).clamp(-bound, bound)

    return Clipped


@layer("a rotation is not turned back")
def _(faulty):
    class Rotate(Function):
        @staticmethod
        def forward(ctx, x):
            a, b = x.chunk(2, -1)
            return torch.cat([0.8 * a - 0.6 * b, 0.6 * a + 0.8 * b], -1)

        @staticmethod
        def backward(ctx, g):
            a, b = g.chunk(2, -1)
            s = 0.6 if faulty else -0.6
            return torch.cat([0.8 * a - s * b, s * a + 0.8 * b], -1)

    return Rotate


@layer("a clamp lets gradients through beyond its bounds")
def _(faulty):
    class Clamp(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.clamp(-0.3, 0.3)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g if faulty else g * (x.abs() <= 0.3)

    return Clamp


@layer("what was saved has been overwritten since", beside=detached)
def _(faulty):
    class Scratch(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.kept = x.clone()
            y = ctx.kept * ctx.kept
            ctx.kept += 1.0 * faulty
            return y

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.kept

    return Scratch


@layer("two gradients are handed back in the wrong order", (ROWS, WIDTH))
def _(faulty):
    class Product(Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x * w

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            return (g * x, g * w) if faulty else (g * w, g * x)

    return Product


@layer("a recurrence is followed back two steps only", (WIDTH,))
def _(faulty):
    class Recurrence(Function):
        @staticmethod
        def forward(ctx, x, decay):
            made, h = [], torch.zeros_like(x[0])
            for row in x:
                h = h * decay + row
                made.append(h)
            ctx.save_for_backward(decay, torch.stack(made))
            return torch.stack(made)

        @staticmethod
        def backward(ctx, g):
            decay, made = ctx.saved_tensors
            to_x, to_decay = torch.zeros_like(g), torch.zeros_like(decay)
            for end in range(ROWS):
                arrived = g[end]
                for at in range(end, max(end - 2, -1) if faulty else -1, -1):
                    to_x[at] += arrived
                    if at:
                        to_decay += arrived * made[at - 1]
                    arrived = arrived * decay
            return to_x, to_decay

    return Recurrence


@layer("a convolution's kernel is not turned around", (1, 1, 3), beside=no_grad)
def _(faulty):
    class Convolution(Function):
        @staticmethod
        def forward(ctx, x, kernel):
            ctx.save_for_backward(x, kernel)
            return functional.conv1d(x[:, None], kernel, padding=1)[:, 0]

        @staticmethod
        def backward(ctx, g):
            x, kernel = ctx.saved_tensors
            back = kernel if faulty else kernel.flip(-1)
            windows = functional.pad(x, (1, 1)).unfold(-1, 3, 1)
            to_kernel = (windows * g[..., None]).sum((0, 1))
            return functional.conv1d(g[:, None], back, padding=1)[:, 0], to_kernel.reshape(1, 1, 3)

    return Convolution


class Averaged(nn.Module):
    """Divides by a running average, and moves it once it has been read: what autograd saved moves with it."""

    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty
        self.register_buffer("average", torch.ones(WIDTH))

    def forward(self, x):
        read = self.average if self.faulty else self.average.clone()
        y = x / read
        self.average.data.lerp_(x.detach().square().mean(0), 0.3)
        return y


@planted("a running average is moved past autograd after it was read", "gradient of div.Tensor in middle")
def _(faulty):
    return Averaged(faulty)
