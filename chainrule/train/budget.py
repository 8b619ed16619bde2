"""How many steps a time budget holds, from what the machine just showed."""

from chainrule.config import Config, TrainingConfig
from chainrule.data import Dataset

# A look costs a forward pass, a third of learning from the same tokens; samples one token's work for each token, at
# about a tenth of the speed of training.
FORWARD_SHARE = 1 / 3
SAMPLE_SLOWDOWN = 10
# The end: all held-out text with half-overlapping windows; xz -9e over training and held-out text, about 1 MB/s here,
# 16 MiB at most; completions and the report.
FINAL_PASSES = 2
COMPRESSED_BYTES_PER_SECOND, MOST_COMPRESSED = 0.9e6, 16 * 2**20
REPORT_SECONDS = 8.0
LEAST_STEPS = 10
# The probe tells the quickest step; this is what a usual one takes longer.
USUAL = 1.06


def steps_in(seconds: float, step_seconds: float, config: Config, dataset: Dataset) -> int:
    """Updates that fit in `seconds` with all that happens between and after them; at least ten."""
    step_seconds *= USUAL
    speed = config.batch_windows * config.model.context_length / step_seconds
    training = config.training
    held_out = dataset.split("validation").n_tokens
    looked = FORWARD_SHARE * min(training.eval_tokens, held_out) / speed
    sampled = SAMPLE_SLOWDOWN * len(training.prompts) * training.sample_tokens / speed
    n_looks, n_samples = training.steps / training.eval_every, training.steps / training.sample_every
    text_bytes = sum(dataset.manifest.report["split_bytes"].values())
    ending = FINAL_PASSES * FORWARD_SHARE * held_out / speed + REPORT_SECONDS
    ending += min(text_bytes, MOST_COMPRESSED) / COMPRESSED_BYTES_PER_SECOND
    left = seconds - ending - n_looks * looked - n_samples * sampled
    return max(LEAST_STEPS, int(left / step_seconds))


def with_steps(training: TrainingConfig, steps: int) -> dict[str, int]:
    """Another number of steps, and the intervals of all looks at the same shares of the run."""
    names = ("eval_every", "sample_every", "save_every")
    scaled = {name: max(1, round(getattr(training, name) * steps / training.steps)) for name in names}
    return {"steps": steps, **scaled}
