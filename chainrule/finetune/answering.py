"""Greedy answers, by the way in which they are asked for later: prompts in, ids out until a turn ends."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice

from chainrule.finetune.examples import Taught
from chainrule.generate import Decoder, Temperature
from chainrule.model import GPT, evaluating

AT_ONCE = 8


@dataclass(frozen=True)
class Question:
    """The last question of a conversation, and what is to be answered."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    """With the token that ends it."""
    place: str = ""


@dataclass(frozen=True)
class Answer:
    """What a model answered, without the token that ends it; `stopped` tells whether it wrote one."""

    ids: tuple[int, ...]
    stopped: bool

    def is_exact(self, question: Question) -> bool:
        """Whether it is what was to be answered, and ended."""
        return self.stopped and self.ids == question.answer[:-1]


def question_of(example: Taught) -> Question:
    """Of a conversation its last question: what stands before the last stretch that is learnt."""
    end = example.ends[-1] + 1
    begin = end
    while begin > 0 and example.trained[begin - 1]:
        begin -= 1
    ids = example.ids.tolist()
    return Question(tuple(ids[:begin]), tuple(ids[begin:end]), example.place)


def answers(
    model: GPT, questions: Sequence[Question], stop: Collection[int], *, most_tokens: int, n_choices: int
) -> list[Answer]:
    """The greedy answer to each question, of at most `most_tokens`."""
    with evaluating(model):
        found: dict[int, Answer] = {}
        context = model.config.context_length
        # Keys and values of eight whole contexts of SmolLM2 would be 3 GB.
        longest = max((len(question.prompt) for question in questions), default=0)
        decoder = Decoder(model, AT_ONCE, min(context, longest + most_tokens), n_choices=n_choices)
        waiting = iter(enumerate(questions))
        writing: dict[int, tuple[int, list[int]]] = {}
        while True:
            for number, question in islice(waiting, decoder.n_free):
                writing[decoder.admit(question.prompt[-context:], rules=[Temperature(0)])] = (number, [])
            if not writing:
                break
            for row, token in decoder.step().items():
                number, ids = writing[row]
                if token not in stop:
                    ids.append(token)
                if token in stop or len(ids) >= most_tokens:
                    found[number] = Answer(tuple(ids), token in stop)
                    decoder.release(row)
                    del writing[row]
    return [found[number] for number in range(len(questions))]
