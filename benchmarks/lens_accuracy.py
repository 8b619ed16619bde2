"""How exact the rules are: against autograd in float64, against SymPy with 30 digits, and against differences.

    python benchmarks/lens_accuracy.py [--only neuron] [--coordinates 64]

Our models have random weights, in eval and in train mode with dropout; those of transformers are tiny and random, built
offline, and keep float64 where they would cast to float32 (the casts stay in `chainrule lens verify`, which says so).
"""

import argparse
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import sympy  # type: ignore[import-untyped]
import torch
from about import print_about
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from chainrule.config import ModelConfig
from chainrule.lens import Report, Subject, network, neuron, verify
from chainrule.model import GPT

SMALL = {"vocab_size": 512, "context_length": 64, "emb_dim": 64, "n_heads": 4, "n_layers": 2, "drop_rate": 0.1}
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "drop_rate": 0.0}
OURS: dict[str, dict[str, Any]] = {
    "gpt2": SMALL,
    "gpt2 untied": {**SMALL, "tied_embeddings": False, "qkv_bias": True},
    "llama": {**SMALL, **MODERN},
    "qwen3": {**SMALL, **MODERN, "qk_norm": True, "n_kv_heads": 2},
}
OTHERS = ("GPT2", "Llama", "Qwen2", "GPTNeoX", "Gemma2")


class Widened(TorchFunctionMode):
    """What asks for float32 inside the block gets float64."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        wide = partial(tree_map_only, torch.dtype, lambda dtype: torch.float64 if dtype == torch.float32 else dtype)
        func = torch.Tensor.double if func is torch.Tensor.float else func
        return func(*wide(args), **wide(kwargs or {}))


def own(name: str, train: bool) -> Subject:
    torch.manual_seed(0)
    model = GPT(ModelConfig.model_validate(OURS[name])).train(train)
    ids = torch.randint(0, 512, (2, 33), generator=torch.Generator().manual_seed(1))
    return Subject(f"{name}, {'train' if train else 'eval'}", model.loss, (ids[:, :-1], ids[:, 1:]))


def other(name: str) -> Subject:
    import transformers

    torch.manual_seed(0)
    sizes = {"vocab_size": 61, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "max_position_embeddings": 32, "pad_token_id": None}
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    shape: dict[str, Any] = {**sizes, **heads, **ends, "num_key_value_heads": 2, "head_dim": 4}
    if name == "GPT2":
        shape = {"vocab_size": 61, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32, **ends}
    elif name == "GPTNeoX":
        shape = {**sizes, **heads, **ends}
    config = getattr(transformers, f"{name}Config")(**shape)
    config._attn_implementation = "eager"
    model = getattr(transformers, f"{name}LMHeadModel" if name == "GPT2" else f"{name}ForCausalLM")(config)
    ids = torch.randint(0, 61, (2, 9), generator=torch.Generator().manual_seed(1))
    return Subject(f"transformers {name}", model.train(), named={"input_ids": ids, "labels": ids})


def subjects() -> Iterator[Callable[[], Subject]]:
    yield neuron
    yield network
    for name in OURS:
        for train in (False, True):
            yield partial(own, name, train)
    for name in OTHERS:
        yield partial(other, name)


def row(report: Report) -> str:
    """Largest errors, and the derivatives by numbers."""
    assert report.numbers is not None
    numbers = max((one.error("rules") for one in report.numbers.coordinates), default=0.0)
    along = max(one.error("rules") for one in report.numbers.directions)
    own_error = max((one.own_error for one in report.numbers.coordinates), default=0.0)
    n_tensors, n_nodes, n_weights = len(report.parameters), len(report.node_errors), len(report.numbers.coordinates)
    return (
        f"{report.name:<22} {n_tensors:>4} {report.worst_parameter.error:>z9.1e} {n_nodes:>6} {report.worst_node:>9.1e}"
        f" {n_weights:>6} {numbers:>z9.1e} {own_error:>9.1e} {along:>9.1e}"
        f"   {'ok' if report.ok else report.summary}"
    )


def neuron_in_ulps() -> None:
    """The two gradients of the neuron against SymPy, in units in the last place.

    SymPy starts from the same float64 numbers (2.2 and 1.1 are none), so that the difference is rounding on the way.
    """
    w, b = sympy.symbols("w b")
    a = 1 / (1 + sympy.exp(-(w * sympy.Rational(1.1) + b)))
    loss = -sympy.log(a)
    report = verify(neuron(), against=("rules", "numbers"), coordinates=2)
    assert report.numbers is not None
    ours = {one.name: one.rules for one in report.numbers.coordinates}
    for name, symbol in (("w", w), ("b", b)):
        exact = sympy.diff(loss, symbol).subs({w: sympy.Rational(2.2), b: 0}).evalf(30)
        found = ours[name]
        assert found is not None
        ulps = abs(sympy.Float(found, 40) - exact) / sympy.Float(math.ulp(float(exact)), 40)
        print(f"  dL/d{name}: rules {found!r}, SymPy {exact}: {float(ulps):.2f} ulp")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="only subjects with this in their name")
    parser.add_argument("--coordinates", type=int, default=64)
    options = parser.parse_args()
    print_about()
    print("\nOne neuron, w = 2.2, b = 0, x = 1.1, y = 1:")
    neuron_in_ulps()
    print("\nrelative errors: rules against autograd per parameter tensor and per node, against differences per weight")
    heads = f"{'n':>4} {'parameter':>9} {'n':>6} {'node':>9} {'n':>6} {'numbers':>9} {'their own':>9} {'direction':>9}"
    print(f"{'':<22} {heads}")
    with Widened():
        for make in subjects():
            subject = make()
            if options.only is None or options.only in subject.name:
                print(row(verify(subject, coordinates=options.coordinates)), flush=True)


if __name__ == "__main__":
    main()
