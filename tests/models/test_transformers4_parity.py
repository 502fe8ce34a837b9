"""transformers 4.57, in an environment of its own, loads what we save, and we load what it saves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import TOKENIZER_CONFIG, save_vocabulary
from twins import CLASSES, VOCABULARY, batch, theirs

from distilbert import DistilBertTokenizer, models

pytestmark = [pytest.mark.parity, pytest.mark.full, pytest.mark.timeout(600)]

# What transformers 4 needs in another version than version 5 does, or alone; PyTorch and the rest serve both.
PACKAGES = ("transformers==4.57.6", "tokenizers==0.22.2", "huggingface_hub==0.36.2")
ALONE = ("requests==2.32.5", "urllib3==2.5.0", "certifi==2025.11.12", "charset-normalizer==3.4.4")
CLOSE = 1e-5


@pytest.fixture(scope="module")
def transformers4(pytestconfig: pytest.Config) -> Path:
    """A folder of these packages, kept between runs in pytest's cache."""
    folder: Path = pytestconfig.cache.mkdir("transformers4")  # type: ignore[union-attr]
    if not (folder / "ready").exists():
        line = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--upgrade",
            "--target",
            str(folder),
        ]
        done = subprocess.run(
            [*line, *PACKAGES, *ALONE], capture_output=True, text=True, check=False, timeout=300
        )
        if done.returncode:
            pytest.skip(f"needs transformers 4, which pip cannot install here: {done.stderr.strip()[-200:]}")
        (folder / "ready").touch()
    return folder


@pytest.fixture(scope="module")
def exchanged(transformers4: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models of ours, what transformers 4 answers with them, and models of its own."""
    root = tmp_path_factory.mktemp("exchange")
    for name in CLASSES:
        source = root / "sources" / name
        theirs(name).save_pretrained(source)
        save_vocabulary(source, VOCABULARY)
        (source / "tokenizer_config.json").write_text(json.dumps(TOKENIZER_CONFIG))
        model = getattr(models, name).from_pretrained(source)
        model.save_pretrained(root / "ours" / name, DistilBertTokenizer.from_pretrained(source))
    np.savez(root / "inputs.npz", **{key: tensor.numpy() for key, tensor in batch("BertModel").items()})
    script = Path(__file__).with_name("transformers4.py")
    environment = {**os.environ, "PYTHONPATH": str(transformers4), "HF_HUB_OFFLINE": "1"}
    line = [sys.executable, str(script), str(root)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    versions = json.loads((root / "versions.json").read_text())
    assert versions["transformers"].startswith("4.57.")
    print(versions)  # what pytest shows with -rP
    return root


@pytest.mark.parametrize("whose", ["ours", "theirs"])
@pytest.mark.parametrize("name", CLASSES)
def test_it_answers_as_we_do_with_models_that_either_saved(exchanged: Path, name: str, whose: str) -> None:
    import torch

    answers = np.load(exchanged / "answers.npz")
    model = getattr(models, name).from_pretrained(exchanged / whose / name)
    inputs = batch("BertModel")
    if name.endswith("MultipleChoice"):
        inputs = {key: tensor.view(4, 2, -1) for key, tensor in inputs.items()}
    with torch.no_grad():
        found = model(**inputs)[0].numpy()
    np.testing.assert_allclose(found, answers[f"{whose}/{name}"], rtol=0, atol=CLOSE)
    assert found.std() > 0.05  # else anything near 0 would do


def test_it_reads_the_tokenizer_that_is_saved_with_a_model(exchanged: Path) -> None:
    tokenizer = DistilBertTokenizer.from_pretrained(
        exchanged / "ours" / "DistilBertForSequenceClassification"
    )
    expected = np.load(exchanged / "answers.npz")["tokens"].tolist()
    assert tokenizer("A good film, not a great one!").input_ids == expected
