"""The loss that a run is expected to have at its end, told on the way from its own looks at held-out text."""

from dataclasses import dataclass, field

from chainrule.plan import ForetoldEnd, foretell_end
from chainrule.run import EvalRow, Plan, Record, Replanned
from chainrule.show import number


@dataclass
class Expected:
    """What was seen of held-out text, and how many tokens the run will learn from."""

    looks: list[tuple[int, float]] = field(default_factory=list)
    tokens: int = 0
    told: ForetoldEnd | None = None

    def feed(self, record: Record) -> None:
        """Takes in a plan or a look; others tell nothing of the end."""
        match record:
            case Plan(tokens=int(tokens)) | Replanned(plan=Plan(tokens=int(tokens))):
                self.tokens = tokens
            case EvalRow(final=False, val_loss=float(loss)):
                self.looks.append((record.tokens, loss))
            case _:
                return
        self.told = foretell_end(self.looks, self.tokens) if self.tokens else None

    def text(self) -> str:
        """`3.21 (3.10 to 3.40) expected at the end`; nothing before a fifth of the way."""
        if self.told is None:
            return ""
        low, high = number(self.told.low, 2), number(self.told.high, 2)
        return f"{number(self.told.value, 2)} ({low} to {high}) expected at the end"
