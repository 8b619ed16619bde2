"""Whether a run has learnt to copy from its context: loss by place in the window, and on spans that come again.

python benchmarks/look_back.py RUN [RUN …]
"""

import argparse
from pathlib import Path

from about import print_about

from chainrule.checkpoint import open_model
from chainrule.data import open_dataset
from chainrule.evaluate import look_back
from chainrule.run import open_run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    options = parser.parse_args()
    print_about()
    for path in options.runs:
        model = open_model(str(path)).model
        found = look_back(model, open_dataset(open_run(path).data).split("validation"))
        places = ", ".join(f"to {place}: {loss:.2f}" for place, loss in found.by_place)
        print(f"{path.name}: nats a token by place in the window: {places}")
        print(
            f"  after four tokens that came before: the same followed {found.repeated:.2f} "
            f"({found.repeated_share:.1%} of all), another followed {found.misleading:.2f}; elsewhere {found.new:.2f}"
        )


if __name__ == "__main__":
    main()
