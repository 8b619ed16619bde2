"""What a checkpoint costs, part by part, and how much of the training it holds up, in foreground and background.

    python benchmarks/save_cost.py [--preset gpt2-124m] [--optimizer adamw] [--runs 3] [--device cpu] [--train 12]

The first table is of the state of that model with its optimizer, in a folder of --folder (the disk that is measured),
the median of --runs: copy, looking for numbers that are not finite, hash, write, fsync, reading back. The second trains
a model of that shape for so many short steps and saves in the middle, in the foreground and in the background; it gives
the seconds by which that step and those after it were longer than those before, and as a share of training: of
--save-every steps of --batch-tokens tokens each at the speed that was measured here.
"""

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import torch
from about import print_about
from torch import Tensor

from chainrule.base import bytes_text
from chainrule.checkpoint import prune_checkpoints, save_checkpoint
from chainrule.config import Config, Layer, preset, resolve
from chainrule.model import GPT
from chainrule.optim import Optimizer
from chainrule.train.guard import unsound_names
from chainrule.train.saving import Background, Draft, HostCopy

Tensors = Mapping[str, Mapping[str, Tensor]]


def seconds(do: Callable[[], object], runs: int) -> float:
    """The median of so many."""
    found = []
    for _ in range(runs):
        began = time.perf_counter()
        do()
        found.append(time.perf_counter() - began)
    return median(found)


def made(config: Config, device: str) -> tuple[GPT, Optimizer]:
    """The model and its optimizer after one update, without a forward pass."""
    model = GPT(config.model).to(device)
    optimizer = Optimizer(model, config)
    update(model, optimizer)
    return model, optimizer


def update(model: GPT, optimizer: Optimizer) -> None:
    """A step of gradients that nothing made."""
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e-6)
    optimizer.step(1.0)
    optimizer.zero_grad()


def state_of(model: GPT, optimizer: Optimizer) -> Tensors:
    """What a checkpoint of it holds."""
    return {"model": dict(model.state_dict()), "optimizer": optimizer.state()}


def parts(tensors: Tensors, folder: Path, runs: int) -> list[tuple[str, float]]:
    """The seconds of each part of a save by itself, and of the whole."""
    copy = HostCopy()
    first = seconds(lambda: copy.of(tensors), 1)
    again = seconds(lambda: copy.of(tensors), runs)
    finite = seconds(lambda: [unsound_names(named) for named in tensors.values()], runs)
    held = copy.of(tensors)
    flat = [one.reshape(-1).view(torch.uint8).numpy().data for named in held.values() for one in named.values()]

    def digest() -> None:
        sha = hashlib.sha256()
        for one in flat:
            sha.update(one)

    hashing = seconds(digest, runs)
    written, synced = [], []
    for _ in range(runs):
        began = time.perf_counter()
        with (folder / "plain").open("wb") as stream:
            for one in flat:
                stream.write(one)
            stream.flush()
            between = time.perf_counter()
            import os

            os.fsync(stream.fileno())
        written.append(between - began)
        synced.append(time.perf_counter() - between)
        (folder / "plain").unlink()
    whole = []
    for step in range(runs):
        began = time.perf_counter()
        save_checkpoint(folder / "checkpoints", step, held, {})
        whole.append(time.perf_counter() - began)
    verify = seconds(lambda: prune_checkpoints(folder / "checkpoints", 1), 1)
    return [
        ("copy, the first (new pages)", first),
        ("copy, later ones", again),
        ("every number finite?", finite),
        ("SHA-256", hashing),
        ("write", median(written)),
        ("fsync", median(synced)),
        ("the whole save", median(whole)),
        ("reading back, before older ones go", verify),
    ]


def steps_around_a_save(config: Config, folder: Path, n_steps: int, *, background: bool) -> tuple[list[float], float]:
    """Seconds of each of the steps (a forward and backward pass of one window, and an update); of the save, as held up.

    The save comes before the step in the middle, and is waited for after the last.
    """
    torch.manual_seed(0)
    model = GPT(config.model)
    optimizer = Optimizer(model, config)
    ids = torch.randint(config.model.vocab_size, (1, config.model.context_length))
    saver, found, held = Background(), [], 0.0
    for step in range(n_steps):
        began = time.perf_counter()
        if step == n_steps // 2:
            draft = Draft(folder, step, state_of(model, optimizer), {}, (), 1, ())
            saver.start(draft) if background else draft.write()
            held = time.perf_counter() - began
        torch.autograd.backward(model.loss(ids, ids))
        optimizer.step(1e-3)
        optimizer.zero_grad()
        found.append(time.perf_counter() - began)
    saver.settled(wait=True)
    saver.close()
    return found, held


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="gpt2-124m")
    parser.add_argument("--optimizer", default="adamw")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--train", type=int, default=12, help="steps of the second table; 0: without it")
    parser.add_argument("--save-every", type=int, default=250)
    parser.add_argument("--batch-tokens", type=int, default=524_288)
    parser.add_argument("--folder", default=None, help="on the disk that is to be measured; the system's temporary one")
    options = parser.parse_args()
    print_about()
    config = resolve([preset(options.preset), Layer("benchmark", {"optimizer": {"kind": options.optimizer}})]).config
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        model, optimizer = made(config, options.device)
        tensors = state_of(model, optimizer)
        size = sum(one.numel() * one.element_size() for named in tensors.values() for one in named.values())
        print(f"{options.preset}, {options.optimizer}: {bytes_text(size)} in {sum(map(len, tensors.values()))} tensors")
        found = dict(parts(tensors, Path(name), options.runs))
        for what, took in found.items():
            print(f"  {what:36}{took:8.2f} s   {size / took / 1e9:6.2f} GB/s")
        checks = found["every number finite?"] + found["SHA-256"]
        print(f"  hash and check: {checks / found['the whole save']:.0%} of a save")
        if not options.train:
            return
        del model, optimizer, tensors
        print("\nsaves       held up   the step    others   longer in all   of training (--save-every, --batch-tokens)")
        for background in (False, True):
            steps, held = steps_around_a_save(config, Path(name) / "run", options.train, background=background)
            middle = options.train // 2
            usual = median(steps[2:middle])
            longer = sum(one - usual for one in steps[middle:])
            training = options.save_every * options.batch_tokens / config.model.context_length * usual
            print(
                f"{'background' if background else 'foreground':10}{held:8.2f} s{steps[middle]:9.2f} s{usual:8.2f} s"
                f"{longer:14.2f} s{longer / training:18.4%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
