"""What a temperature costs in a conversation: closed questions answered rightly, and answers that go round in circles.

python benchmarks/chat_temperature.py [smollm2] [--seeds 3] [--temperatures 0 0.1 0.2]

Twenty questions with one right word, each asked anew; greedy answers once, as they are always the same. An answer goes
in circles when it has more than 12 words and fewer different ones than 1 in 2.2. Then the first token after the first
question: its likeliest candidates, and how often seeds draw them.
"""

import argparse
import re
from collections import Counter

import torch
from about import print_about

from chainrule.checkpoint import OpenedModel, open_model
from chainrule.generate.chat import Chat, ChatSettings
from chainrule.verdict import share_interval

QUESTIONS = {
    "What is the capital of France?": "Paris",
    "What is the capital of Italy?": "Rome",
    "What is the capital of Japan?": "Tokyo",
    "How many legs has a spider?": "eight|8",
    "What colour is the sky on a clear day?": "blue",
    "What is 2+2?": "4|four",
    "Who wrote Romeo and Juliet?": "Shakespeare",
    "What is the largest planet?": "Jupiter",
    "What is the chemical symbol of water?": "H2O|H₂O",
    "At what temperature does water boil in Celsius?": "100",
    "How many days has a week?": "7|seven",
    "What is the opposite of hot?": "cold",
    "Which animal barks?": "dog",
    "What language is spoken in Brazil?": "Portuguese",
    "What planet do we live on?": "Earth",
    "What is the capital of Germany?": "Berlin",
    "What do bees make?": "honey",
    "What is the first month of the year?": "January",
    "Who painted the Mona Lisa?": "Leonardo|Vinci",
    "What gas do plants take in?": "carbon|CO2",
}
DRAWN = 200


def answer(opened: OpenedModel, question: str, temperature: float, seed: int) -> str:
    """What is said to one question in a conversation of its own."""
    return "".join(Chat(opened, ChatSettings(temperature, 32, seed)).say(question))


def in_circles(text: str) -> bool:
    words = text.split()
    return len(words) > 12 and len(set(words)) < len(words) / 2.2


def first_tokens(opened: OpenedModel, question: str) -> None:
    """The likeliest first tokens of an answer, and what seeds draw at 0.2."""
    assert opened.template is not None
    ids = opened.template.encode(opened.tokenizer, [{"role": "user", "content": question}], reply=True)
    with torch.no_grad():
        logits = opened.model(torch.tensor([ids]))[0, -1]
    likeliest = logits.topk(3).indices.tolist()
    for temperature in (1.0, 0.2):
        shares = (logits / temperature).softmax(-1)
        said = ", ".join(f"{opened.tokenizer.decode([one])!r} {shares[one]:.1%}" for one in likeliest)
        print(f"first token at {temperature:g}: {said}")
    chat, drawn = Chat(opened, ChatSettings(0.2, 1)), Counter[str]()
    for seed in range(DRAWN):
        chat.new()
        chat.seeded(seed)
        drawn["".join(chat.say(question))] += 1
    said = ", ".join(f"{word!r} {n / DRAWN:.1%}" for word, n in drawn.most_common(3))
    print(f"drawn by {DRAWN} seeds at 0.2: {said}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.0, 0.1, 0.2])
    options = parser.parse_args()
    print_about()
    opened = open_model(options.model)
    for temperature in options.temperatures:
        seeds = range(options.seeds if temperature else 1)
        said = [(answer(opened, q, temperature, seed), word) for q, word in QUESTIONS.items() for seed in seeds]
        right = sum(bool(re.search(word, text, re.IGNORECASE)) for text, word in said)
        low, high = share_interval(right, len(said))
        rounds = sum(in_circles(text) for text, _ in said)
        print(
            f"temperature {temperature:g}: {right} of {len(said)} right ({low:.0%} to {high:.0%}), {rounds} in circles"
        )
    first_tokens(opened, next(iter(QUESTIONS)))


if __name__ == "__main__":
    main()
