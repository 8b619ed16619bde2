"""The last samples with what stands word for word in the training text marked; what is not copied is folded away."""

from chainrule.base import count_text
from chainrule.report.copied import Copied, CopiedSample
from chainrule.report.sections import folded, section
from chainrule.show import Html, join, tag

LONGEST_QUOTE = 90


def copying(copied: Copied) -> Html:
    """How much is copied, and where from."""
    title = "Is it copied?"
    if copied.why_not:
        return section("copying", title, tag("p", copied.why_not))
    order = sorted(copied.samples, key=lambda sample: (-sample.copy.share, -sample.copy.length))
    marked = [_copied(sample) for sample in order if sample.copy.share > 0]
    others = [_copied(sample) for sample in order if sample.copy.share == 0]
    rest = f"{len(others)} samples without a copied run" if marked else "The samples, and their longest matches"
    return section(
        "copying",
        title,
        tag("p", _sentence(copied), class_="verdict"),
        tag("div", join(marked), class_="copies") if marked else None,
        folded(rest, tag("div", join(others), class_="copies")) if others else None,
    )


def _sentence(copied: Copied) -> str:
    longest = max(copied.samples, key=lambda sample: sample.copy.length).copy.length
    searched = f"{count_text(copied.searched_tokens)} training tokens"
    where = f"all {searched}" if copied.whole else f"the first {searched}"
    match = f"the longest match is {longest} tokens" if longest else "no match is worth naming"
    share = "Nothing" if not copied.share else f"{copied.share:.1%}"
    return (
        f"{share} of the last samples lies in runs of at least {copied.min_run} tokens that stand word for word in "
        f"the training text; {match}. Each was compared exactly with {where}."
    )


def _copied(sample: CopiedSample) -> Html:
    text = join(tag("mark", piece) if marked else piece for piece, marked in _begun(sample))
    place = f", in {sample.source}" if sample.source else ""
    match = f"longest match {sample.copy.length} tokens{place}: " if sample.copy.length else "no match worth naming"
    quote = tag("q", sample.longest.strip()[:LONGEST_QUOTE]) if sample.copy.length else None
    share = (tag("b", f"{sample.copy.share:.0%} copied"), " · ") if sample.copy.share else ()
    caption = tag("figcaption", *share, match, quote)
    return tag("figure", tag("pre", text, tabindex="0"), caption, class_="copied")


def _begun(sample: CopiedSample) -> list[tuple[str, bool]]:
    """The stretches without the empty lines that the first begins with."""
    (first, marked), *rest = sample.stretches or (("", False),)
    return [(first.lstrip("\r\n"), marked), *rest]
