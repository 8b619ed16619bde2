"""What was probably meant by a flag or a verb that is none here: the words of nanoGPT, litgpt and transformers."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from chainrule.base import nearest

# By the last part of a flag, as others spell it; what stands first among a verb's own flags is named.
FLAGS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("lr", "learning-rate", "max-lr", "learning-rate-max"), ("--optimizer.lr",)),
    **dict.fromkeys(
        ("steps", "max-steps", "max-iters", "iters", "num-steps", "train-steps", "num-iterations", "iterations"),
        ("--training.steps", "--max-new-tokens"),
    ),
    **dict.fromkeys(
        ("batch-size", "batch", "global-batch-size", "per-device-train-batch-size", "bs"), ("--training.batch-tokens",)
    ),
    **dict.fromkeys(
        ("block-size", "seq-len", "seq-length", "max-seq-length", "sequence-length", "context", "ctx", "context-size"),
        ("--model.context-length",),
    ),
    **dict.fromkeys(("n-layer", "layers", "num-layers", "num-hidden-layers", "depth"), ("--model.n-layers",)),
    **dict.fromkeys(("n-head", "heads", "num-heads", "num-attention-heads"), ("--model.n-heads",)),
    **dict.fromkeys(
        ("n-embd", "d-model", "hidden-size", "dim", "width", "embed-dim", "embedding-dim"), ("--model.emb-dim",)
    ),
    **dict.fromkeys(("vocab", "vocab-size"), ("--model.vocab-size",)),
    **dict.fromkeys(("dropout", "dropout-rate"), ("--model.drop-rate",)),
    **dict.fromkeys(("wd", "weight-decay"), ("--optimizer.weight-decay",)),
    **dict.fromkeys(("optim", "optimizer"), ("--optimizer.kind",)),
    **dict.fromkeys(("clip", "max-grad-norm", "grad-clip", "gradient-clip"), ("--optimizer.grad-clip",)),
    **dict.fromkeys(
        ("warmup", "warmup-steps", "warmup-iters", "warmup-ratio", "lr-warmup"), ("--schedule.warmup-share",)
    ),
    **dict.fromkeys(("scheduler", "lr-scheduler", "lr-scheduler-type", "schedule"), ("--schedule.kind",)),
    **dict.fromkeys(("out", "output", "out-dir", "output-dir", "save-dir", "run-name"), ("--name", "--out")),
    **dict.fromkeys(("dtype", "bf16", "fp16", "fp32", "mixed-precision", "amp"), ("--machine.precision",)),
    **dict.fromkeys(
        ("gradient-accumulation-steps", "grad-accum", "accumulation", "micro-batch-size"), ("--machine.micro-batch",)
    ),
    **dict.fromkeys(("eval-interval", "eval-steps", "eval-iters", "val-every"), ("--training.eval-every",)),
    **dict.fromkeys(("log-interval", "logging-steps"), ("--training.log-every",)),
    **dict.fromkeys(("save-steps", "save-interval", "checkpoint-every"), ("--training.save-every",)),
    **dict.fromkeys(("gradient-checkpointing", "checkpointing"), ("--machine.activation-checkpointing",)),
    **dict.fromkeys(("gpu", "cuda", "use-cuda", "no-cuda"), ("--device",)),
    **dict.fromkeys(("time", "duration", "max-time", "hours", "budget"), ("--minutes",)),
    **dict.fromkeys(("init-from", "from-pretrained", "pretrained", "model-name-or-path"), ("--from",)),
    **dict.fromkeys(("resume-from", "resume-from-checkpoint", "continue"), ("--resume",)),
    **dict.fromkeys(("branch", "fork-from", "fork-run"), ("--fork",)),
    **dict.fromkeys(("random-seed", "rng"), ("--training.seed", "--seed")),
    **dict.fromkeys(("text-column", "text-field", "column"), ("--text.field",)),
    **dict.fromkeys(("tokenizer", "tokenizer-name", "vocab-type"), ("--vocabulary.kind",)),
    **dict.fromkeys(("temp",), ("--temperature",)),
    **dict.fromkeys(("max-tokens", "max-length", "length", "new-tokens", "num-tokens"), ("--max-new-tokens",)),
    **dict.fromkeys(("num-samples", "n", "num-return-sequences", "samples"), ("--copies",)),
    **dict.fromkeys(("rep-penalty", "repeat-penalty"), ("--repetition-penalty",)),
}
# What needs more than a name.
NOTES: Mapping[str, str] = {
    "--training.batch-tokens": "counts tokens, not windows: windows times model.context_length",
    "--schedule.warmup-share": "is a share of the steps, such as 0.02",
    "--machine.precision": "is float32, bfloat16 or auto",
    "--machine.micro-batch": "is how many windows one forward pass takes; by itself what fits in memory is taken",
}
WITHOUT_FLAG: Mapping[str, str] = {
    **dict.fromkeys(
        ("epochs", "num-epochs", "num-train-epochs", "max-epochs"),
        "a run reads the text as often as its time allows; give --minutes, or --training.steps",
    ),
    **dict.fromkeys(
        ("data", "dataset", "input", "train-data", "data-dir", "train-file", "text-file", "files", "path"),
        "text is named without a flag: `chainrule pretrain my_texts/`",
    ),
    **dict.fromkeys(
        ("prompt", "prompts", "start", "text"),
        'a prompt is written without a flag: `chainrule generate runs/NAME "Once"`',
    ),
    **dict.fromkeys(
        ("model", "checkpoint", "ckpt", "model-path", "run"),
        "the model is named first, without a flag: `chainrule generate runs/NAME`",
    ),
    "wandb": "nothing is sent anywhere: figures are in runs/NAME/metrics.jsonl, and `chainrule report` shows them",
}
VERBS: Mapping[str, str] = {
    "?": "`chainrule help`, or `chainrule VERB --help`",
    "version": "`chainrule --version`",
    **dict.fromkeys(("train", "fit", "run"), "`chainrule pretrain my_texts/`"),
    **dict.fromkeys(("resume", "continue"), "`chainrule pretrain --resume runs/NAME`"),
    **dict.fromkeys(("sample", "complete", "infer", "inference", "write"), '`chainrule generate runs/NAME "Once"`'),
    **dict.fromkeys(("eval", "test", "score", "benchmark"), "`chainrule evaluate runs/NAME`"),
    **dict.fromkeys(("ls", "list"), "`chainrule runs`"),
    **dict.fromkeys(("delete", "remove", "rm"), "`chainrule runs rm NAME`"),
    **dict.fromkeys(("prune", "clean"), "`chainrule runs prune`"),
    **dict.fromkeys(("diff", "versus"), "`chainrule compare runs/a runs/b`"),
    **dict.fromkeys(("sweep", "search", "lr-finder", "lr-find", "autotune"), "`chainrule tune my_texts/`"),
    **dict.fromkeys(("fork", "branch"), "`chainrule pretrain --fork runs/NAME@STEP`"),
    **dict.fromkeys(("convert", "save"), "`chainrule export hf runs/NAME out/`"),
    **dict.fromkeys(("tokenize", "preprocess"), "`chainrule prepare my_texts/`"),
}


def flag_meant(word: str, flags: Collection[str]) -> str:
    """What to write instead of an unknown flag of a verb that has `flags`; empty when nothing comes near."""
    name = word.split("=")[0].lstrip("-").replace("_", "-").lower()
    tail = name.rpartition(".")[2]
    same = [flag for flag in sorted(flags, key=len) if flag.rpartition(".")[2].lstrip("-") == tail]
    for flag in (*same, *(flag for flag in FLAGS.get(tail, ()) if flag in flags)):
        note = f", which {NOTES[flag]}" if flag in NOTES else ""
        return f"Here it is {flag}{note}."
    if tail in WITHOUT_FLAG:
        return f"{WITHOUT_FLAG[tail][0].upper()}{WITHOUT_FLAG[tail][1:]}."
    return nearest(f"--{name}", flags).strip()


def word_meant(word: str, chain: Sequence[str], words: Iterable[str]) -> str:
    """What to write instead of a word that none of a verb's own `words` is, below the verbs of `chain`."""
    written = VERBS.get(word, "")
    if chain and f"chainrule {chain[0]}" in written:
        return f"Write {written}."
    return nearest(word, (one for one in words if one[0] != "-")).strip()


def verb_meant(word: str, verbs: Collection[str]) -> str:
    """What to write instead of a word that is no verb; all verbs where nothing comes near."""
    if word in VERBS:
        return f"Write {VERBS[word]}."
    return nearest(word, verbs).strip() or f"Verbs: {', '.join(verbs)}."
