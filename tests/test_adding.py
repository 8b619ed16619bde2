"""What ARCHITECTURE's table says of adding something is so: one of each is added to a copy of the package, and works.

An optimizer and a rule of differentiation are added in the tests of their rooms.
"""

import json

import pytest
from adding import Copy

TINY = ("--model.emb-dim", 16, "--model.n-heads", 2, "--model.n-layers", 1, "--model.context-length", 16)
SMALL = ("--vocabulary.kind", "bytes", "--training.steps", 2, "--training.batch-tokens", 64, "--machine.threads", 1)


@pytest.fixture
def copy(tmp_path):
    return Copy.below(tmp_path)


@pytest.fixture
def texts(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number}.txt").write_text(f"{number}: the quick brown fox jumps over the lazy dog\n" * 4)
    return folder


def test_a_norm_is_a_class_a_dict_line_and_a_word_of_the_config(copy):
    copy.change(
        "model/norm.py",
        "NORMS: dict[str, type[LayerNorm] | type[RMSNorm]] = {",
        "class L1Norm(RMSNorm):\n"
        "    def forward(self, x):\n"
        "        return x / (x.abs().mean(-1, keepdim=True) + self.eps) * self.weight\n\n\n"
        'NORMS: dict[str, type[LayerNorm] | type[RMSNorm]] = {"l1norm": L1Norm, ',
    )
    copy.change("config/model.py", 'Literal["layernorm", "rmsnorm"]', 'Literal["layernorm", "rmsnorm", "l1norm"]')
    assert copy.touched == {"model/norm.py", "config/model.py"}
    code = (
        "import torch; from chainrule.config import *; from chainrule.model import GPT; from chainrule.plan import *\n"
        "shape = {'norm': 'l1norm', 'exportable': False, 'emb_dim': 16, 'n_heads': 2, 'n_layers': 1, 'vocab_size': 9}\n"
        "model = GPT(ModelConfig(**shape))\n"
        "model.loss(torch.tensor([[1, 2, 3]]), torch.tensor([[2, 3, 4]])).backward()\n"
        "print(type(model.final_norm).__name__, float(model.final_norm.weight.grad.norm()) > 0)\n"
        "print(sum(p.numel() for p in model.parameters()) - parameters(model.config).total)"
    )
    assert copy.run(code).split() == ["L1Norm", "True", "0"]


def test_a_format_of_text_is_one_function_with_its_row(copy, tmp_path):
    copy.change(
        "data/whole_files.py",
        "WHOLE_FILES: Mapping[str, WholeFile] = {",
        "def reversed_texts(content):\n"
        "    for line in content.decode().split('|'):\n"
        "        yield line[::-1]\n\n\n"
        "WHOLE_FILES: Mapping[str, WholeFile] = {\n"
        '    "reversed": WholeFile(reversed_texts, (".rev",)),',
    )
    assert copy.touched == {"data/whole_files.py"}
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "a.rev").write_text("|".join(f"{number} txet elttil a" for number in range(40)))
    code = (
        "import sys; from chainrule.config import TextConfig; from chainrule.data import all_documents\n"
        "print([part.content.decode() for part in all_documents(TextConfig(paths=(sys.argv[1],)), print)][:2])"
    )
    assert copy.run(code, folder).strip() == "['a little text 0', 'a little text 1']"


def add_a_task(copy):
    copy.write(
        "evaluate/tasks/vowels.py",
        "from dataclasses import dataclass\nfrom chainrule.run import TaskResult\n\n\n"
        "@dataclass(frozen=True)\nclass Vowels:\n    WHY = 'It is a test.'\n\n"
        "    @classmethod\n    def of(cls, file):\n        return cls()\n\n"
        "    @classmethod\n    def suits(cls, paths):\n        return True\n\n"
        "    @classmethod\n    def reads(cls, row):\n        return False\n\n"
        "    def examine(self, candidate):\n"
        "        return TaskResult('vowels', candidate.affords(9, 1), 4, 'vowels are found')\n",
    )
    copy.change(
        "evaluate/tasks/table.py",
        "TASKS: Mapping[str, type[Task]] = {",
        "from chainrule.evaluate.tasks.vowels import Vowels\n\n"
        'TASKS: Mapping[str, type[Task]] = {\n    "vowels": Vowels,',
    )


def add_a_target(copy):
    copy.write(
        "export/weights_alone.py",
        "import torch\nfrom chainrule.checkpoint import OpenedModel\n\n\n"
        "def write(opened, folder):\n    torch.save(opened, folder / 'all.pt')\n\n\n"
        "class Back:\n    name, architecture = 'torch.load', 'a pickle'\n\n"
        "    def __init__(self, folder):\n"
        "        self.opened = torch.load(folder / 'all.pt', weights_only=False)\n\n"
        "    def logits(self, ids):\n        return self.opened.model(ids)\n\n"
        "    def encode(self, text):\n        return self.opened.tokenizer.encode(text)\n\n"
        "    def greedy(self, ids, count, end_of_text):\n        ids = list(ids)\n"
        "        for _ in range(count):\n"
        "            best = int(self.opened.model(torch.tensor([ids]))[0, -1].argmax())\n"
        "            ids.append(best)\n"
        "            if best == end_of_text:\n                return ids[-count:-1]\n"
        "        return ids[-count:]\n",
    )
    copy.change(
        "export/target.py",
        "TARGETS = {",
        "from chainrule.export.weights_alone import Back, write\n\n"
        'TARGETS = {\n    "pickle": Target(write, Back, lambda: None, "torch.load"),',
    )


def test_a_task_and_an_export_target_are_one_file_and_a_dict_line_each(copy, texts):
    add_a_task(copy)
    assert len(copy.touched) == 2
    add_a_target(copy)
    assert len(copy.touched) == 4
    told = json.loads(copy.chainrule("pretrain", texts, "--json", *TINY, *SMALL, "--name", "run"))
    assert [(one["task"], one["n"], one["right"]) for one in told["tasks"]] == [("vowels", 9, 4)]
    assert "4 of 9 vowels are found" in (copy.folder / "runs" / "run" / "report.html").read_text()
    assert "vowels: 4 of 9 vowels are found: 44%" in copy.chainrule("evaluate", "runs/run", "--task", "vowels")
    said = copy.chainrule("export", "pickle", "runs/run", "exported")
    assert "exported is a a pickle that torch.load loads" in said and "greedy text" in said
    assert {path.name for path in (copy.folder / "exported").iterdir()} == {"all.pt", "README.md", "SHA256SUMS"}


def test_a_verb_is_one_file_and_a_line(copy):
    copy.write(
        "cli/greet.py",
        'def greet(name: str, /) -> None:\n    """Say hello.\n\n    Example: `chainrule greet you`\n    """\n'
        "    print(f'hello {name}')\n",
    )
    copy.change("cli/verbs.py", "VERBS = {", 'VERBS = {\n    "greet": "Say hello.",')
    assert len(copy.touched) == 2
    assert copy.chainrule("greet", "you") == "hello you\n"
    assert "greet" in copy.chainrule("--help")
