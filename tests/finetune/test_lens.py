"""The lens holds a step of fine-tuning against its own rules: packed windows, masked targets, documents."""

import numpy as np
import torch
from finetune.test_packing import network, some

from chainrule.finetune.packing import packed
from chainrule.lens import verify
from chainrule.model import Batch


def test_the_gradients_of_a_packed_and_masked_batch_are_those_of_the_rules_in_float64() -> None:
    torch.manual_seed(0)
    model = network(emb_dim=16, n_heads=2, n_layers=1, context_length=96)
    windows = packed(some(6), 95, 0)
    batch = Batch.of(windows.windows(np.arange(2)))
    assert bool((batch.targets == -100).any()) and int(batch.documents.max()) > 0
    model.logits_at_once = 2**40  # so that the loss is recorded operation by operation
    report = verify(model.loss, (batch.inputs, batch.targets, batch.documents), coordinates=0)
    assert report.ok, report
