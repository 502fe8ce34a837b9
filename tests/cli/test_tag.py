"""`distilbert tag`: text from anywhere in, entities in their sentences out, in order."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from bundles import sentences
from situations import complaint, on_a_terminal
from tiny import tiny_checkpoint

from distilbert import pipeline
from distilbert.cli.bulk import WINDOW
from distilbert.files.resumable import ResumableTable
from distilbert.files.tables import read_rows

if TYPE_CHECKING:
    from pathlib import Path

    from situations import Command

TEXTS = ["I love this film", 'boring, "really" boring', "", "great\ngreat great"]
OPTIONS = ("tag", "--model")


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tagger") / "checkpoint"
    labels = ("O", "B-PER", "I-PER", "B-WORK-OF-ART", "I-WORK-OF-ART")
    return tiny_checkpoint(folder, head="token-classification", labels=labels)


@pytest.fixture(scope="module")
def expected(tagger: Path) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = pipeline("ner", tagger, aggregation_strategy="first")(TEXTS)
    assert sum(map(len, found)) >= 4
    return found


def bracketed(text: str, entities: list[dict[str, Any]]) -> str:
    for entity in reversed(entities):
        marked = f"[{entity['text']} {entity['entity_group']}]"
        text = text[: entity["start"]] + marked + text[entity["end"] :]
    return text.replace("\n", " ")


def test_entities_stand_in_brackets_in_their_sentence(
    distilbert: Command, tagger: Path, expected: list[list[dict[str, Any]]]
) -> None:
    outcome = distilbert(*OPTIONS, tagger, *TEXTS)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [*map(bracketed, TEXTS, expected)]


def test_without_a_model_it_is_the_one_that_the_package_ships(distilbert: Command) -> None:
    outcome = distilbert("tag", "Anna Schmidt of Siemens moved from Munich to Lyon.")
    assert outcome.out == "[Anna Schmidt PER] of [Siemens ORG] moved from [Munich LOC] to [Lyon LOC].\n"


def test_json_has_a_line_a_text_with_all_that_is_known(
    distilbert: Command, here: Path, tagger: Path, expected: list[list[dict[str, Any]]]
) -> None:
    answers = [{"text": text, "entities": found} for text, found in zip(TEXTS, expected, strict=True)]
    assert distilbert(*OPTIONS, tagger, *TEXTS, "--json").objects() == answers
    rows = [{"id": str(place), "body": text} for place, text in enumerate(TEXTS)]
    (here / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    options = [*OPTIONS, tagger, "--file", "a.jsonl", "--column", "body", "--keep", "id", "--json"]
    kept = distilbert(*options).objects()
    assert kept == [{"id": row["id"], **answer} for row, answer in zip(rows, answers, strict=True)]


def test_a_dash_is_standard_input(distilbert: Command, tagger: Path) -> None:
    outcome = distilbert(*OPTIONS, tagger, "--file", "-", "--json", stdin=b"I love this film\n")
    assert outcome.objects() == distilbert(*OPTIONS, tagger, "I love this film", "--json").objects()


@pytest.mark.parametrize("ending", ["csv", "tsv.gz", "jsonl", "parquet"])
def test_out_has_a_row_a_text_and_its_entities_in_one_cell(
    ending: str, distilbert: Command, here: Path, tagger: Path, expected: list[list[dict[str, Any]]]
) -> None:
    texts = [text.replace("\n", " ") for text in TEXTS]
    outcome = distilbert(*OPTIONS, tagger, *texts, "--out", f"a.{ending}")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", f"a.{ending}: 4 texts labelled\n")
    rows = [row.values for row in read_rows(here / f"a.{ending}")]
    assert [row["text"] for row in rows] == texts
    cells = [row["entities"] for row in rows]
    found = cells if ending == "jsonl" else [*map(json.loads, cells)]
    assert [[entity["start"] for entity in entities] for entities in found] == [
        [entity["start"] for entity in entities] for entities in expected
    ]


def test_from_a_file_to_a_file_it_goes_on_where_it_was_stopped(
    distilbert: Command, here: Path, tagger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "many.txt").write_text("".join(f"{text}\n" for text in sentences(WINDOW + 50, longest=4)))
    line = [*OPTIONS, tagger, "--file", "many.txt", "--out"]
    assert distilbert(*line, "whole.csv").code == 0

    append = ResumableTable.append

    def append_and_stop(table: ResumableTable, rows: Any) -> None:
        append(table, rows)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ResumableTable, "append", append_and_stop)
        assert distilbert(*line, "a.csv").code == 130
    other = distilbert(*line, "a.csv", "--resume", "--aggregation-strategy", "simple")
    assert "another --aggregation-strategy: first, now simple" in complaint(other.err)
    outcome = distilbert(*line, "a.csv", "--resume")
    assert outcome.err == "note: 1,024 texts were labelled already\na.csv: 1,074 texts labelled\n"
    assert (here / "a.csv").read_bytes() == (here / "whole.csv").read_bytes()


def test_strategies_are_those_of_the_pipeline(distilbert: Command, tagger: Path) -> None:
    for strategy in ("none", "simple", "first", "average", "max"):
        [row] = distilbert(*OPTIONS, tagger, TEXTS[1], "--json", "--aggregation-strategy", strategy).objects()
        assert row["entities"] == pipeline("ner", tagger, aggregation_strategy=strategy)(TEXTS[1])


def test_a_long_text_is_read_to_its_end_and_nothing_is_said_of_a_cut(
    distilbert: Command, here: Path, tagger: Path
) -> None:
    (here / "book.txt").write_text("I love this film . " * 2000)
    outcome = distilbert(*OPTIONS, tagger, "--file", "book.txt", "--json")
    assert outcome.err == ""
    [row] = outcome.objects()
    assert row["entities"][-1]["end"] > 37_000


def test_colours_are_for_terminals_only(distilbert: Command, tagger: Path) -> None:
    args = [*OPTIONS, tagger, TEXTS[0]]
    code, shown = on_a_terminal(distilbert, *args, stream="stdout")
    assert code == 0
    coloured = re.findall(r"\x1b\[3\dm\x1b\[1m(.+?)\x1b\[0m\x1b\[3\dm\x1b\[2m (.+?)\x1b\[0m", shown)
    piped = distilbert.process(*args).out
    assert "\x1b" not in piped
    assert [f"[{text} {label}]" for text, label in coloured] == re.findall(r"\[.+?\]", piped)
    assert coloured


def test_a_label_and_a_text_move_no_cursor(distilbert: Command, tmp_path: Path) -> None:
    hostile = tiny_checkpoint(tmp_path / "m", head="token-classification", labels=("A\x1b[2J", "B\r\x1b[31m"))
    outcome = distilbert(*OPTIONS, hostile, "great \x1b[2J film\r")
    assert outcome.code == 0
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", outcome.out)


WRONG = {
    "another task's model": (["good", "--model", "{classifier}"], 2, "is a model for text-classification"),
    "no text": (["--model", "{tagger}"], 2, "Give texts or --file FILE"),
    "a kept column of answers": (
        ["--model", "{tagger}", "--file", "a.csv", "--keep", "entities"],
        2,
        "--keep entities: the answers have a column of that name already",
    ),
    "no such file": (["--model", "{tagger}", "--file", "a.csv"], 1, "a.csv cannot be read"),
    "nothing to resume": (["--model", "{tagger}", "good", "--resume"], 2, "--resume goes on with an --out"),
    "no such strategy": (["--model", "{tagger}", "good", "--aggregation-strategy", "most"], 2, "'most'"),
}


@pytest.mark.parametrize(("line", "code", "fault"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_told_in_two_lines(
    line: list[str], code: int, fault: str, distilbert: Command, here: Path, tagger: Path, tiny_fp32: Path
) -> None:
    outcome = distilbert("tag", *(word.format(tagger=tagger, classifier=tiny_fp32) for word in line))
    assert outcome.code == code
    assert fault in complaint(outcome.err)
