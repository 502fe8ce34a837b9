"""The project's own runs: the split gives nothing away, and the ledger says what was found or "not run"."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
MAKE = "distilbert finetune --out out"


def load(name: str) -> Any:
    sys.path.insert(0, str(ROOT / "runs"))  # as Python does for a script
    spec = importlib.util.spec_from_file_location(f"runs_{name}", ROOT / "runs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return module


def test_no_training_row_lies_in_a_sentence_that_is_held_back(shared: Path, tmp_path: Path) -> None:
    split = load("sst2_split")
    split.write(shared / "data/sst2/train.tsv", tmp_path)
    train, held = (
        [split.words_of(line) for line in (tmp_path / f"{name}.tsv").read_text().splitlines()[1:]]
        for name in ("train", "held_back")
    )
    assert len(held) == 4746
    inside_held = {piece for words in held for piece in split.inside(words)}
    assert not inside_held & set(train)
    assert not {piece for words in train for piece in split.inside(words)} & set(held)


def test_sentences_end_where_they_should_and_are_told_once() -> None:
    said = ["I saw it twice. (Really!) It is one of the best films of Mr. Lumet.", "I saw it twice."]
    found = [*load("imdb_sentences").sentences(said)]
    assert found == ["I saw it twice.", "It is one of the best films of Mr. Lumet."]


@pytest.mark.parity
def test_students_are_compared_on_sentences_that_no_recipe_draws() -> None:
    from distilbert.training.data import draw_rows

    agreement, sentences = load("agreement"), [str(number) for number in range(143_785)]
    found = agreement.untaught(sentences)
    assert len(set(found)) == agreement.SENTENCES
    assert not {int(number) for number in found} & set(draw_rows(sentences, agreement.TAUGHT).tolist())


def test_no_document_of_uner_is_on_both_sides(shared: Path) -> None:
    split = load("ner_split")
    with gzip.open(shared / "data/ner/uner_ewt/train.iob2.gz", "rt", encoding="utf-8") as file:
        text = file.read()
    train, held = split.split(text)
    assert sorted(train + held) == sorted(re.split(r"\n\n+", text.strip()))
    assert not {*map(split.document, train)} & {*map(split.document, held)}
    assert len(held) >= split.HELD_BACK


def test_a_passage_of_uner_is_as_many_sentences_in_a_row_as_fit() -> None:
    split = load("ner_split")

    def sentence(*words: str) -> str:
        rows = [f"{place}\t{word}\tO" for place, word in enumerate(words, 1)]
        return "\n".join(["# sent_id = a-0001", "# text = …", *rows])

    long = ["on"] * (split.PASSAGE - 1)
    assert split.passages(
        [
            sentence("Ada", "lived"),
            sentence("#", "in", "London"),
            sentence("alone", *long),
            sentence(*long),
            sentence("fits"),
            sentence("not"),
        ]
    ) == [
        "1\tAda\tO\n2\tlived\tO\n3\t#\tO\n4\tin\tO\n5\tLondon\tO",
        "\n".join(f"{place}\t{word}\tO" for place, word in enumerate([*long, "fits"], 1)),
    ]


def test_reviews_to_score_are_none_to_learn_from(shared: Path) -> None:
    split = load("imdb_split")
    found = split.reviews(shared / "data" / "imdb" / "train.jsonl.gz")
    assert sorted(number for rows in split.ROWS.values() for number in rows) == [*range(len(found))]
    texts = {name: {found[number]["text"] for number in rows} for name, rows in split.ROWS.items()}
    assert not texts["scoring"] & (texts["labelled"] | texts["held_back"] | texts["unlabelled"])
    assert not any("<br />" in text for rows in texts.values() for text in rows)


def test_no_question_is_held_back_on_a_paragraph_that_others_are_learnt_from(shared: Path) -> None:
    from distilbert.files.squad import read_squad

    train, held = load("squad_split").split(read_squad(shared / "data/squad/train.json.gz"))
    assert not {row["context"] for row in held} & {row["context"] for row in train}
    assert all(row["answers"] for row in held)
    told = {row["id"]: row["answers"] for row in train if row["answers"]}
    elsewhere = [row for row in train if not row["answers"]]
    assert len(told) + len(held) == 87_599
    assert len(elsewhere) > 30_000
    assert not any(answer["text"] in row["context"] for row in elsewhere for answer in told[row["id"]])


def test_the_ledger_names_commands_that_are_there() -> None:
    page, runs = load("ledger").read(ROOT / "runs.toml")
    assert "<!-- runs: begin -->" in page.read_text(encoding="utf-8")
    for run in runs:
        words = run.make.split()
        files = [
            word
            for word in words
            if word.startswith(("recipes/", "runs/")) and word.endswith((".toml", ".py"))
        ]
        assert words[0] in ("distilbert", "python")
        assert all((ROOT / path).is_file() for path in files)
        assert run.output in run.make or run.name == "sst2-split"


def test_a_run_with_trials_and_seeds_is_one_for_each(tmp_path: Path) -> None:
    (tmp_path / "runs.toml").write_text(
        """
        page = "docs/lab.md"
        [[run]]
        name = "student"
        about = "a student"
        make = "distilbert distil --recipe recipes/student.toml --out runs/out/student"
        output = "runs/out/student"
        trials = ["--dropout 0"]
        seeds = [0, 7]
        score = "--file dev.tsv"
        expect = { accuracy = 0.9 }
        minutes = { cpu = 1, gpu = 1 }
        """
    )
    _, runs = load("ledger").read(tmp_path / "runs.toml")
    make = "distilbert distil --recipe recipes/student.toml --out runs/out/student"
    assert [(run.name, run.output, run.make, run.score) for run in runs] == [
        ("student-trial-0", "runs/out/student-trial-0", f"{make}-trial-0 --dropout 0", ""),
        ("student-0", "runs/out/student-0", f"{make}-0 --seed 0", "--file dev.tsv"),
        ("student-7", "runs/out/student-7", f"{make}-7 --seed 7", "--file dev.tsv"),
    ]


def test_a_run_is_in_the_table_with_its_score_or_as_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = load("ledger")
    monkeypatch.setattr(ledger, "RESULTS", tmp_path)
    goal = {"accuracy": 0.9, "at_least": 0.8}
    runs = [
        ledger.Run(name, "a model", MAKE, "out", {"cpu": 5, "gpu": "?"}, score=score, expect=goal)
        for name, score in (("done", "--file x"), ("trial", ""), ("missing", "--file x"))
    ]
    runs.append(ledger.Run("rows", "no model", "python rows.py", "rows.tsv", {"cpu": 1, "gpu": 1}))
    score = {"accuracy": 0.85, "accuracy_interval": [0.8, 0.9], "constant": {"accuracy": 0.5}}
    training = {"held_back": {"accuracy": 0.86}, "minutes": 4.2, "device": "cpu × 1", "precision": "bfloat16"}
    (tmp_path / "done.json").write_text(json.dumps({"score": score, "training": training}))
    (tmp_path / "trial.json").write_text(json.dumps({"training": training}))
    done, trial, missing = ledger.table(runs).splitlines()[2:]
    assert "accuracy 0.8500 [0.8000, 0.9000] | 0.5000 | accuracy 0.8600" in done
    assert "4.2 (cpu × 1, bfloat16)" in done
    assert "| held-back rows only | | accuracy 0.8600 |" in trial
    assert "not run" in missing
    assert "about 5 (CPU)" in missing


@pytest.mark.parametrize(
    ("accuracy", "low", "fault"),
    [
        (0.85, 0.80, ""),
        (0.79, 0.75, "at least 0.8 was expected"),
        (0.85, 0.50, "not above a constant answer's 0.5000"),
    ],
)
def test_a_run_is_good_enough_or_the_ledger_says_what_it_lacks(
    accuracy: float, low: float, fault: str
) -> None:
    ledger = load("ledger")
    goal = {"accuracy": 0.9, "at_least": 0.8}
    run = ledger.Run("a", "a model", MAKE, "out", {"cpu": 5, "gpu": "?"}, score="--file x", expect=goal)
    score = {"accuracy": accuracy, "accuracy_interval": [low, 0.9], "constant": {"accuracy": 0.5}}
    assert ledger.misses(run, score) == "" if not fault else fault in ledger.misses(run, score)


def write_predictions(folder: Path, name: str, right: int) -> None:
    """What a model said of 100 rows, the first `right` of them as it should."""
    rows = [
        f"{line}\t1\t{0.2 if line < right else 0.8}\t{0.8 if line < right else 0.2}" for line in range(100)
    ]
    text = "\n".join(["line\tlabel\tNEGATIVE\tPOSITIVE", *rows])
    (folder / f"{name}.predictions.tsv.gz").write_bytes(gzip.compress(text.encode()))


def test_students_are_set_beside_their_teacher_and_their_twins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    students = load("students")
    monkeypatch.setattr(students, "RESULTS", tmp_path)

    assert len(students.table().splitlines()) == 2  # nothing was run yet
    write_predictions(tmp_path, "sst2-teacher", 95)
    for seed, right in enumerate((90, 91, 92)):
        write_predictions(tmp_path, f"sst2-student-{seed}", right)
    *_, row = students.table().splitlines()
    assert row.startswith("| sst2-student | 3 | 91.00 % | 90.00 to 92.00 | 95.8 % [")
    assert row.endswith("| – |")
    for seed, right in enumerate((88, 89, 90)):
        write_predictions(tmp_path, f"sst2-twin-{seed}", right)
    *_, row, twins = students.table().splitlines()
    assert "| +2.00 points [" in row
    assert twins.startswith("| sst2-twin | 3 | 89.00 % |")


def test_the_ablation_says_what_each_change_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ablation = load("ablation")
    monkeypatch.setattr(sys.modules["students"], "RESULTS", tmp_path)
    assert ablation.effects() == {}
    for seed in range(3):
        write_predictions(tmp_path, f"ablation-full-{seed}", 90)
        write_predictions(tmp_path, f"ablation-random-{seed}", 80)
    *_, whole, random = ablation.table(ablation.effects()).splitlines()
    assert whole.startswith("| the whole | 3 | 90.00 %")
    assert random.startswith("| from random weights | 3 | 80.00 % | -10.00 points [")
    assert random.endswith("| −3.69 |")


def test_a_part_of_the_rows_has_whole_sentences_with_their_phrases() -> None:
    sentences = [("a", "fine", "film"), ("a", "dull", "film"), ("no", "row", "of", "ours")]
    rows = [sentences[0], ("fine",), sentences[1], ("dull", "film")]
    assert load("sst2_split").part(rows, sentences, count=1) in ([0, 1], [2, 3])
    assert load("sst2_split").part(rows, sentences, count=3) == [0, 1, 2, 3]
