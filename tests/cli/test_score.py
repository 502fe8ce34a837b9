"""`distilbert score`: the figures are those that counting by hand gives."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from bundles import sentences
from situations import complaint
from tiny import tiny_checkpoint

from distilbert import pipeline
from distilbert.files.tables import read_rows
from distilbert.metrics.answers import exact_match, word_f1
from distilbert.metrics.entities import entity_score

if TYPE_CHECKING:
    from pathlib import Path

    from situations import Command

NAMES = ("NEGATIVE", "POSITIVE")


def predicted(distilbert: Command, model: object, file: object) -> list[str]:
    rows = distilbert("classify", "--model", model, "--file", file, "--json").objects()
    return [row["label"] for row in rows]


def gold_of(file: Path) -> list[str]:
    """The labels of the file `reviews`: names and ids."""
    lines = file.read_text().splitlines()[1:]
    values = [line.split("\t")[1] for line in lines]
    return [NAMES[int(value)] if value.isdigit() else value for value in values]


def f1_by_hand(predicted: list[str], gold: list[str], label: str) -> float:
    pairs = list(zip(predicted, gold, strict=True))
    hits = pairs.count((label, label))
    claimed = predicted.count(label)
    there = gold.count(label)
    if not hits:
        return 0.0
    precision, recall = hits / claimed, hits / there
    return 2 * precision * recall / (precision + recall)


def score(distilbert: Command, *args: object) -> dict[str, Any]:
    outcome = distilbert("score", *args, "--json")
    assert outcome.code == 0
    [result] = outcome.objects()
    return result


def test_accuracy_and_f1_are_as_counted_by_hand(distilbert: Command, tiny_fp32: Path, reviews: Path) -> None:
    result = score(distilbert, "--model", tiny_fp32, "--file", reviews)
    labels, gold = predicted(distilbert, tiny_fp32, reviews), gold_of(reviews)
    right = sum(label == true for label, true in zip(labels, gold, strict=True))
    assert (result["rows"], result["correct"]) == (2600, right)
    assert result["accuracy"] == pytest.approx(right / 2600)
    assert result["f1"] == pytest.approx(f1_by_hand(labels, gold, "POSITIVE"))
    for name in ("accuracy", "f1"):
        low, high = result[f"{name}_interval"]
        assert low < result[name] < high
        assert high - low < 0.08  # of 2,600 rows: about four standard errors of 0.01
    assert score(distilbert, "--model", tiny_fp32, "--file", reviews) == result


def test_f1_of_three_labels_is_their_mean(distilbert: Command, here: Path) -> None:
    tiny_checkpoint(here / "three", labels=("A", "B", "C"))
    texts = sentences(300, seed=5)
    gold = ["ABC"[number % 3] for number in range(300)]
    lines = [f"{text}\t{label}\n" for text, label in zip(texts, gold, strict=True)]
    (here / "rows.tsv").write_text("text\tlabel\n" + "".join(lines))
    labels = predicted(distilbert, "three", "rows.tsv")
    mean = sum(f1_by_hand(labels, gold, label) for label in "ABC") / 3
    result = score(distilbert, "--model", "three", "--file", "rows.tsv")
    assert result["f1"] == pytest.approx(mean)


def test_against_counts_the_labels_that_change_by_name(
    distilbert: Command, here: Path, tiny_fp32: Path, reviews: Path
) -> None:
    tiny_checkpoint(here / "other", seed=1, labels=("POSITIVE", "NEGATIVE"))
    before, after, gold = (
        predicted(distilbert, "other", reviews),
        predicted(distilbert, tiny_fp32, reviews),
        gold_of(reviews),
    )
    rows = list(zip(before, after, gold, strict=True))
    flips = sum(was != now for was, now, _ in rows)
    assert 0 < flips < len(rows)
    against = score(distilbert, "--model", tiny_fp32, "--file", reviews, "--against", "other")["against"]
    assert against == {
        "model": "other",
        "both_right": sum(was == true == now for was, now, true in rows),
        "both_wrong": sum(was != true != now for was, now, true in rows),
        "accuracy": pytest.approx(sum(was == true for was, _, true in rows) / len(rows)),
        "flips": flips,
        "flip_share": pytest.approx(flips / len(rows)),
        "right_to_wrong": sum(was == true != now for was, now, true in rows),
        "wrong_to_right": sum(was != true == now for was, now, true in rows),
    }


def test_a_model_against_itself_changes_nothing(
    distilbert: Command, tiny_classifier: Path, tiny_fp32: Path, reviews: Path
) -> None:
    outcome = distilbert("score", "--model", tiny_fp32, "--against", tiny_classifier, "--file", reviews)
    assert "0 labels changed (0.00 %), 0 from right to wrong, 0 from wrong to right" in outcome.out


def test_people_read_percentages(distilbert: Command, tiny_fp32: Path, reviews: Path) -> None:
    result = score(distilbert, "--model", tiny_fp32, "--file", reviews)
    outcome = distilbert("score", "--model", tiny_fp32, "--file", reviews)
    low, high = result["accuracy_interval"]
    title, accuracy, f1 = outcome.out.splitlines()
    assert title == f"{tiny_fp32} on 2,600 rows of {reviews}"
    assert accuracy == f"  accuracy {100 * result['accuracy']:6.2f} %   [{100 * low:.2f}, {100 * high:.2f}]"
    assert f1.startswith(f"  f1       {100 * result['f1']:6.2f} %   [")


def test_columns_and_pairs_are_named_as_in_classify(distilbert: Command, here: Path, tiny_fp32: Path) -> None:
    (here / "pairs.csv").write_text("q,a,gold\nis it good,very,1\nis it bad,no,0\n")
    (here / "plain.csv").write_text("text,text_pair\nis it good,very\nis it bad,no\n")
    result = score(
        distilbert,
        *("--model", tiny_fp32, "--file", "pairs.csv"),
        *("--column", "q", "--pair-column", "a", "--label-column", "gold"),
    )
    rows = distilbert(
        "classify", "--model", tiny_fp32, "--file", "plain.csv", "--pair-column", "text_pair", "--json"
    ).objects()
    labels = [row["label"] for row in rows]
    assert result["correct"] == (labels[0] == "POSITIVE") + (labels[1] == "NEGATIVE")


def test_label_sets_are_scored_by_f1(distilbert: Command, here: Path) -> None:
    tiny_checkpoint(here / "sets", labels=("A", "B", "C"), problem_type="multi_label_classification")
    texts = sentences(200, seed=5)
    gold = [[("A", "B", "C")[place] for place in range(3) if number >> place & 1] for number in range(200)]
    lines = [f"{text}\t{','.join(labels)}\n" for text, labels in zip(texts, gold, strict=True)]
    (here / "rows.tsv").write_text("text\tlabel\n" + "".join(lines))
    rows = distilbert("classify", "--model", "sets", "--file", "rows.tsv", "--top-k", 3, "--json").objects()
    said = [{answer["label"] for answer in row["answers"] if answer["score"] > 0.5} for row in rows]
    hits = sum(len(ours & set(theirs)) for ours, theirs in zip(said, gold, strict=True))
    result = score(distilbert, "--model", "sets", "--file", "rows.tsv")
    assert result["f1_micro"] == pytest.approx(2 * hits / (sum(map(len, said)) + sum(map(len, gold))))
    alone = sum("A" in labels for labels in gold)  # as frequent as B and C
    assert result["constant"]["f1_micro"] == pytest.approx(2 * alone / (200 + sum(map(len, gold))))


def test_numbers_are_scored_by_correlation(distilbert: Command, here: Path) -> None:
    tiny_checkpoint(here / "number", labels=("STARS",), problem_type="regression")
    texts = sentences(50, seed=5)
    (here / "texts.tsv").write_text("text\n" + "".join(f"{text}\n" for text in texts))
    answers = distilbert("classify", "--model", "number", "--file", "texts.tsv", "--json").objects()
    lines = [f"{row['text']}\t{-3 * row['score'] + 1}\n" for row in answers]
    (here / "rows.tsv").write_text("text\tSTARS\n" + "".join(lines))  # as `finetune` names a number
    line = ["--model", "number", "--file", "rows.tsv", "--label-column", "STARS"]
    result = score(distilbert, *line, "--predictions", "out.tsv")
    assert result["pearson"] == pytest.approx(-1.0)
    assert "constant" not in result
    said = [float(row.values["predicted"]) for row in read_rows(here / "out.tsv")]
    assert said == pytest.approx([row["score"] for row in answers], abs=1e-6)


def test_predictions_are_a_row_a_text_with_what_each_label_gets(
    distilbert: Command, here: Path, tiny_fp32: Path, reviews: Path
) -> None:
    line = ["score", "--model", tiny_fp32, "--file", reviews]
    result = score(distilbert, *line[1:], "--predictions", "out.tsv.gz")
    rows = [row.values for row in read_rows(here / "out.tsv.gz")]
    texts = list(read_rows(reviews))
    assert [(int(row["line"]), row["label"]) for row in rows] == [
        (row.line, row.value("label")) for row in texts
    ]
    said = [max(("NEGATIVE", "POSITIVE"), key=lambda label: float(row[label])) for row in rows]
    assert said == predicted(distilbert, tiny_fp32, reviews)
    assert all(abs(float(row["NEGATIVE"]) + float(row["POSITIVE"]) - 1) < 1e-5 for row in rows)
    assert result["rows"] == len(rows)


# Taggers


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tagger") / "checkpoint"
    return tiny_checkpoint(folder, head="token-classification", labels=("O", "B-PER", "I-PER", "B-LOC"))


SENTENCES = "good\tB-PER\nfilm\tI-PER\n\nnever\tO\nread\tB-LOC\nthis\tO\n"


def test_a_tagger_is_scored_by_its_entities(distilbert: Command, here: Path, tagger: Path) -> None:
    (here / "dev.iob2").write_text(SENTENCES)
    options = ["score", "--model", tagger, "--file", "dev.iob2"]
    [result] = distilbert(*options, "--json").objects()
    predicted = list(pipeline("ner", tagger).labels_of_words([["good", "film"], ["never", "read", "this"]]))
    score = entity_score(predicted, [["B-PER", "I-PER"], ["O", "B-LOC", "O"]])
    assert (result["rows"], result["words"], result["scheme"]) == (2, 5, "IOB2")
    assert [result[name] for name in ("precision", "recall", "f1")] == [
        score.precision,
        score.recall,
        score.f1,
    ]
    lines = distilbert(*options).out.splitlines()
    assert lines[0] == f"{tagger} on 2 rows of dev.iob2"
    assert [line.split()[0] for line in lines[1:4]] == ["precision", "recall", "f1"]
    assert any(re.fullmatch(r"  LOC +\d+\.\d\d %   F1 of 1 entities", line) for line in lines[4:])


def test_a_tagger_s_figures_can_be_computed_again_from_its_predictions(
    distilbert: Command, here: Path, tagger: Path
) -> None:
    labels = itertools.cycle(("B-PER", "O", "B-LOC", "O", "O"))
    written = [list(zip(text.split(), labels, strict=False)) for text in sentences(60, seed=4, longest=6)]
    lines = ["".join(f"{word}\t{label}\n" for word, label in row) for row in written]
    (here / "dev.iob2").write_text("\n".join(lines))
    result = score(distilbert, "--model", tagger, "--file", "dev.iob2", "--predictions", "out.csv.gz")
    rows = [row.values for row in read_rows(here / "out.csv.gz")]
    assert [(row["word"], row["label"]) for row in rows] == [pair for row in written for pair in row]
    content = (here / "dev.iob2").read_text().split("\n")
    assert all(content[int(row["line"]) - 1] == f"{row['word']}\t{row['label']}" for row in rows)
    found = [[*own] for _, own in itertools.groupby(rows, key=lambda row: row["sentence"])]
    gold, said = ([[row[side] for row in own] for own in found] for side in ("label", "predicted"))
    again = entity_score(said, gold)
    assert 0 < again.f1 < 1
    assert (result["rows"], result["f1"], result["recall"]) == (len(found), again.f1, again.recall)


def test_against_counts_the_words_whose_labels_change(distilbert: Command, here: Path, tagger: Path) -> None:
    labels = ("B-LOC", "I-PER", "B-PER", "O")
    tiny_checkpoint(here / "other", head="token-classification", labels=labels, seed=3)
    lines = ["".join(f"{word}\tO\n" for word in text.split()) for text in sentences(40, seed=4, longest=6)]
    (here / "dev.iob2").write_text("\n".join(lines))
    options = ["--model", tagger, "--file", "dev.iob2", "--predictions"]
    changed = score(distilbert, *options, "after.csv", "--against", "other")["against"]
    score(distilbert, "--model", "other", "--file", "dev.iob2", "--predictions", "before.csv")
    before, after = (
        [row.values["predicted"] for row in read_rows(here / f"{name}.csv")] for name in ("before", "after")
    )
    pairs = list(zip(before, after, strict=True))
    flips = sum(was != now for was, now in pairs)
    assert 0 < flips < len(pairs)
    assert changed == {
        "model": "other",
        "f1": 0.0,
        "flips": flips,
        "flip_share": pytest.approx(flips / len(pairs)),
        "right_to_wrong": sum(was == "O" != now for was, now in pairs),
        "wrong_to_right": sum(was != "O" == now for was, now in pairs),
        "both_right": sum(was == "O" == now for was, now in pairs),
        "both_wrong": sum(was != "O" != now for was, now in pairs),
    }
    shown = distilbert("score", "--model", tagger, "--file", "dev.iob2", "--against", "other").out
    assert f"against other (0.00 %): {flips} labels changed" in shown


def test_sentences_of_jsonl_are_scored_as_those_of_conll(
    distilbert: Command, here: Path, tagger: Path
) -> None:
    (here / "dev.iob2").write_text(SENTENCES)
    rows = [
        {"tokens": ["good", "film"], "labels": ["B-PER", "I-PER"]},
        {"tokens": ["never", "read", "this"], "labels": ["O", "B-LOC", "O"]},
    ]
    (here / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second = (
        score(distilbert, "--model", tagger, "--file", f"dev.{end}") for end in ("iob2", "jsonl")
    )
    assert first | {"file": ""} == second | {"file": ""}


ABOUT_TEXTS = {"--column": "text", "--pair-column": "b", "--label-column": "label", "--long": "window"}


@pytest.mark.parametrize(
    ("content", "options", "code", "fault"),
    [
        ("good\tB-PER\nfilm\n", [], 1, "dev.iob2, line 2: 1 cells, where the first row has 2"),
        ("good\tB-MISC\n", [], 1, "dev.iob2, line 1: the model has no label 'B-MISC'"),
        (SENTENCES, ["--against", "distilbert-sst2"], 2, "is a model for text-classification, not for token"),
        (SENTENCES, ["--against", "{other}"], 2, "--against has the labels O, B-ORG, but --model O, B-PER"),
        *((SENTENCES, [*told], 2, f"{told[0]} is about classifiers, and") for told in ABOUT_TEXTS.items()),
    ],
)
def test_what_a_tagger_cannot_be_scored_by_is_told(
    content: str,
    options: list[str],
    code: int,
    fault: str,
    distilbert: Command,
    here: Path,
    tagger: Path,
) -> None:
    (here / "dev.iob2").write_text(content)
    tiny_checkpoint(here / "other", head="token-classification", labels=("O", "B-ORG"))
    words = [word.format(other="other") for word in options]
    outcome = distilbert("score", "--model", tagger, "--file", "dev.iob2", *words)
    assert outcome.code == code
    assert fault in complaint(outcome.err)


# Answerers


@pytest.fixture(scope="module")
def answerer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("answerer") / "checkpoint", head="question-answering")


def squad(start: int) -> str:
    questions = [{"question": "is it", "id": "1", "answers": [{"text": "film", "answer_start": start}]}]
    return json.dumps({"data": [{"paragraphs": [{"context": "good film", "qas": questions}]}]})


def test_an_answerer_is_scored_by_squad_s_rules(distilbert: Command, here: Path, answerer: Path) -> None:
    (here / "dev.json").write_text(squad(5))
    options = ["score", "--model", answerer, "--file", "dev.json"]
    [result] = distilbert(*options, "--json").objects()
    best = pipeline("question-answering", answerer)("is it", "good film")["answer"]
    assert (result["rows"], result["exact"]) == (1, float(best == "film"))
    lines = distilbert(*options).out.splitlines()
    assert lines[0] == f"{answerer} on 1 rows of dev.json"
    assert [line.split()[0] for line in lines[1:]] == ["exact", "f1"]


@pytest.fixture
def questions(here: Path) -> list[dict[str, Any]]:
    """Rows of dev.jsonl: some have two right answers, some none."""
    rows = []
    for number, context in enumerate(sentences(50, seed=6, longest=4)):
        words = context.split()
        right = [[], [words[-1]], [words[0], context]][number % 3]
        answers = [{"text": text, "answer_start": context.rindex(text)} for text in right]
        rows.append({"id": f"q{number}", "question": "what is it", "context": context, "answers": answers})
    (here / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_an_answerer_s_figures_can_be_computed_again_from_its_predictions(
    ending: str, distilbert: Command, here: Path, answerer: Path, questions: list[dict[str, Any]]
) -> None:
    options = ["--model", answerer, "--file", "dev.jsonl", "--predictions", f"out.{ending}"]
    result = score(distilbert, *options)
    rows = [row.values for row in read_rows(here / f"out.{ending}")]
    assert [row["id"] for row in rows] == [row["id"] for row in questions]
    gold = [row["answers"] if ending == "jsonl" else json.loads(row["answers"]) for row in rows]
    assert gold == [[answer["text"] for answer in row["answers"]] for row in questions]
    said = [row["predicted"] for row in rows]
    assert 0 < result["exact"] < 1
    assert result["exact"] == exact_match(said, gold).mean()
    assert result["f1"] == word_f1(said, gold).mean()
    assert result["unanswerable"] == sum(not right for right in gold)
    answer = pipeline("question-answering", answerer, handle_impossible_answer=True)
    best = answer(questions[4]["question"], questions[4]["context"])
    assert (said[4], float(rows[4]["score"])) == (best["answer"], pytest.approx(best["score"], abs=1e-6))


def test_against_counts_the_answers_that_change_and_exact_matches_lost_and_won(
    distilbert: Command, here: Path, answerer: Path, questions: list[dict[str, Any]]
) -> None:
    tiny_checkpoint(here / "other", head="question-answering", seed=3)
    options = ["--file", "dev.jsonl", "--predictions"]
    changed = score(distilbert, "--model", answerer, *options, "after.csv", "--against", "other")["against"]
    first = score(distilbert, "--model", "other", *options, "before.csv")
    before, after = (
        [row.values["predicted"] for row in read_rows(here / f"{name}.csv")] for name in ("before", "after")
    )
    gold = [[answer["text"] for answer in row["answers"]] for row in questions]
    rights = list(zip(exact_match(before, gold), exact_match(after, gold), strict=True))
    assert (changed["model"], changed["f1"]) == ("other", first["f1"])
    assert changed["flips"] == sum(was != now for was, now in zip(before, after, strict=True)) > 0
    assert changed["right_to_wrong"] == rights.count((1.0, 0.0))
    assert changed["wrong_to_right"] == rights.count((0.0, 1.0))
    shown = distilbert("score", "--model", answerer, "--file", "dev.jsonl", "--against", "other").out
    assert f"{changed['flips']} answers changed" in shown


@pytest.mark.parametrize(
    ("content", "options", "code", "fault"),
    [
        (squad(3), [], 1, "dev.json, question 1: the answer 'film' is not at character 3 of its context"),
        (squad(5), ["--against", "distilbert-sst2"], 2, "is a model for text-classification, not for quest"),
        (squad(5), ["--column", "question"], 2, "--column is about classifiers, and"),
        (squad(5), ["--predictions", "out.tsv.gz"], 2, "out.tsv.gz: a .tsv holds no line breaks"),
    ],
)
def test_what_an_answerer_cannot_be_scored_by_is_told(
    content: str, options: list[str], code: int, fault: str, distilbert: Command, here: Path, answerer: Path
) -> None:
    (here / "dev.json").write_text(content)
    outcome = distilbert("score", "--model", answerer, "--file", "dev.json", *options)
    assert outcome.code == code
    assert fault in complaint(outcome.err)
