"""How deep a web page is nested, told from its tags before it is parsed.

lexbor looks through all open elements at each new one: 20,000 in each other take 0.5 s, 40,000 take 2.2 s, and so on
with the square (one core of a Zen 4); a page of 10 MB, hours.
"""

import re

# So few tags are quick however they stand.
FEW_TAGS = 20_000
# lexbor keeps 190 bytes for an element, 460 with an attribute: 5.6 million empty ones took 1 GB and 7 s.
MOST_TAGS = 750_000
# Open elements, summed over all tags: some 3 ns each. 500,000 tags at a depth of 40 make 20 million.
MOST_WORK = 500_000_000
MOST_STEPS = 2_000_000
TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)", re.I)
# These hold nothing, or are ended by the next of their kind, which every page relies on.
LEFT_OPEN = (
    "area base br col embed hr img input link meta source track wbr p li dt dd option optgroup"
    " tr td th thead tbody tfoot colgroup rt rp"
)
# What stands outside of these is not ended inside of them.
OUTER = "table template marquee object applet html svg math"
OPEN, WALLS = frozenset(LEFT_OPEN.split()), frozenset(OUTER.split())


def refuse_deep(page: str) -> None:
    """Raises ValueError for a page that would be parsed without end, or is nested so badly that it cannot be told."""
    n_tags = page.count("<")
    if n_tags <= FEW_TAGS:
        return
    if n_tags > MOST_TAGS:
        raise ValueError(f"is a web page of {n_tags:,} tags; up to {MOST_TAGS:,} are read; save it as plain text")
    opened: list[str] = []
    work = steps = 0
    for found in TAG.finditer(page):
        name = found[2].lower()
        work += len(opened)
        if work > MOST_WORK or steps > MOST_STEPS:
            raise ValueError("is a web page whose elements stand in each other without end; save it as plain text")
        if name in OPEN:
            continue
        if not found[1]:
            opened.append(name)
        else:
            at = len(opened) - 1
            while at >= 0 and opened[at] != name and (name in WALLS or opened[at] not in WALLS):
                at -= 1
                steps += 1
            if at >= 0 and opened[at] == name:
                del opened[at:]
