"""A vocabulary that gets control tokens: the model gets rows for them, which begin in the middle of the others."""

from collections.abc import Mapping

import torch
from torch import Tensor

from chainrule.tokenizer import OWN_TEMPLATE, ChatTemplate, Tokenizer, chat_template

OWN_WORDS = ("<|im_start|>", "<|im_end|>")
EMBEDDINGS = ("token_embedding.weight", "head.weight")
# As a share of the spread of the other rows: enough for two new tokens to part, too little to be another word.
NOISE = 0.1


def with_own_template(tokenizer: Tokenizer) -> tuple[Tokenizer, ChatTemplate]:
    """The vocabulary with the control tokens of our own template, for a base model that has none."""
    grown = tokenizer.with_control_tokens(OWN_WORDS)
    return grown, chat_template(OWN_TEMPLATE, grown)


@torch.no_grad()
def grown(state: Mapping[str, Tensor], n_known: int, n_entries: int, seed: int) -> dict[str, Tensor]:
    """The weights with embedding rows for the ids from `n_known` to before `n_entries`; all others as they were.

    A new row is the mean of the known ones plus a little noise: the model then finds a new token as likely as an
    average one (Hewitt 2021), where a random row could outweigh all others. Rows of a padded vocabulary that
    no token had are begun anew likewise.
    """
    made = dict(state)
    generator = torch.Generator().manual_seed(seed)
    for name in EMBEDDINGS:
        if name not in state or n_entries <= n_known:
            continue
        known = state[name][:n_known].float().cpu()
        noise = torch.randn(n_entries - n_known, known.shape[1], generator=generator)
        rows = known.mean(0) + NOISE * known.std(0) * noise
        behind = state[name][n_entries:]
        made[name] = torch.cat([state[name][:n_known], rows.to(state[name]), behind])
    return made
