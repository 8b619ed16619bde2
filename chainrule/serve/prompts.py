"""Prompts that are being read: each once, whatever the number of texts that go on from it, and long ones in pieces."""

from collections import deque
from collections.abc import Callable, Sequence

from chainrule.generate import PIECE, Reading
from chainrule.serve.texts import Text

# Between two tokens of the texts under way: more would let those wait for long.
PROMPT_TOKENS_AT_ONCE = 4 * PIECE


class Prompt:
    """A prompt with the texts that wait for it."""

    def __init__(self, texts: Sequence[Text], reading: Reading, n_choices: int) -> None:
        self.texts, self.reading = deque(texts), reading
        self.n_reused = reading.n_read
        for text in texts:
            text.n_reused = self.n_reused
        self._n_choices = n_choices
        # What one text alone has left is read together with the next tokens of all others, in fewer products; what
        # several have in common is read to its end here.
        self._left_to_rows = PIECE if len(texts) == 1 else 1
        first = texts[0]
        self._hear = first.hear if first.is_echoed_with_scores else None
        for text in list(texts)[1:]:
            text.share_prompt(first)

    @property
    def n_unread(self) -> int:
        """Tokens to read, those in the rows of its texts among them."""
        return self.reading.n_unread

    @property
    def is_ready(self) -> bool:
        """Whether its texts can begin."""
        return self.n_unread <= self._left_to_rows

    def go_on(self) -> int:
        """Reads a piece, unless it is ready; returns the number of tokens."""
        return 0 if self.is_ready else self.reading.go_on(self._hear, self._n_choices)


def next_texts(waiting: deque[Text]) -> list[Text]:
    """Takes out the first of those that wait, and its neighbours of one request with the same prompt."""
    found = [waiting.popleft()]
    while waiting and waiting[0].job is found[0].job and waiting[0].wanted.ids == found[0].wanted.ids:
        found.append(waiting.popleft())
    return found


def read_some(prompts: Sequence[Prompt], begin: Callable[[Prompt], None]) -> None:
    """Reads what one step has time for, and lets the texts begin whose prompt is ready.

    Of the oldest that is not ready a piece; of the others those that fit in whole, so that a short prompt does not wait
    for a long one, and a long one gets on however many short ones come.
    """
    room = PROMPT_TOKENS_AT_ONCE
    oldest = next((one for one in prompts if not one.is_ready), None)
    for prompt in prompts:
        if prompt is oldest:
            room -= prompt.go_on()
        elif prompt.n_unread > room:
            continue
        else:
            while not prompt.is_ready:
                room -= prompt.go_on()
        if prompt.is_ready:
            room -= prompt.n_unread
            begin(prompt)
