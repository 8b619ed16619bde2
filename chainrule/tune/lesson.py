"""A trial as a lesson: trained like any run, and at its end one figure instead of everything that a report has."""

import time
from dataclasses import dataclass, replace

from chainrule.run import OnBothTexts, Summary
from chainrule.train import Session, TextLesson, held_out_bits, own_scoring, run_status, write_summary


@dataclass(frozen=True)
class TrialLesson(TextLesson):
    """Scores the same `scored_tokens` of held-out text at each end (None: all); 0: nothing."""

    scored_tokens: int | None

    def sample(self, session: Session) -> None:
        """Nothing."""

    def finish(self, session: Session, *, begun: float, before: OnBothTexts | None) -> Summary:
        """Windows that overlap by half, as at the end of a run."""
        bits = None
        if self.scored_tokens != 0:
            stride = max(1, session.config.model.context_length // 2)
            scoring = own_scoring(session, max_tokens=self.scored_tokens, stride=stride)
            bits = held_out_bits(session, session.dataset, scoring)
        summary = replace(
            run_status(session, "finished", begun),
            val_bits_per_byte=bits,
            total_seconds=round(time.perf_counter() - begun, 3),
        )
        session.patient(lambda: write_summary(session.run, summary))
        return summary
