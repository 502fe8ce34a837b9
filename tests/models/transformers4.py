"""Run with transformers 4: load what we saved, answer with it, and save models of its own for us to load.

`python transformers4.py FOLDER`, where FOLDER/ours has a checkpoint for each class and FOLDER/inputs.npz the tokens.
Writes FOLDER/answers.npz, FOLDER/theirs and FOLDER/versions.json. Knows nothing of our package.
"""

import json
import sys
from pathlib import Path

import numpy as np


def fed(name, inputs):
    """The inputs that this class takes, as it takes them."""
    taken = {
        key: value for key, value in inputs.items() if key != "token_type_ids" or name.startswith("Bert")
    }
    if name.endswith("MultipleChoice"):
        taken = {key: value.view(-1, 2, value.shape[-1]) for key, value in taken.items()}
    return taken


def another(kind, config):
    """A random model of the same sizes."""
    import torch

    torch.manual_seed(1)
    config.initializer_range = 0.2
    model = kind(config)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def main(root):
    import tokenizers
    import torch
    import transformers

    inputs = {name: torch.from_numpy(array) for name, array in np.load(root / "inputs.npz").items()}
    answers = {}
    for folder in sorted((root / "ours").iterdir()):
        name = folder.name
        kind = getattr(transformers, name)
        model, report = kind.from_pretrained(folder, output_loading_info=True)
        assert not any(report.values()), (name, report)
        assert model.dtype == torch.float32
        assert type(transformers.AutoConfig.from_pretrained(folder)) is type(model.config)
        other = another(kind, model.config)
        other.save_pretrained(root / "theirs" / name)
        with torch.no_grad():
            answers[f"ours/{name}"] = model.eval()(**fed(name, inputs))[0].numpy()
            answers[f"theirs/{name}"] = other.eval()(**fed(name, inputs))[0].numpy()
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        root / "ours" / "DistilBertForSequenceClassification"
    )
    answers["tokens"] = np.array(tokenizer("A good film, not a great one!")["input_ids"])
    np.savez(root / "answers.npz", **answers)
    versions = {module.__name__: module.__version__ for module in (transformers, tokenizers, torch)}
    (root / "versions.json").write_text(json.dumps(versions))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
