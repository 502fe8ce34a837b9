"""Taggers learn from sentences of labelled words, and students from taggers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bundles import sentences
from small_runs import SMALL, log_of
from tiny import tiny_checkpoint

from distilbert import pipeline
from distilbert.errors import DataError, DistilBertError, OptionError
from distilbert.files.conll import read_conll
from distilbert.text.tokenizer import DistilBertTokenizer
from distilbert.training.data import Padding
from distilbert.training.distil import distil
from distilbert.training.finetune import finetune
from distilbert.training.losses import IGNORED
from distilbert.training.recipe import FinetuneRecipe, ReaderRecipe
from distilbert.training.sentences import joined_texts, tagged_tables, untagged
from distilbert.training.tables import unlabelled_texts

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::UserWarning")]

LABELS = ("O", "B-ART", "I-ART")


def conll(path: Path, count: int = 220) -> Path:
    """Sentences in which "good film" and "movie" are entities."""
    lines = []
    for place, text in enumerate(sentences(count, longest=6)):
        words = [word for word in text.split() if word not in ("good", "film", "movie")]
        words += ["good", "film"] if place % 2 else ["movie"]
        tags = {"good": "B-ART", "film": "I-ART", "movie": "B-ART"}
        lines += [f"{word}\t{tags.get(word, 'O')}" for word in words] + [""]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def knobs(folder: Path, **changes: Any) -> dict[str, Any]:
    there = {"train": str(conll(folder / "train.conll")), "hold_back": 20, "task": "token-classification"}
    return {**SMALL, **there, "epochs": 6, "learning_rate": 1e-2, **changes}


def finetuned(folder: Path, **changes: Any) -> Path:
    model, out = tiny_checkpoint(folder / "bare", head="none"), folder / f"tagger{len([*folder.iterdir()])}"
    finetune(FinetuneRecipe(**knobs(folder, model=str(model), **changes)), out)
    return out


def test_a_tagger_learns_what_its_sentences_say_and_runs(tmp_path: Path) -> None:
    out = finetuned(tmp_path)
    assert json.loads((out / "config.json").read_text())["id2label"] == dict(
        zip("012", ("O", "B-ART", "I-ART"), strict=True)
    )
    first, *_, last = [line["f1"] for line in log_of(out) if "evaluation" in line]
    assert first <= last
    assert last > 0.9
    [entity] = pipeline("ner", out, aggregation_strategy="simple")("it is not a good film")
    assert (entity["text"], entity["entity_group"]) == ("good film", "ART")


def test_a_long_text_is_read_in_windows_as_long_as_what_was_learnt_from(tmp_path: Path) -> None:
    out = finetuned(tmp_path, max_length=16)
    assert DistilBertTokenizer.from_folder(out).model_max_length == 16
    text = "it is not a good film\n" * 40
    found = pipeline("ner", out, aggregation_strategy="simple")(text)
    assert [entity["text"] for entity in found].count("good film") == 40


def test_a_tagger_of_iob1_is_judged_by_iob1(tmp_path: Path) -> None:
    train = conll(tmp_path / "iob1.conll")
    train.write_text(train.read_text().replace("B-", "I-") + "\n\nmovie\tI-ART\nmovie\tB-ART\n")
    out = finetuned(tmp_path, train=str(train))
    assert [line["f1"] for line in log_of(out) if "evaluation" in line][-1] > 0.9


def test_sentences_of_jsonl_are_those_of_conll(tmp_path: Path) -> None:
    written = [
        json.dumps({"tokens": sentence.words, "ner_tags": sentence.labels}) + "\n"
        for sentence in read_conll(conll(tmp_path / "few.conll", count=30))
    ]
    (tmp_path / "few.jsonl").write_text("".join(written), encoding="utf-8")
    tokenizer = DistilBertTokenizer.from_pretrained(tiny_checkpoint(tmp_path / "bare", head="none"))
    read = []
    for name in ("few.conll", "few.jsonl"):
        there = knobs(tmp_path, train=str(tmp_path / name), hold_back=5, model=str(tmp_path / "bare"))
        train, dev, names = tagged_tables(FinetuneRecipe(**there), tokenizer, Padding(0), (), all_there=False)
        assert dev
        read.append((train.texts.ids.tolist(), train.tags.labels.tolist(), len(dev.texts), names))
    assert read[0] == read[1]


@pytest.mark.parametrize("changes", [{}, {"cosine_weight": 0.0}, {"soft_weight": 0.0, "label_weight": 1.0}])
def test_a_student_learns_what_its_teacher_says_of_words(tmp_path: Path, changes: dict[str, Any]) -> None:
    teacher = finetuned(tmp_path)
    out = tmp_path / "student"
    distil(ReaderRecipe(**knobs(tmp_path, teacher=str(teacher), n_layers=1, **changes)), out)
    assert json.loads((out / "config.json").read_text())["n_layers"] == 1
    assert json.loads((out / "training.json").read_text())["held_back"]["f1"] > 0.8


def test_a_student_also_learns_from_texts_that_nobody_labelled(tmp_path: Path) -> None:
    teacher, out = finetuned(tmp_path), tmp_path / "student"
    texts = [" ".join(sentence.words) for sentence in read_conll(conll(tmp_path / "more.conll"))]
    (tmp_path / "more.txt").write_text("\n\n".join(texts), encoding="utf-8")
    more = {"unlabelled": [str(tmp_path / "more.txt")], "max_unlabelled": 200}
    distil(ReaderRecipe(**knobs(tmp_path, teacher=str(teacher), n_layers=1, max_rows=1, **more)), out)
    trained = json.loads((out / "training.json").read_text())
    assert trained["rows"] == 201
    assert trained["held_back"]["f1"] > 0.8


def test_a_text_without_labels_has_words_alone_and_is_told_by_its_line(tmp_path: Path) -> None:
    conll(tmp_path / "a.conll", count=2)
    (tmp_path / "more.csv").write_text("id,note\n1,a film\n2,\n3,movie\n", encoding="utf-8")
    tokenizer = DistilBertTokenizer.from_folder(tiny_checkpoint(tmp_path / "m", head="none"))
    more = {"unlabelled": [str(tmp_path / "more.csv")], "unlabelled_column": "note"}
    recipe = ReaderRecipe(teacher="m", train=str(tmp_path / "a.conll"), **more)
    labelled, _, _ = tagged_tables(recipe, tokenizer, Padding(0), LABELS, all_there=True)
    [texts] = unlabelled_texts(recipe, tokenizer, "text")
    both = joined_texts([labelled, untagged(texts, tokenizer, Padding(0))])
    batch = both.batch(np.array([2, 3]))
    assert (batch["labels"] == IGNORED).all()
    assert batch["words"].sum(dim=1).tolist() == [length - 2 for length in both.lengths[2:]]
    assert not batch["words"][:, 0].any()
    first, other = both.originals(np.array([0, 3]))
    assert first["place"] == f"{tmp_path / 'a.conll'}, line 1"
    assert (other["line"], other["note"]) == (4, "movie")


def test_a_word_s_label_is_its_first_token_s_and_goes_on_within_it(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("xyz B-PER\nxyz I-PER\nxyz O\n\nthe O\n")
    folder = tiny_checkpoint(tmp_path / "m", head="none")
    tokenizer = DistilBertTokenizer.from_folder(folder)
    recipe = FinetuneRecipe(model="m", train=str(tmp_path / "a.conll"), max_length=10)
    train, _, names = tagged_tables(recipe, tokenizer, Padding(0), (), all_there=False)
    assert names == ["O", "B-PER", "I-PER"]
    batch = train.batch(np.array([0, 1]))
    none = IGNORED
    assert batch["labels"].tolist() == [
        [none, 1, 2, 2, 2, 2, 2, 0, 0, none],  # [CLS], x ##y ##z three times, of which one is cut, [SEP]
        [none, 0, *[none] * 8],
    ]
    assert train.gold(0).tolist() == [1, 2, 0]
    assert batch["words"].sum(dim=1).tolist() == [8, 1]


@pytest.mark.parametrize(
    ("rows", "changes", "kind", "says"),
    [
        ("a B-PER\nb\tX-PER\tI-PER\n", {}, DataError, "cells"),
        ("a B-PER\nb X\n", {}, OptionError, "of no scheme"),
        (
            "a B-PER\nb I-LOC\n",
            {"labels": ["O", "B-PER", "I-PER"]},
            DataError,
            "line 2: 'I-LOC' is none of the 3",
        ),
        ("\u200b O\n", {}, DataError, "the tokenizer keeps nothing of any word"),
        ("a B-PER\n", {"max_length": 1000}, OptionError, "max_length is 1000"),
    ],
)
def test_what_cannot_be_learnt_is_named(
    tmp_path: Path, rows: str, changes: dict[str, Any], kind: type[DistilBertError], says: str
) -> None:
    (tmp_path / "bad.conll").write_text(rows)
    model = tiny_checkpoint(tmp_path / "bare", head="none")
    recipe = knobs(tmp_path, model=str(model), hold_back=0, **changes) | {
        "train": str(tmp_path / "bad.conll")
    }
    with pytest.raises(kind, match=r".") as refused:
        finetune(FinetuneRecipe(**recipe), tmp_path / "out")
    assert says in refused.value.fault
    assert not (tmp_path / "out").exists()


def test_a_teacher_without_labels_for_words_is_refused(tmp_path: Path) -> None:
    teacher = tiny_checkpoint(tmp_path / "bare", head="none")
    with pytest.raises(OptionError, match="no head that labels tokens"):
        distil(ReaderRecipe(**knobs(tmp_path, teacher=str(teacher))), tmp_path / "out")
