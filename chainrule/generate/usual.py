"""How a model of some size is usually asked to write, when nobody says how."""

from chainrule.generate.rules import Rule, sampling_rules

# Measured on quickstarts of 2M parameters (docs/LOG.md): with min-p nearly all words are words at any of these
# temperatures, and the cooler the text, the more often it repeats itself. What larger ones get was not measured.
TEMPERATURES = ((30_000_000, 0.8), (300_000_000, 0.85))
LARGEST_TEMPERATURE = 0.9
MIN_P = 0.05


def usual_rules(
    n_parameters: int,
    *,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float | None = None,
) -> tuple[Rule, ...]:
    """The rules for a model of `n_parameters`, with what is given in place of what is usual.

    Usual is a temperature by size, and min-p when none of top-k, top-p and min-p is given. Raises ConfigError for a
    setting out of range.
    """
    if temperature is None:
        temperature = usual_temperature(n_parameters)
    if top_k is None and top_p is None and min_p is None:
        min_p = MIN_P
    return sampling_rules(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=repetition_penalty
    )


def usual_temperature(n_parameters: int) -> float:
    """From 0.8 for small models to 0.9 for large ones."""
    return next((value for most, value in TEMPERATURES if n_parameters <= most), LARGEST_TEMPERATURE)
