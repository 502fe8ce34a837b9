"""General distillation: what a student learns from a corpus, who may teach it, and how a run ends that was stopped."""

from __future__ import annotations

import json
import random
import shutil
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from bundles import sentences
from corpora import save_corpus
from safetensors.numpy import load_file
from small_runs import language, launched, log_of, run_killed, run_together
from tiny import VOCABULARY, save_vocabulary, tiny_checkpoint

from distilbert.corpus.shards import open_corpus
from distilbert.errors import OptionError
from distilbert.models import model_class
from distilbert.training.distil import distil
from distilbert.training.recipe import GeneralRecipe, write_toml
from distilbert.training.vocabularies import compare_vocabularies

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from distilbert.training.events import Event

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::UserWarning")]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILBERT_CACHE", str(tmp_path / "cache"))


def run(
    folder: Path,
    name: str = "out",
    *,
    resume: bool = False,
    tell: Callable[[Event], None] = lambda _: None,
    **changes: Any,
) -> Path:
    distil(GeneralRecipe(**language(folder, **changes)), folder / name, resume=resume, tell=tell)
    return folder / name


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "model.safetensors")


def assert_same_weights(a: Path, b: Path) -> None:
    ours, theirs = weights(a), weights(b)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.tobytes() == theirs[name].tobytes(), name


def evaluations(folder: Path) -> dict[int, float]:
    return {line["evaluation"]: line["loss"] for line in log_of(folder) if "evaluation" in line}


