"""Operations that hand nothing back: new tensors in the form of another, random numbers, truth values, `detach`."""

FACTORIES = {f"{content}_like" for content in ("empty", "zeros", "ones", "full", "rand", "randn", "randint")} | {
    f"new_{content}" for content in ("empty", "empty_strided", "zeros", "ones", "full")
}
RANDOM = {
    *("bernoulli", "uniform", "normal", "exponential", "cauchy", "log_normal", "geometric", "random", "multinomial"),
    *("poisson", "binomial"),
}
TRUTHS = {"eq", "ne", "lt", "le", "gt", "ge", "isnan", "isinf", "isfinite", "isposinf", "isneginf", "isin"} | {
    *("signbit", "any", "all", "isreal", "isclose"),
    *(f"logical_{word}" for word in ("and", "or", "xor", "not")),
}
CONSTANT = frozenset({"detach", "detach_copy", "set_data", *FACTORIES, *RANDOM, *TRUTHS})
