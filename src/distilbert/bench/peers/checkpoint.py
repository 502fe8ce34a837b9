"""A bundle's weights as a checkpoint in float32, which is what peers read: `python -m … BUNDLE OUT`. Needs PyTorch."""

from __future__ import annotations

import sys
from pathlib import Path

from distilbert.errors import DistilBertError
from distilbert.models import model_class
from distilbert.models.pretrained import read_weights
from distilbert.text.tokenizer import DistilBertTokenizer


def main() -> None:
    """Read the one, write the other. What cannot be done is the last line on standard error."""
    bundle, out = map(Path, sys.argv[1:])
    try:
        checkpoint = read_weights(bundle)
        model = model_class(checkpoint.config.model_type, checkpoint.head).from_checkpoint(checkpoint)
        model.save_pretrained(out, DistilBertTokenizer.from_folder(bundle))
    except DistilBertError as error:
        sys.exit(error.fault)


if __name__ == "__main__":
    main()
