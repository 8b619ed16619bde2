"""Words that name models which were not trained here, for those who must know them before torch is loaded."""

# The hub's oldest models have no owner, and SmolLM2-135M-Instruct comes in a Python package. Any other word without an
# owner is a mistyped run, which no network can answer.
MODEL_WORDS = ("smollm2", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "distilgpt2")
