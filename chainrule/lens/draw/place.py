"""Sizes and coordinates for a drawing that stands still: every card, box and wire, folded below a depth."""

from dataclasses import dataclass, field
from itertools import pairwise

from chainrule.lens.draw.data import DrawnBox, DrawnOp, DrawnValue, Picture
from chainrule.lens.draw.words import (
    SMALL,
    box_facts,
    depth_of,
    figure,
    op_name,
    result,
    shape_text,
    through,
    value_figure,
)

GAP, ROW_GAP, PAD, HEAD = 18.0, 34.0, 16.0, 34.0
LANE = 10.0
CHARACTER = 7.3  # width of one, at the drawing's 13 pixels, with room for wide letters
Key = tuple[str, int]
Point = tuple[float, float]
Lane = tuple[float, float, float]  # x, and from where down to where
Ends = tuple[Key, Key, int]  # a wire: from, to, value


@dataclass
class Card:
    """One rectangle: an operation, a leaf, a folded module, or an open one that has others inside."""

    key: Key
    lines: list[str]
    value: str = ""
    gradient: str = ""
    style: str = "op"
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0
    met: int = 0


@dataclass
class Placement:
    """All cards, the outer boxes first, and the wires as points with straight lanes; `width` and `height` of all."""

    cards: list[Card] = field(default_factory=list)
    wires: list[tuple[list[Point], bool]] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


def place(picture: Picture, depth: int) -> Placement:
    """The drawing with modules unfolded down to `depth`: 0 shows what stands outermost."""
    return _Placer(picture, depth).run()