def test_a_student_learns_to_guess_words_and_loads_in_transformers(tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM

    out = run(tmp_path, epochs=4, learning_rate=3e-3)
    steps = [line for line in log_of(out) if "step" in line]
    for part in ("soft", "masked", "cosine"):
        assert steps[-1][part] < steps[0][part]
    losses = evaluations(out)
    assert min(losses) == 0  # before the first step
    result = json.loads((out / "training.json").read_text())
    assert losses[result["kept_step"]] == min(losses.values()) < losses[0]
    assert result["task"] == "fill-mask"
    assert result["held_back_rows"] >= 10  # texts
    config = json.loads((out / "config.json").read_text())
    assert (config["architectures"], config["n_layers"]) == (["DistilBertForMaskedLM"], 2)
    theirs, found = AutoModelForMaskedLM.from_pretrained(out, output_loading_info=True)
    assert not any(found.values())
    ids = torch.tensor([[2, 40, 4, 60, 3]])
    ours = model_class("distilbert", "masked-lm").from_pretrained(out)
    with torch.no_grad():
        torch.testing.assert_close(ours(ids).logits, theirs(ids).logits, atol=1e-5, rtol=0)


def test_it_starts_from_the_teachers_layers_and_head_unless_it_starts_at_random(tmp_path: Path) -> None:
    still = {"epochs": 1, "learning_rate": 1e-12, "weight_decay": 0.0, "layers": [3, 1], "max_texts": 20}
    found, new = weights(run(tmp_path, **still)), weights(run(tmp_path, "b", random_start=True, **still))
    teacher = weights(tmp_path / "guesser")
    for ours, theirs in {
        "distilbert.transformer.layer.0.ffn.lin1.weight": "bert.encoder.layer.3.intermediate.dense.weight",
        "distilbert.transformer.layer.1.ffn.lin1.weight": "bert.encoder.layer.1.intermediate.dense.weight",
        "vocab_transform.weight": "cls.predictions.transform.dense.weight",
        "vocab_projector.bias": "cls.predictions.bias",
    }.items():
        np.testing.assert_allclose(found[ours], teacher[theirs], atol=1e-6)
        assert np.abs(new[ours] - teacher[theirs]).mean() > 0.05


def test_held_back_texts_and_their_equals_are_not_learnt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distilbert.training import general

    seen: list[set[bytes]] = []
    pack = general.pack

    def noted(texts: Any, *rest: Any) -> Any:
        corpus = open_corpus(tmp_path / "data")
        seen.append({corpus.text_ids(int(text)).tobytes() for text in texts})
        return pack(texts, *rest)

    monkeypatch.setattr(general, "pack", noted)
    recipe = language(tmp_path)
    shutil.rmtree(tmp_path / "data")
    texts = sentences(30, longest=12)
    save_corpus(tmp_path / "data", texts * 3)
    distil(GeneralRecipe(**{**recipe, "epochs": 1}), tmp_path / "out")
    train, held = seen
    assert not train & held
    assert len(held) >= 4
    assert len(train | held) == len({*texts})


# Who may teach


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a teacher without a head": (
        {"teacher": "classifier"},
        r"has no head that guesses words\.\nTrain one first",
    ),
    "data of another vocabulary": (
        {"data": "other"},
        "The teacher .* and the data .* have different .*: 40 is",
    ),
    "a student of another vocabulary": (
        {"student": "cut"},
        "and the student .* have different .*: 130 is '.*' and None",
    ),
    "a student with room for more words": (
        {"student": "padded"},
        "guesses among .* words, the student .* among",
    ),
    "a student without a head": ({"student": "classifier"}, r"The student .* has no head that guesses words"),
    "more tokens than it reads": ({"max_length": 65}, r"max_length is 65; the model reads 64 tokens"),
    "more texts than there are": (
        {"max_texts": 1000},
        r"has \d+ texts to learn from, and 1,000 were asked for",
    ),
    "nothing left to learn from": (
        {"hold_back": 90},
        "hold_back 90 leaves none of the 90 texts of .* to learn from",
    ),
    "a corpus of one word": ({"data": "one-word"}, "hold_back 10 leaves none of the 1 texts"),
    "a layer that is not there": ({"layers": [7]}, r"layers names 7; the model's are 0 to 3"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_at_the_start(tmp_path: Path, name: str) -> None:
    changes, says = REFUSED[name]
    language(tmp_path)
    tiny_checkpoint(tmp_path / "classifier")
    tiny_checkpoint(tmp_path / "cut", head="masked-lm", vocab_size=130)
    tiny_checkpoint(tmp_path / "padded", head="masked-lm", vocab_size=len(VOCABULARY) + 3)
    save_vocabulary(tmp_path / "padded")
    words = [*VOCABULARY]
    words[40], words[41] = words[41], words[40]
    save_corpus(tmp_path / "other", sentences(20, longest=12), words)
    save_corpus(tmp_path / "one-word", ["film"])
    paths = {knob: str(tmp_path / value) for knob, value in changes.items() if isinstance(value, str)}
    with pytest.raises(OptionError, match=says):
        run(tmp_path, **{**changes, **paths})
    assert not (tmp_path / "out.partial").exists()


def test_the_first_differing_entries_of_vocabularies_are_shown() -> None:
    ours = [f"word{place}" for place in range(9)]
    compare_vocabularies({"a": ours, "b": [*ours]})
    theirs = [*ours[:4], "x", "y", "z", "u"]
    says = r"a and b have .*: 4 is 'word4' and 'x', 5 is 'word5' and 'y', 6 is 'word6' and 'z' \(5 in all\)"
    with pytest.raises(OptionError, match=says):
        compare_vocabularies({"a": ours, "b": theirs})


def test_a_teacher_from_which_nothing_is_learnt_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distilbert.training import general

    made: list[Any] = []
    guesser = general.Guesser
    monkeypatch.setattr(general, "Guesser", lambda *args: (made.append(args), guesser(*args))[1])
    run(tmp_path, epochs=1, soft_weight=0.0, cosine_weight=0.0, max_texts=20)
    assert len(made) == 1


def test_cosine_alone_leaves_the_head_as_it_is(tmp_path: Path) -> None:
    out = run(tmp_path, epochs=1, soft_weight=0.0, masked_weight=0.0, max_texts=40, keep="last")
    teacher, student = weights(tmp_path / "guesser"), weights(out)
    np.testing.assert_array_equal(
        student["vocab_transform.weight"], teacher["cls.predictions.transform.dense.weight"]
    )
    assert student["vocab_layer_norm.weight"].shape == (32,)
    lin = "distilbert.transformer.layer.0.ffn.lin1.weight"
    assert np.abs(student[lin] - teacher["bert.encoder.layer.0.intermediate.dense.weight"]).max() > 1e-4


def test_a_corpus_of_one_word_is_one_row(tmp_path: Path) -> None:
    data = save_corpus(tmp_path / "one-word", ["film"])
    result = json.loads((run(tmp_path, data=str(data), hold_back=0) / "training.json").read_text())
    assert (result["rows"], result["steps"], result["held_back"]) == (1, 2, {})


def test_a_narrower_student_learns_beside_a_wider_teacher(tmp_path: Path) -> None:
    tiny_checkpoint(tmp_path / "narrow", head="masked-lm", dim=16)
    out = run(tmp_path, student=str(tmp_path / "narrow"), epochs=1, max_texts=40)
    assert weights(out).keys() == weights(tmp_path / "narrow").keys()


# How a run ends

SETTINGS: dict[str, Any] = {"save_steps": 2, "keep": "last", "batch_size": 4}


def test_a_run_killed_at_random_moments_ends_with_the_same_weights(tmp_path: Path) -> None:
    recipe, kills = language(tmp_path, **SETTINGS), [(1, 5), (random.randint(3, 12), 5)]
    assert run_killed(recipe, tmp_path / "whole", [], "distil") == [0]
    ended = run_killed(recipe, tmp_path / "killed", kills, "distil")
    assert ended == [signal.SIGKILL, signal.SIGKILL, 0], kills
    assert_same_weights(tmp_path / "whole", tmp_path / "killed")
    assert evaluations(tmp_path / "whole") == evaluations(tmp_path / "killed")


def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    recipe = language(tmp_path, dropout=0.0, batch_size=5)
    distil(GeneralRecipe(**recipe), tmp_path / "alone")
    run_together(recipe, tmp_path / "together", "distil")
    losses = [[line["loss"] for line in log_of(tmp_path / name)] for name in ("alone", "together")]
    assert np.abs(np.subtract(*losses)).max() <= 1e-4


@pytest.mark.full
def test_accelerate_launches_two_processes_that_take_the_steps_of_one(tmp_path: Path) -> None:
    recipe = language(tmp_path, dropout=0.0, batch_size=5, epochs=7)
    distil(GeneralRecipe(**recipe), tmp_path / "alone")
    (tmp_path / "recipe.toml").write_text(write_toml({"task": "fill-mask", **recipe}))
    told = launched(tmp_path, "distil", "--recipe", "recipe.toml", "--out", "together")
    assert told.count("epoch 7:") == 1  # one of them speaks
    assert json.loads((tmp_path / "together" / "training.json").read_text())["device"] == "cpu × 2"
    losses = [[line["loss"] for line in log_of(tmp_path / name)] for name in ("alone", "together")]
    assert len(losses[0]) >= 50
    assert np.abs(np.subtract(*losses)).max() <= 1e-4


def test_pieces_of_a_batch_make_the_steps_of_the_whole(tmp_path: Path) -> None:
    whole, pieces = (
        run(tmp_path, name, dropout=0.0, micro_batch=size, epochs=1) for name, size in [("a", None), ("b", 3)]
    )
    for name in ("loss", "gradient"):
        ours, theirs = ([line[name] for line in log_of(out) if "step" in line] for out in (whole, pieces))
        np.testing.assert_allclose(ours, theirs, rtol=1e-3)
