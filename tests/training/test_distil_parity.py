"""Distillation: what a student learns, from whom, and that a run which was ended anyhow ends the same."""

from __future__ import annotations

import json
import random
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from bundles import sentences
from safetensors.numpy import load_file
from situations import cut
from small_runs import knobs, lessons, log_of, run_killed, run_together
from their_models import tiny_roberta
from tiny import tiny_checkpoint

from distilbert.errors import DataError, TrainingError
from distilbert.training import distillation
from distilbert.training.distil import distil
from distilbert.training.events import Answered
from distilbert.training.finetune import finetune
from distilbert.training.recipe import DistilRecipe, FinetuneRecipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from distilbert.training.events import Event

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


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
    distil(DistilRecipe(**lessons(folder, **changes)), folder / name, resume=resume, tell=tell)
    return folder / name


def result(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "training.json").read_text()))


def config(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "config.json").read_text()))


def assert_same_weights(a: Path, b: Path) -> None:
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (a, b))
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.tobytes() == theirs[name].tobytes(), name


def texts_only(table: Path) -> str:
    """The same rows without their labels, as a text file."""
    lines = [line.split("\t")[0] for line in table.read_text().splitlines()[1:]]
    path = table.with_suffix(".txt")
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


# What a student learns

FIGURES = {
    "single_label_classification": ("agreement", "accuracy"),
    "multi_label_classification": ("agreement_f1_micro", "f1_micro"),
    "regression": ("agreement_pearson", "pearson"),
}


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Teachers that have learnt which films are good, by problem."""
    folder = tmp_path_factory.mktemp("teachers")

    def teacher(kind: str) -> Path:
        out = folder / kind
        if not out.exists():
            learning = {"epochs": 8, "learning_rate": 3e-3, "problem_type": kind, "rows": 200}
            finetune(FinetuneRecipe(**knobs(folder, **learning)), out)
        return out

    return teacher


@pytest.mark.parametrize("kind", FIGURES)
def test_a_student_learns_from_texts_what_its_teacher_answers(
    tmp_path: Path, teachers: Callable[[str], Path], kind: str
) -> None:
    lessons(tmp_path, rows=200)
    train, dev = (texts_only(tmp_path / name) for name in ("train.tsv", "dev.tsv"))
    learning = {"teacher": str(teachers(kind)), "epochs": 6, "learning_rate": 3e-3}
    out = run(tmp_path, train=train, dev=dev, **learning)
    assert config(out)["n_layers"] == 1
    assert config(out).get("problem_type", "single_label_classification") == kind
    agreement, against_labels = FIGURES[kind]
    assert result(out)["held_back"][agreement] >= 0.85  # chance: 0.5, or 0
    labelled = run(tmp_path, "labelled", train=train, **{**learning, "epochs": 1})
    assert against_labels in result(labelled)["held_back"]


def test_probabilities_in_a_table_teach(tmp_path: Path) -> None:
    lessons(tmp_path, rows=200)
    shares = {"0": (0.9, 0.1), "1": (0.2, 0.8)}
    for name in ("train", "dev"):
        rows = [line.split("\t") for line in (tmp_path / f"{name}.tsv").read_text().splitlines()[1:]]
        lines = [
            json.dumps({"text": text, **dict(zip(("bad", "good"), shares[label], strict=True))})
            for text, label in rows
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    settings = {
        "teacher": None,
        "labels": ["bad", "good"],
        "student": str(tiny_checkpoint(tmp_path / "start")),
    }
    settings |= {"train": str(tmp_path / "train.jsonl"), "epochs": 6, "learning_rate": 3e-3}
    out = run(tmp_path, **settings, dev=str(tmp_path / "dev.jsonl"))
    assert result(out)["held_back"]["agreement"] >= 0.85
    assert list(config(out)["id2label"].values()) == ["bad", "good"]
    by_labels = run(
        tmp_path, "by-labels", **settings | {"epochs": 1}
    )  # dev.tsv has labels and no probabilities
    assert "accuracy" in result(by_labels)["held_back"]


@pytest.mark.parametrize("model_type", ["bert", "distilbert"])
def test_pairs_are_learnt(tmp_path: Path, model_type: str) -> None:
    lines = ["a\tb", *(f"{text}\tgood film {place}" for place, text in enumerate(sentences(40, longest=5)))]
    (tmp_path / "pairs.tsv").write_text("\n".join(lines))
    lessons(tmp_path)
    teacher = tiny_checkpoint(tmp_path / "of-pairs", model_type=model_type)
    pairs = {
        "train": str(tmp_path / "pairs.tsv"),
        "dev": None,
        "hold_back": 8,
        "column": "a",
        "pair_column": "b",
    }
    out = run(tmp_path, teacher=str(teacher), epochs=1, **pairs)
    assert config(out)["model_type"] == "distilbert"
    assert "agreement" in result(out)["held_back"]


def test_a_roberta_teaches_a_student_of_another_width_and_other_tokens(tmp_path: Path) -> None:
    student = tiny_checkpoint(tmp_path / "start")
    settings = {
        "teacher": str(tiny_roberta(tmp_path / "roberta")),
        "student": str(student),
        "labels": ["0", "1"],
        "hidden_weight": 0.1,
    }
    out = run(tmp_path, **settings)
    first, *_, last = [line for line in log_of(out) if "step" in line]
    assert last["soft"] < first["soft"]
    assert last["cosine"] < first["cosine"]
    assert load_file(out / "model.safetensors").keys() == load_file(student / "model.safetensors").keys()
    assert config(out)["id2label"] == {"0": "0", "1": "1"}


def test_more_texts_come_from_other_tables(tmp_path: Path) -> None:
    lessons(tmp_path, rows=24)
    (tmp_path / "more.txt").write_text("a good film\n\n   \nnot good at all\n")
    (tmp_path / "more.csv").write_text("review,stars\n" + "".join(f"film {n},{n}\n" for n in range(9)))
    told: list[tuple[str, int]] = []

    def tell(event: Event) -> None:
        if isinstance(event, Answered):
            told.append((event.source, event.of))

    more = {"unlabelled": [str(tmp_path / "more.txt")], "label_weight": 0.5}
    assert result(run(tmp_path, epochs=1, tell=tell, **more))["rows"] == 26
    assert told == [(str(tmp_path / "train.tsv"), 24), (str(tmp_path / "more.txt"), 2)]
    more = {"unlabelled": [str(tmp_path / "more.csv")], "unlabelled_column": "review", "max_unlabelled": 5}
    assert result(run(tmp_path, "b", epochs=1, **more))["rows"] == 29
    with pytest.raises(DataError, match=r"more\.csv, line 2: no column 'text'"):
        run(tmp_path, "c", unlabelled=more["unlabelled"])


def test_labels_are_read_only_where_they_count(tmp_path: Path) -> None:
    lessons(tmp_path, rows=24)
    table = tmp_path / "train.tsv"
    table.write_text(table.read_text().replace("\t1\n", "\t\n").replace("\t0\n", "\tnobody's\n"))
    assert "accuracy" in result(run(tmp_path, epochs=1))["held_back"]
    with pytest.raises(DataError, match=r"train\.tsv, line 3: column 'label' should hold a label"):
        run(tmp_path, "b", label_weight=1.0)


# What a student is

SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "half the layers": ({}, {"n_layers": 2, "hidden_dim": 64}),
    "three of them": ({"n_layers": 3}, {"n_layers": 3}),
    "these": ({"layers": [3]}, {"n_layers": 1}),
    "narrow": ({"hidden_dim": 16}, {"n_layers": 2, "hidden_dim": 16}),
    "random": ({"random_start": True}, {"n_layers": 2}),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_student_has_the_shape_that_was_asked_for_and_loads_in_transformers(
    tmp_path: Path, name: str
) -> None:
    from transformers import AutoModelForSequenceClassification

    from distilbert.models import DistilBertForSequenceClassification

    changes, shape = SHAPES[name]
    out = run(tmp_path, rows=24, epochs=1, **changes)
    assert {**config(out), **shape} == config(out)
    theirs, found = AutoModelForSequenceClassification.from_pretrained(out, output_loading_info=True)
    assert not any(found.values())
    ids = torch.tensor([[2, 40, 50, 60, 3]])
    ours = DistilBertForSequenceClassification.from_pretrained(str(out))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids).logits, theirs(ids).logits, atol=1e-5, rtol=0)


def test_a_student_starts_from_its_teachers_layers_unless_it_starts_at_random(tmp_path: Path) -> None:
    still = {"rows": 24, "epochs": 1, "learning_rate": 1e-12, "weight_decay": 0.0}
    words = "embeddings.word_embeddings.weight"
    theirs = load_file(run(tmp_path, **still) / "model.safetensors")[f"distilbert.{words}"]
    new = load_file(run(tmp_path, "b", random_start=True, **still) / "model.safetensors")[
        f"distilbert.{words}"
    ]
    teacher = load_file(tmp_path / "teacher" / "model.safetensors")[f"bert.{words}"]
    np.testing.assert_allclose(theirs, teacher, atol=1e-6)
    assert np.abs(new - teacher).mean() > 0.1


def test_a_new_head_begins_with_what_its_teacher_or_the_labels_usually_say(
    tmp_path: Path, teachers: Callable[[str], Path]
) -> None:
    start = str(tiny_checkpoint(tmp_path / "start", head="none"))
    still = {"student": start, "epochs": 1, "learning_rate": 1e-12, "hold_back": 8, "dev": None}
    lines = [json.dumps({"text": f"film {n}", "rare": 0.02, "usual": n % 10 / 10}) for n in range(208)]
    (tmp_path / "shares.jsonl").write_text("\n".join(lines))
    shares = {"teacher": None, "train": str(tmp_path / "shares.jsonl"), "labels": ["rare", "usual"]}
    kind = "multi_label_classification"
    bias = load_file(run(tmp_path, "a", problem_type=kind, **still, **shares) / "model.safetensors")
    np.testing.assert_allclose(bias["classifier.bias"], [-3.7, -0.2], atol=0.1)
    (tmp_path / "stars.tsv").write_text("text\tlabel\n" + "".join(f"film {n}\t7\n" for n in range(40)))
    numbers = {"teacher": str(teachers("regression")), "train": str(tmp_path / "stars.tsv")}
    by_labels = {"soft_weight": 0.0, "cosine_weight": 0.0, "label_weight": 1.0}
    bias = load_file(run(tmp_path, "b", **still, **numbers, **by_labels) / "model.safetensors")
    np.testing.assert_allclose(bias["classifier.bias"], [7.0], atol=1e-4)


# What a part of the loss costs


@pytest.mark.parametrize(
    ("changes", "parts", "layers"),
    [
        ({}, {"soft", "cosine"}, [(4,)]),
        ({"cosine_weight": 0.0}, {"soft"}, [()]),
        ({"cosine_weight": 0.0, "soft_weight": 0.0, "logits_weight": 1.0}, {"logits"}, [()]),
        ({"cosine_weight": 0.0, "hidden_weight": 1.0}, {"soft", "hidden"}, [(2, 4)]),
        ({"cosine_weight": 0.0, "soft_weight": 0.0, "label_weight": 1.0}, {"label"}, []),
    ],
)
def test_what_has_no_weight_is_neither_asked_for_nor_computed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    parts: set[str],
    layers: list[tuple[int, ...]],
) -> None:
    from distilbert.training.teachers import Teacher

    asked: list[tuple[int, ...]] = []
    computed: set[str] = set()
    answer = Teacher.answer

    def counted(self: Teacher, texts: Any, wanted: Any, runner: Any) -> Any:
        asked.append((*wanted,))
        return answer(self, texts, wanted, runner)

    def noted(name: str, loss: Any) -> Any:
        return lambda *args: (computed.add(name), loss(*args))[1]

    monkeypatch.setattr(Teacher, "answer", counted)
    for name, loss in [*distillation.PARTS.items()]:
        monkeypatch.setitem(distillation.PARTS, name, noted(name, loss))
    run(tmp_path, rows=24, epochs=1, labels=["0", "1"], **changes)
    assert (asked, computed) == (layers, parts)


def test_a_teacher_that_is_not_asked_is_not_read(tmp_path: Path) -> None:
    """Labels alone train the twin of a student: its teacher says only which labels there are."""
    lessons(tmp_path, rows=24)
    cut(tmp_path / "teacher" / "model.safetensors", 100)
    only_labels = {"soft_weight": 0.0, "cosine_weight": 0.0, "label_weight": 1.0}
    out = run(tmp_path, student=str(tiny_checkpoint(tmp_path / "start")), epochs=1, **only_labels)
    assert list(config(out)["id2label"].values()) == ["NEGATIVE", "POSITIVE"]


# How a run ends

SETTINGS: dict[str, Any] = {"hidden_weight": 0.5, "label_weight": 0.5, "save_steps": 2, "keep": "last"}


class Stop(Exception):
    pass


@pytest.mark.parametrize("step", [3, 13])
def test_a_run_that_was_stopped_ends_with_the_same_weights(tmp_path: Path, step: int) -> None:
    def stop(event: Event) -> None:
        if getattr(event, "step", 0) == step:
            raise Stop

    whole = run(tmp_path, "whole", **SETTINGS)
    with pytest.raises(Stop):
        run(tmp_path, "stopped", tell=stop, **SETTINGS)
    assert_same_weights(whole, run(tmp_path, "stopped", resume=True, **SETTINGS))


def wide(folder: Path, **changes: Any) -> dict[str, Any]:
    """A recipe whose states pass through a learnt projection."""
    student = folder / "narrow"
    if not student.exists():
        tiny_checkpoint(student, dim=16)
    return lessons(folder, **{**SETTINGS, "student": str(student), **changes})


def test_a_run_killed_at_a_random_moment_ends_with_the_same_weights(tmp_path: Path) -> None:
    recipe, kills = wide(tmp_path), [(random.randint(4, 17), 5)]
    assert run_killed(recipe, tmp_path / "whole", [], "distil") == [0]
    assert run_killed(recipe, tmp_path / "killed", kills, "distil") == [signal.SIGKILL, 0], kills
    assert_same_weights(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.full
def test_a_run_killed_at_five_random_moments_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = wide(tmp_path, epochs=12, evaluations=3, precision="bfloat16")
    steps = [0, *sorted(random.sample(range(1, 60), 4))]  # of 120; at 0 the teacher has just answered
    kills = [(step, random.uniform(0, 60) if step else 0) for step in steps]
    assert run_killed(recipe, tmp_path / "whole", [], "distil") == [0]
    monkeypatch.setenv("DISTILBERT_CACHE", str(tmp_path / "other"))
    ended = run_killed(recipe, tmp_path / "killed", kills, "distil")
    assert ended == [signal.SIGKILL] * 5 + [0], kills
    assert_same_weights(tmp_path / "whole", tmp_path / "killed")


def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    recipe = wide(tmp_path, rows=50, dropout=0.0, batch_size=7)
    distil(DistilRecipe(**recipe), tmp_path / "alone")
    run_together(recipe, tmp_path / "together", "distil")
    losses = [[line["loss"] for line in log_of(tmp_path / name)] for name in ("alone", "together")]
    assert np.abs(np.subtract(*losses)).max() <= 1e-4


def test_a_loss_that_is_no_number_is_refused_with_its_rows(tmp_path: Path) -> None:
    lessons(tmp_path)
    (tmp_path / "more.csv").write_text("text,stars\n" + "".join(f"film {n},{n}\n" for n in range(60)))
    more = {"unlabelled": [str(tmp_path / "more.csv")]}
    with pytest.raises(TrainingError, match=r"Step \d+: the (loss|gradient's norm) is (nan|inf)"):
        run(tmp_path, learning_rate=1e30, warmup=0.0, save_steps=1, max_grad_norm=None, **more)
    rows = [*map(json.loads, (tmp_path / "out.partial" / "bad-batch.jsonl").read_text().splitlines())]
    assert len(rows) == 8
    for row in rows:
        line = (tmp_path / row["table"]).read_text().splitlines()[row["line"] - 1]
        values = (row["text"], row["stars"]) if row["table"].endswith(".csv") else (row["text"], row["label"])
        assert line in (",".join(map(str, values)), "\t".join(map(str, values)))
