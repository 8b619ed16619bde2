"""What the lens notices: every rule bent by 1e-9 in turn, and every planted fault; and whether it names the place.

    python benchmarks/lens_sensitivity.py [--factor 1e-9] [--rules add mul ...]

The operations that each rule is tried on are the samples of its own proof, and the faults are those of the suite: both
are read from tests/lens (SAMPLES in rules/samples.py, FAULTS in faults.py), so that there is one list of each. Then the
rules of a whole GPT are bent in place, where thousands of other gradients are right.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from about import print_about
from torch import Tensor
from torch.utils._pytree import tree_leaves

from chainrule.base import LensError
from chainrule.config import ModelConfig
from chainrule.lens import Policy, Report, record, verify
from chainrule.lens.rules import RULES, Call, Gradients, Rule
from chainrule.model import GPT

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

AUTOGRAD_AND_RULES = ("autograd", "rules")
SHAPE = {"vocab_size": 61, "context_length": 24, "emb_dim": 32, "n_heads": 4, "n_layers": 2}
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "qk_norm": True}


def bent(rule: Rule, factor: float, bent_something: list[bool] | None = None) -> Rule:
    """The rule with every gradient times `factor`; says in the list whenever one of them was not zero."""

    def pullback(call: Call, *gradients: Tensor | None) -> Gradients:
        found = rule.pullback(call, *gradients)
        if bent_something is not None:
            tensors = [one for one in tree_leaves(dict(found)) if isinstance(one, Tensor)]
            bent_something.append(any(bool(one.any()) for one in tensors))
        return {name: scaled(one, factor) for name, one in found.items()}

    return replace(rule, pullback=pullback)


def scaled(gradient: Any, factor: float) -> Any:
    """A gradient, or each of a list of them."""
    if isinstance(gradient, Tensor):
        return gradient * factor
    return [None if one is None else one * factor for one in gradient]


def weighted(result: Any) -> Tensor:
    """One number of everything differentiable in a result, no two elements with the same weight."""
    parts = [one for one in (result if isinstance(result, list | tuple) else [result]) if one.is_floating_point()]
    numbers = [(one * torch.linspace(0.5, 1.5, one.numel(), dtype=one.dtype).reshape(one.shape)).sum() for one in parts]
    return torch.stack(numbers).sum()


def verdict(name: str, report: Report) -> str:
    """What became of a rule that was bent."""
    if report.ok:
        return "not noticed"
    if report.suspect is None:
        return "found, unnamed"
    return "named" if report.tape.nodes[report.suspect].rule_name == name else "another named"


def on_samples(name: str, samples: Sequence[tuple[Callable[..., Any], Sequence[Any]]], factor: float) -> str:
    """The best verdict that any sample of the rule gives; the gradient of some is zero everywhere."""
    found = []
    for function, given in samples:
        tensors = [one.detach().clone() for one in given]
        for tensor in tensors:
            tensor.requires_grad_(tensor.is_floating_point())
        something: list[bool] = []
        rules = {**RULES, name: bent(RULES[name], factor, something)}
        try:
            report = verify(
                lambda *inputs, function=function: weighted(function(*inputs)),
                tuple(tensors),
                policy=Policy(rules),
                against=AUTOGRAD_AND_RULES,
            )
        except LensError as fault:
            found.append(f"refused: {str(fault)[:60]}")
            continue
        reaches = any(one.difference is not None and one.difference.size for one in report.parameters)
        found.append(verdict(name, report) if any(something) and reaches else "gradient is zero")
    order = ("found, unnamed", "another named", "not noticed", "named", "gradient is zero")
    return next((word for word in order if word in found), found[0] if found else "no sample")


def in_models(factor: float) -> Iterator[tuple[str, str]]:
    """Each rule that two small GPTs use, bent there."""
    for shape in (SHAPE, {**SHAPE, **MODERN}):
        torch.manual_seed(0)
        model = GPT(ModelConfig.model_validate(shape))
        ids = torch.randint(0, 61, (2, 17), generator=torch.Generator().manual_seed(1))
        batch = (ids[:, :-1], ids[:, 1:])
        for name in sorted({node.rule_name for node in record(model.loss, *batch).nodes} & set(RULES)):
            rules = {**RULES, name: bent(RULES[name], factor)}
            report = verify(model.loss, batch, policy=Policy(rules), against=AUTOGRAD_AND_RULES)
            yield name, verdict(name, report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--factor", type=float, default=1e-9, help="how much too large a gradient is made")
    parser.add_argument("--rules", nargs="*", help="only these rules")
    options = parser.parse_args()
    from lens.faults import FAULTS, WRONG  # type: ignore[import-not-found]
    from lens.rules.samples import SAME_AS, SAMPLES  # type: ignore[import-not-found]

    print_about()
    torch.set_num_threads(1)
    chosen = options.rules or sorted(RULES)
    factor = 1 + options.factor
    by_word: dict[str, list[str]] = {}
    for name in chosen:
        samples = [] if name in SAME_AS else SAMPLES.get(name, [])
        by_word.setdefault(on_samples(name, samples, factor), []).append(name)
    print(f"\n{len(chosen)} rules, each bent by {options.factor:g}, on the samples of its proof:")
    for word, names in sorted(by_word.items(), key=lambda pair: -len(pair[1])):
        print(f"  {word:<18} {len(names):>4}   {'' if word == 'named' else ', '.join(names)}")
    if options.rules:
        return
    inside = Counter(word for _, word in in_models(factor))
    print(f"rules bent inside two GPTs: {dict(inside)} (not noticed: masks, off the way to a weight)")
    named = 0
    for name, make in FAULTS.items():
        model, batch, loss = make()
        report = verify(model, batch, loss, coordinates=4)
        right = report.place is not None and report.place.function == WRONG[name].__name__
        named += right
        error = 0.0 if report.place is None else report.place.relative
        print(f"  {'named' if right else 'MISSED':<7} {name}: error {error:.1e}")
    print(f"planted faults: {named} of {len(FAULTS)} found and named")


if __name__ == "__main__":
    main()
