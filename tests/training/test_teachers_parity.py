"""Teachers: what one says is what transformers makes of its files, and who cannot teach is refused."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from bundles import sentences
from situations import cut
from their_models import tiny_roberta
from tiny import tiny_checkpoint

from distilbert.errors import CheckpointError, ConfigError, ModelNotFoundError, NotInstalledError, OptionError
from distilbert.training import teachers
from distilbert.training.evaluation import Runner
from distilbert.training.teachers import open_teacher

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

MAKE: dict[str, Callable[[Path], Path]] = {
    "bert": lambda folder: tiny_checkpoint(folder, model_type="bert", n_layers=3),
    "distilbert": lambda folder: tiny_checkpoint(folder, n_layers=3),
    "roberta": tiny_roberta,
}
TEXTS = sentences(150)


@pytest.fixture(scope="module")
def runner() -> Runner:
    return Runner(Accelerator(cpu=True), nullcontext)


@pytest.mark.parametrize(
    "texts", [TEXTS, [*zip(TEXTS, reversed(TEXTS), strict=True)]], ids=["texts", "pairs"]
)
@pytest.mark.parametrize("family", MAKE)
def test_a_teacher_says_what_transformers_makes_of_its_files(
    tmp_path: Path, runner: Runner, family: str, texts: list[Any]
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = MAKE[family](tmp_path / family)
    logits, states = open_teacher(str(folder), max_length=24).answer(texts, [1, 3], runner)
    assert states is not None
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    for row in range(0, len(texts), 7):
        parts = [texts[row]] if isinstance(texts[row], str) else texts[row]
        inputs = tokenizer(*parts, truncation=True, max_length=24, return_tensors="pt")
        with torch.no_grad():
            theirs = model(**inputs, output_hidden_states=True)
        np.testing.assert_allclose(logits[row], theirs.logits[0], atol=1e-4)
        first = np.stack([theirs.hidden_states[layer][0, 0] for layer in (1, 3)])
        np.testing.assert_allclose(states[row], first, atol=1e-3, rtol=1e-3)  # kept in float16


@pytest.mark.parametrize("family", MAKE)
def test_a_teacher_reads_no_more_tokens_than_it_has_positions_for(
    tmp_path: Path, runner: Runner, family: str
) -> None:
    teacher = open_teacher(str(MAKE[family](tmp_path / family)), max_length=500)
    logits, states = teacher.answer([" ".join(TEXTS)], [], runner)
    assert logits.shape == (1, 2)
    assert states is None


@pytest.mark.parametrize("family", MAKE)
def test_weights_are_read_when_somebody_asks_and_not_before(
    tmp_path: Path, runner: Runner, family: str
) -> None:
    folder = MAKE[family](tmp_path / family)
    cut(folder / "model.safetensors", 100)
    teacher = open_teacher(str(folder), max_length=24)
    assert len(teacher.labels) == 2
    with pytest.raises((CheckpointError, ConfigError), match=family):
        teacher.answer(TEXTS, [], runner)


@pytest.mark.parametrize("changes", [{"num_labels": 1}, {"problem_type": "multi_label_classification"}])
def test_a_teacher_brings_its_labels_and_its_problem(tmp_path: Path, changes: dict[str, Any]) -> None:
    teacher = open_teacher(str(tiny_roberta(tmp_path / "t", **changes)), max_length=24)
    regression = "num_labels" in changes
    assert teacher.labels == (("LABEL_0",) if regression else ("LABEL_0", "LABEL_1"))
    assert teacher.problem_type == ("regression" if regression else "multi_label_classification")


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: tiny_checkpoint(folder, head="masked-lm"),
        lambda folder: tiny_checkpoint(folder, head="none", model_type="bert"),
        lambda folder: tiny_roberta(folder, "MaskedLM"),
    ],
    ids=["distilbert", "bert", "roberta"],
)
def test_a_model_without_a_head_for_texts_does_not_teach_random_answers(
    tmp_path: Path, runner: Runner, make: Callable[[Path], Path]
) -> None:
    teacher = open_teacher(str(make(tmp_path / "encoder")), max_length=24)
    with pytest.raises(OptionError, match=r"encoder has no head that labels texts\.\nTrain one first"):
        teacher.answer(TEXTS, [], runner)


def test_without_transformers_its_models_are_refused_and_ours_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = tiny_roberta(tmp_path / "theirs"), tiny_checkpoint(tmp_path / "ours")
    monkeypatch.setattr(teachers, "find_spec", lambda _: None)
    with pytest.raises(
        NotInstalledError, match=r"only transformers can run it\.\nInstall it with: pip install"
    ):
        open_teacher(str(theirs), max_length=24)
    assert open_teacher(str(ours), max_length=24).labels == ("NEGATIVE", "POSITIVE")


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="gone"):
        open_teacher(str(tmp_path / "gone"), max_length=24)
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 3}))
    with pytest.raises(ConfigError, match=r"config\.json does not say what model the teacher is"):
        open_teacher(str(tmp_path), max_length=24)


def test_a_model_that_transformers_cannot_open_is_named_with_its_reason(tmp_path: Path) -> None:
    folder = tiny_roberta(tmp_path / "teacher")
    (folder / "config.json").write_text(json.dumps({"model_type": "unheard-of"}))
    with pytest.raises(ConfigError, match=r"transformers cannot open the teacher .*teacher: .*unheard-of"):
        open_teacher(str(folder), max_length=24)
