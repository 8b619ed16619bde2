"""What of a model learns: all of it, or an adapter around it; how it begins, and what a checkpoint holds of it."""

from dataclasses import dataclass

import torch

from chainrule.checkpoint import (
    ADAPTER_STEM,
    ROWS_STEM,
    AdapterFacts,
    Checkpoint,
    OpenedModel,
    base_of,
    check_base,
    load_saved_adapter,
    load_weights,
    to_peft,
)
from chainrule.config import Config
from chainrule.finetune.adapter_checks import check_moved, check_neutral
from chainrule.finetune.grow import grown
from chainrule.model import (
    GPT,
    LoraSettings,
    add_lora,
    base_tensors,
    begin_adapter,
    learn_rows,
    row_tensors,
)
from chainrule.run import LoraRecord, Tuning
from chainrule.tokenizer import Tokenizer
from chainrule.train import Kept

# Tokens that show whether an adapter adds anything: as many as a logit of each layer needs, and no more.
LOOKED_AT = 16


@dataclass(frozen=True)
class Weights:
    """Everything learns, and a checkpoint holds everything. See chainrule.train's `Lesson` for each of these."""

    tuning: Tuning
    tokenizer: Tokenizer

    def adapt(self, config: Config, model: GPT) -> None:
        """Nothing."""

    def learning(self, config: Config) -> int | None:
        """All numbers."""
        return None

    def first_model(self, config: Config, model: GPT, opened: OpenedModel) -> None:
        """The base's weights, with rows for the new control tokens."""
        load_weights(model, self._grown(config, opened), opened.origin)

    def kept(self, model: GPT) -> Kept:
        """All weights."""
        return Kept({"model": dict(model.state_dict())})

    def restore(self, config: Config, model: GPT, checkpoint: Checkpoint) -> None:
        """All weights."""
        load_weights(model, checkpoint.tensors("model"), str(checkpoint.path))

    def check(self, model: GPT, n_updates: int) -> None:
        """Nothing that full weights could do wrong."""

    def _grown(self, config: Config, opened: OpenedModel) -> dict[str, torch.Tensor]:
        state = opened.model.state_dict()
        return grown(state, self.tuning.n_known, self.tokenizer.vocab_size, config.training.seed)


@dataclass(frozen=True)
class AdapterWeights(Weights):
    """A low-rank adapter learns, and rows of new control tokens; a checkpoint holds these and which base they are for.

    The base is opened from where it was when the checkpoint is.
    """

    @property
    def settings(self) -> LoraSettings:
        """What the adapter is."""
        lora = self._lora
        return LoraSettings(lora.rank, lora.alpha, lora.rslora, lora.dora, lora.targets)

    @property
    def n_new(self) -> int:
        """Control tokens that the base does not know."""
        return self.tokenizer.vocab_size - self.tuning.n_known

    def adapt(self, config: Config, model: GPT) -> None:
        """Puts the adapter around the layers; the base is frozen, but for the new rows."""
        add_lora(model, self.settings, config.training.seed)
        if self.n_new > 0:
            learn_rows(model, self.tuning.n_known, self.n_new)

    def learning(self, config: Config) -> int | None:
        """Those of the adapter and of the new rows, counted on a model without numbers."""
        with torch.device("meta"):
            model = GPT(config.model)
        self.adapt(config, model)
        return sum(one.numel() for one in model.parameters() if one.requires_grad)

    def first_model(self, config: Config, model: GPT, opened: OpenedModel) -> None:
        """The base's weights below the adapter; raises CheckpointError when it is another base by now."""
        check_base(opened.model, self._lora.base_sha256, "this fine-tuning's adapter")
        self._put_below(model, config, opened)

    def kept(self, model: GPT) -> Kept:
        """The adapter under PEFT's names, rows, and the base's fingerprint."""
        tensors = {ADAPTER_STEM: to_peft(model)[1]}
        rows = row_tensors(model)
        lora = self._lora
        about = AdapterFacts(self.tuning.source, lora.base_step, lora.base_sha256, self.tuning.n_known)
        return Kept({**tensors, ROWS_STEM: rows} if rows else tensors, about.state())

    def restore(self, config: Config, model: GPT, checkpoint: Checkpoint) -> None:
        """The base from where it was, and the adapter from the checkpoint."""
        self._put_below(model, config, base_of(checkpoint))
        load_saved_adapter(model, checkpoint)

    def check(self, model: GPT, n_updates: int) -> None:
        """Before the first update the adapter adds nothing; after it each of its parts does. Raises TrainingError."""
        length = min(LOOKED_AT, model.config.context_length)
        ids = torch.arange(length, device=model.token_embedding.weight.device)[None] % self.tuning.n_known
        if n_updates == 0:
            check_neutral(model, ids)
        else:
            check_moved(model, ids)

    @property
    def _lora(self) -> LoraRecord:
        assert self.tuning.lora is not None, "begin.py writes it down for every adapter"
        return self.tuning.lora

    @torch.no_grad()
    def _put_below(self, model: GPT, config: Config, opened: OpenedModel) -> None:
        below, state = base_tensors(model), self._grown(config, opened)
        assert below.keys() == state.keys(), "the model was made in the base's shape"
        parameters = dict(model.named_parameters())
        for name, tensor in state.items():
            if name in parameters and tensor.device == below[name].device and tensor.dtype == below[name].dtype:
                # The base's own memory: nobody writes it while the adapter learns, and a second one may not fit.
                parameters[name].data = tensor
            else:
                below[name].copy_(tensor)
        begin_adapter(model)


# Above so many parameters an adapter learns instead of all weights: its optimizer fits beside the model.
LARGE = 50_000_000


def is_large(model: GPT) -> bool:
    """Whether an adapter is the usual way to teach it."""
    return sum(one.numel() for one in model.parameters()) > LARGE


ADAPTERS: dict[str, type[Weights]] = {"none": Weights, "lora": AdapterWeights}
"""By the word of the settings: what learns."""