class _Placer:
    def __init__(self, picture: Picture, depth: int) -> None:
        self.picture = picture
        self.open = {box.id for box in picture.boxes if box.id == 0 or depth_of(picture, box) <= depth}
        self.cards: dict[Key, Card] = {}
        self.lanes: dict[tuple[int, int], list[Lane]] = {}
        self.sizes: dict[int, tuple[float, float]] = {}

    def run(self) -> Placement:
        width, height = self._size_of_box(0)
        self._put_box(0, 0.0, 0.0)
        placement = Placement([card for key, card in self.cards.items() if key != ("box", 0)], [], width, height)
        placement.wires = self._wires()
        return placement

    def _size(self, kind: str, number: int) -> tuple[float, float]:
        if kind == "lane":
            return LANE, 0.0
        if kind == "box" and number in self.open:
            return self._size_of_box(number)
        card = self._card(kind, number)
        return card.width, card.height

    def _size_of_box(self, number: int) -> tuple[float, float]:
        if number in self.sizes:
            return self.sizes[number]
        box = self.picture.boxes[number]
        widths, height = [0.0], 0.0
        for row in box.rows:
            left, middle, right = (self._length(side) for side in row)
            aside = max(left, right)
            widths.append(middle + 2 * (aside + GAP if aside else 0))
            height += self._row_height(row) + ROW_GAP
        head = HEAD if number else 0.0
        title = CHARACTER * (len(box.label) + len(box.kind) + 4) if number else 0.0
        self.sizes[number] = (
            max(title, *widths) + 2 * PAD,
            head + max(0.0, height - ROW_GAP) + PAD * (1 if number else 2),
        )
        return self.sizes[number]

    def _length(self, side: tuple[Key, ...]) -> float:
        return sum(self._size(*item)[0] for item in side) + GAP * max(0, len(side) - 1)

    def _row_height(self, row: tuple[tuple[Key, ...], ...]) -> float:
        return max((self._size(*item)[1] for side in row for item in side), default=0.0)

    def _put_box(self, number: int, x: float, y: float) -> None:
        box, (width, height) = self.picture.boxes[number], self._size_of_box(number)
        self.cards["box", number] = Card(("box", number), [box.label, box.kind], "", "", "open", x, y, width, height)
        top = y + (HEAD if number else PAD)
        for row in box.rows:
            height = self._row_height(row)
            middle = self._length(row[1])
            start = x + width / 2 - middle / 2
            lefts = start - GAP - self._length(row[0])
            for side, at in zip(row, (lefts, start, start + middle + GAP), strict=True):
                self._put_side(number, side, at, top, height)
            top += height + ROW_GAP

    def _put_side(self, box: int, side: tuple[Key, ...], x: float, top: float, height: float) -> None:
        for kind, number in side:
            wide, tall = self._size(kind, number)
            y = top + (height - tall if kind == "leaf" else (height - tall) / 2)
            if kind == "lane":
                self.lanes.setdefault((box, number), []).append((x + wide / 2, top, top + height))
            elif kind == "box" and number in self.open:
                self._put_box(number, x, y)
            else:
                card = self._card(kind, number)
                card.x, card.y = x, y
            x += wide + GAP

    def _card(self, kind: str, number: int) -> Card:
        if (kind, number) not in self.cards:
            make = {"op": self._op_card, "leaf": self._leaf_card, "box": self._folded_card}[kind]
            card = make(number)
            figures = len(card.value) + len(card.gradient) + 6
            longest = max(figures, *(len(line) for line in card.lines))
            card.width, card.height = max(104.0, CHARACTER * longest + 26), 22.0 + 18 * len(card.lines)
            self.cards[kind, number] = card
        return self.cards[kind, number]

    def _op_card(self, number: int) -> Card:
        op = self.picture.ops[number]
        value = through(self.picture, op)
        name = op.saying if len(self.picture.ops) <= SMALL else op_name(op)
        return self._figures(Card(("op", number), [name], style=self._style(op)), value)

    def _style(self, op: DrawnOp) -> str:
        state = self.picture.state(op)
        if state is not None:
            return f"op {state}"
        return "op" if op.step is not None or not self.picture.steps else "op constant"

    def _leaf_card(self, number: int) -> Card:
        value = self.picture.values[number]
        name = value.name if len(self.picture.ops) <= SMALL else ".".join(value.name.split(".")[-2:])
        return self._figures(Card(("leaf", number), [name], style=f"leaf {value.role}"), value)

    def _folded_card(self, number: int) -> Card:
        box: DrawnBox = self.picture.boxes[number]
        return self._figures(
            Card(("box", number), [box.label, f"{box.kind} · {box_facts(box)}"], style="folded"),
            result(self.picture, box),
        )

    def _figures(self, card: Card, value: DrawnValue | None) -> Card:
        if value is not None:
            card.value = " ".join(part for part in (shape_text(value), value_figure(value)) if part)
            card.gradient = figure(value.gradient)
            card.met = len(value.met)
        card.lines.append("")
        return card

    def _wires(self) -> list[tuple[list[Point], bool]]:
        """Every wire once, through the lanes of the open boxes; ends share the upper edge of what they come to."""
        found: dict[Ends, list[Lane]] = {}
        for value in self.picture.values:
            if value.box is None:
                continue
            source: Key = ("leaf", value.id) if value.made_by is None else ("op", value.made_by)
            start, up = self._seen(source, value.box)
            for reader in value.read_by:
                end, down = self._seen(("op", reader), self.picture.ops[reader].box)
                if start != end and (start, end, value.id) not in found:
                    found[start, end, value.id] = self._stops(start, end, value.id, up, down)
        ends = self._ends(found)
        return [
            (self._points(start, stops, ends[start, end, value]), self.picture.values[value].gradient is not None)
            for (start, end, value), stops in found.items()
        ]

    def _seen(self, item: Key, box: int) -> tuple[Key, list[int]]:
        """What is drawn of an item: itself, or the outermost folded box around it; and the open boxes around that."""
        line: list[int] = []
        at: int | None = box
        while at is not None:
            line.insert(0, at)
            at = self.picture.boxes[at].parent
        for depth, one in enumerate(line):
            if one not in self.open:
                return ("box", one), line[:depth]
        return item, line

    def _stops(self, start: Key, end: Key, value: int, up: list[int], down: list[int]) -> list[Lane]:
        top, bottom = self.cards[start].y + self.cards[start].height, self.cards[end].y
        lanes = [lane for box in {*up, *down} for lane in self.lanes.get((box, value), ())]
        return sorted((one for one in lanes if one[1] >= top - 1 and one[2] <= bottom + 1), key=lambda lane: lane[1])

    def _ends(self, found: dict[Ends, list[Lane]]) -> dict[Ends, Point]:
        into: dict[Key, list[tuple[float, Ends]]] = {}
        for wire, stops in found.items():
            came = self.cards[wire[0]]
            into.setdefault(wire[1], []).append((stops[-1][0] if stops else came.x + came.width / 2, wire))
        ends: dict[Ends, Point] = {}
        for key, wires in into.items():
            card = self.cards[key]
            for i, (_, wire) in enumerate(sorted(wires, key=lambda one: one[0]), 1):
                ends[wire] = (card.x + card.width * i / (len(wires) + 1), card.y)
        return ends

    def _points(self, start: Key, stops: list[Lane], end: Point) -> list[Point]:
        card = self.cards[start]
        lanes = [point for x, top, bottom in stops for point in ((x, top), (x, bottom))]
        return [(card.x + card.width / 2, card.y + card.height), *lanes, end]


def curve(points: list[Point]) -> str:
    """The path through the points: bends between rows, straight within lanes."""
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for place, ((x, y), (to_x, to_y)) in enumerate(pairwise(points)):
        if place % 2:
            parts.append(f"V{to_y:.1f}")
        else:
            bend = max(6.0, (to_y - y) / 2)
            parts.append(f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}")
    return "".join(parts)
