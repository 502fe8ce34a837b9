"""`distilbert report`: from a line on the command line to a folder to show, and what it refuses."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from bundles import sentences
from situations import complaint, contents, on_a_terminal
from tiny import tiny_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from situations import Command

SHORT = ("--rounds", 1, "--texts", 3, "--threads", 1)
FILES = {
    *("report.html", "report.md", "report.json", "timings.json", "accuracy-speed.png", "reliability.png"),
    *("predictions", "predictions/models.json", "predictions/rows.jsonl"),
}


@pytest.fixture
def rows(here: Path) -> Path:
    """The folder, with 40 labelled rows and pairs in it."""
    texts = sentences(40, seed=2, longest=6)
    lines = [f"{text},{('NEGATIVE', 'POSITIVE', '0', '1')[place % 4]}\n" for place, text in enumerate(texts)]
    (here / "rows.csv").write_text("text,label\n" + "".join(lines))
    (here / "pairs.csv").write_text("q,a,gold\nis it good,very,1\nis it bad,no,0\n")
    return here


def test_it_compares_checkpoints_and_bundles_and_says_what_came_out(
    rows: Path, distilbert: Command, tiny_classifier: Path, tiny_int8: Path
) -> None:
    outcome = distilbert(
        "report",
        tiny_classifier,
        tiny_int8,
        "distilbert-sst2",
        "--data",
        "rows.csv",
        "--out",
        "out/report",
        *SHORT,
    )
    assert outcome.code == 0, outcome.err
    first, second, place = outcome.out.splitlines()
    assert first.startswith(f"{tiny_int8.name} keeps ")
    assert f" of {tiny_classifier.name}'s accuracy (" in first
    assert second.startswith("distilbert-sst2 keeps ")
    assert place == "out/report/report.html"
    answers = {
        f"predictions/{name}.jsonl"
        for name in (f"1-{tiny_classifier.name}", f"2-{tiny_int8.name}", "3-distilbert-sst2")
    }
    assert set(contents(rows / "out" / "report")) == FILES | answers
    found = json.loads((rows / "out" / "report" / "report.json").read_text())
    assert [model["runs"] for model in found["models"]] == ["fp32", "int8", "int8"]


def test_the_scores_are_those_of_score(
    rows: Path, distilbert: Command, tiny_classifier: Path, tiny_int8: Path
) -> None:
    distilbert("report", tiny_classifier, tiny_int8, "--data", "rows.csv", "--out", "out", *SHORT)
    [scored] = distilbert("score", "--model", tiny_int8, "--file", "rows.csv", "--json").objects()
    model = json.loads((rows / "out" / "report.json").read_text())["models"][1]
    for name in ("accuracy", "f1"):
        low, high = scored[f"{name}_interval"]
        assert model["scores"][name] == {"value": scored[name], "low": low, "high": high}


@pytest.mark.parametrize("task", ["token-classification", "question-answering"])
def test_taggers_and_answerers_are_compared_with_the_scores_of_score(
    task: str, here: Path, distilbert: Command
) -> None:
    labels = ("O", "B-PER", "I-PER", "B-LOC")
    for seed, name in enumerate(("teacher", "student")):
        tiny_checkpoint(here / name, head=task, labels=labels, seed=seed)
    texts = sentences(40, seed=2, longest=6)
    if task == "token-classification":
        data = "dev.iob2"
        (here / data).write_text("\n".join(text.replace(" ", "\tO\n") + "\tB-PER\n" for text in texts))
    else:
        data = "dev.jsonl"
        answers = [{"text": text.split()[0], "answer_start": 0} for text in texts]
        rows = [
            {"question": "what", "context": text, "answers": [answer]}
            for text, answer in zip(texts, answers, strict=True)
        ]
        (here / data).write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcome = distilbert("report", "teacher", "student", "--data", data, "--out", "out", *SHORT)
    assert outcome.code == 0, outcome.err
    verdict, place = outcome.out.splitlines()
    assert " of teacher's F1 (" in verdict
    assert place == "out/report.html"
    answers_of = {"predictions/1-teacher.jsonl", "predictions/2-student.jsonl"}
    assert set(contents(here / "out")) == FILES | answers_of
    [scored] = distilbert("score", "--model", "student", "--file", data, "--json").objects()
    model = json.loads((here / "out" / "report.json").read_text())["models"][1]
    for name, found in model["scores"].items():
        low, high = scored[f"{name}_interval"]
        assert found == {"value": scored[name], "low": low, "high": high}


def test_columns_and_pairs_are_named_as_in_score(rows: Path, distilbert: Command, tiny_fp32: Path) -> None:
    tiny_checkpoint(rows / "other", seed=1)
    outcome = distilbert(
        *("report", tiny_fp32, "other", "--data", "pairs.csv", "--out", "out", *SHORT),
        *("--column", "q", "--pair-column", "a", "--label-column", "gold"),
    )
    assert outcome.code == 0, outcome.err
    first = (rows / "out" / "predictions" / "rows.jsonl").read_text().splitlines()[0]
    assert json.loads(first) == {"text": "is it good", "text_pair": "very", "gold": "POSITIVE"}


def test_folders_of_one_name_are_told_apart(rows: Path, distilbert: Command) -> None:
    for name in ("a", "b"):
        tiny_checkpoint(rows / name / "model")
    distilbert("report", "a/model", "b/model", "--data", "rows.csv", "--out", "out", *SHORT)
    found = json.loads((rows / "out" / "report.json").read_text())
    assert [model["name"] for model in found["models"]] == ["a/model", "b/model"]


def test_on_a_terminal_it_says_how_far_it_is(
    rows: Path, distilbert: Command, tiny_fp32: Path, tiny_classifier: Path
) -> None:
    line = ("report", tiny_fp32, tiny_classifier, "--data", "rows.csv", "--out", "out", *SHORT)
    code, said = on_a_terminal(distilbert, *line, stream="stderr")
    assert code == 0
    assert "texts" in said


REFUSED = {
    "another task": (
        "{fp32} masker --data rows.csv --out out",
        2,
        ["masker is a model for fill-mask", "text-class"],
    ),
    "other labels": (
        "{fp32} stars --data rows.csv --out out",
        2,
        ["stars has the labels ONE, TWO", "same labels"],
    ),
    "another kind": ("{fp32} sets --data rows.csv --out out", 2, ["sets is for multi_label", "of one kind"]),
    "one model twice": ("{fp32} {fp32} --data rows.csv --out out", 2, ["is named more than once", "once"]),
    "no such model": ("{fp32} no/such --data rows.csv --out out", 1, ["'no/such'", "Check the spelling"]),
    "no student": ("{fp32} --data rows.csv --out out", 2, ["Missing argument 'STUDENT", "--help"]),
    "no labels": ("{fp32} other --data texts.csv --out out", 1, ["texts.csv, line 2: no column 'label'"]),
    "unknown labels": (
        "{fp32} other --data odd.csv --out out",
        1,
        ["odd.csv, line 3: the model has no label 'FINE'", "--label-column"],
    ),
    "no texts": ("{fp32} other --data rows.csv --column body --out out", 1, ["no column 'body'", "--column"]),
    "an empty file": ("{fp32} other --data empty.csv --out out", 1, ["empty.csv has no rows"]),
    "no such file": ("{fp32} other --data nothing.csv --out out", 1, ["nothing.csv cannot be read"]),
    "a folder that is there": ("{fp32} other --data rows.csv --out other", 1, ["other is already there"]),
    "a place below a file": (
        "{fp32} other --data rows.csv --out rows.csv/out",
        1,
        ["rows.csv/out cannot be written"],
    ),
    "no rounds": (
        "{fp32} other --data rows.csv --out out --rounds 0",
        2,
        ["--rounds", "0 is not in the range"],
    ),
    "a tagger beside a classifier": (
        "{fp32} tagger --data rows.csv --out out",
        2,
        ["tagger is for token-classification, but", "of one kind"],
    ),
    "taggers with other labels": (
        "tagger placer --data dev.iob2 --out out",
        2,
        ["placer has the labels O, B-LOC, but tagger O, B-PER", "same labels"],
    ),
    "a tagger of no scheme": (
        "nouns nouns2 --data dev.iob2 --out out",
        2,
        ["labels as B-PER and I-PER; this one has NOUN, VERB"],
    ),
    "a column of a tagger": (
        "tagger tagger2 --data dev.iob2 --out out --column text",
        2,
        ["--column is about classifiers, and tagger is for token-classification"],
    ),
    "a tagger's broken row": (
        "tagger tagger2 --data broken.iob2 --out out",
        1,
        ["broken.iob2, line 2: 1 cells, where the first row has 2"],
    ),
    "long texts of an answerer": (
        "answerer answerer2 --data dev.jsonl --out out --long window",
        2,
        ["--long is about classifiers, and answerer is for question-answering"],
    ),
    "an answer outside its context": (
        "answerer answerer2 --data dev.jsonl --out out",
        1,
        ["dev.jsonl, line 1: the answer 'film' is not at character 0 of its context"],
    ),
    "texts too long": ("{fp32} short --data long.csv --out out --long error", 2, ["more than 16 tokens"]),
}


MODELS: dict[str, dict[str, Any]] = {
    "other": {"seed": 1},
    "short": {"max_position_embeddings": 16},
    "stars": {"labels": ("ONE", "TWO")},
    "sets": {"problem_type": "multi_label_classification"},
    "masker": {"head": "masked-lm"},
    "tagger": {"head": "token-classification", "labels": ("O", "B-PER")},
    "tagger2": {"head": "token-classification", "labels": ("B-PER", "O")},
    "placer": {"head": "token-classification", "labels": ("O", "B-LOC")},
    "nouns": {"head": "token-classification", "labels": ("NOUN", "VERB")},
    "nouns2": {"head": "token-classification", "labels": ("NOUN", "VERB")},
    "answerer": {"head": "question-answering"},
    "answerer2": {"head": "question-answering", "seed": 1},
}
ANSWER = '{"question": "what", "context": "good film", "answers": [{"text": "film", "answer_start": 0}]}\n'
DATA = {
    "texts.csv": "text,id\ngood,1\n",
    "odd.csv": "text,label\ngood,POSITIVE\nbad,FINE\n",
    "empty.csv": "text,label\n",
    "long.csv": f"text,label\n{'good ' * 30},POSITIVE\n",
    "dev.iob2": "good\tB-PER\nfilm\tO\n",
    "broken.iob2": "good\tB-PER\nfilm\n",
    "dev.jsonl": ANSWER,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_compared_is_refused_and_leaves_nothing_behind(
    name: str, rows: Path, distilbert: Command, tiny_fp32: Path
) -> None:
    line, code, says = REFUSED[name]
    for model in MODELS.keys() & {*line.split()}:
        tiny_checkpoint(rows / model, **MODELS[model])
    for file, content in DATA.items():
        (rows / file).write_text(content)
    before = contents(rows)
    outcome = distilbert("report", *line.format(fp32=tiny_fp32).split(), *() if "--rounds" in line else SHORT)
    message = complaint(outcome.err)
    assert outcome.code == code, message
    for part in says:
        assert part in message
    assert contents(rows) == before


def test_a_report_too_large_for_its_place_leaves_nothing(
    rows: Path, distilbert: Command, tiny_fp32: Path, tiny_int8: Path
) -> None:
    before = contents(rows)
    line = ("report", tiny_fp32, tiny_int8, "--data", "rows.csv", "--out", "new/out", *SHORT)
    outcome = distilbert.process(*line, prefix=("sh", "-c", 'ulimit -f 40 && exec "$@"', "sh"))
    assert outcome.code == 1
    assert "new/out cannot be written: File too large" in complaint(outcome.err)
    assert contents(rows) == before


def test_a_model_beside_its_copy_keeps_all_and_changes_nothing(
    rows: Path, distilbert: Command, tiny_fp32: Path
) -> None:
    shutil.copytree(tiny_fp32, rows / "copy")
    distilbert("report", tiny_fp32, "copy", "--data", "rows.csv", "--out", "out", *SHORT)
    model = json.loads((rows / "out" / "report.json").read_text())["models"][1]
    assert model["kept"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert model["agreement"]["share"] == 1
    assert model["disagreements"] == []
    assert "0 of 40 answers differ." in (rows / "out" / "report.md").read_text()
