"""How fast images come: this system beside what people would build instead. `python benchmarks/serving.py --help`."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # Started as a file, Python looks for modules beside it, and not in the repository.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from benchmarks.lib.command import main
    from benchmarks.lib.stopping import in_order

    sys.exit(in_order(lambda: main(sys.argv[1:])))
