"""`distilbert classify`: text from anywhere in, one answer a text out, in order."""

from __future__ import annotations

import gzip
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from bundles import sentences
from situations import on_a_terminal
from tiny import tiny_checkpoint

from distilbert import pipeline
from distilbert.files.tables import read_rows

if TYPE_CHECKING:
    from pathlib import Path

    from situations import Command

TEXTS = ["I love this film", 'boring, "really" boring', "", "great great great"]


@pytest.fixture(scope="module")
def expected(tiny_fp32: Path) -> list[dict[str, Any]]:
    return pipeline("text-classification", tiny_fp32)(TEXTS)


def labels(rows: list[dict[str, Any]]) -> list[str]:
    return [row["label"] for row in rows]


def as_csv(texts: list[str]) -> str:
    return "id,text\n" + "".join('{},"{}"\n'.format(i, t.replace('"', '""')) for i, t in enumerate(texts))


WRITTEN = {
    "txt": lambda texts: "".join(f"{text}\n" for text in texts),
    "csv": as_csv,
    "tsv": lambda texts: "id\ttext\n" + "".join(f"{i}\t{text}\n" for i, text in enumerate(texts)),
    "jsonl": lambda texts: "".join(
        json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts)
    ),
}


def test_texts_of_the_command_line_are_answered_a_line_each(
    distilbert: Command, tiny_fp32: Path, expected: list[dict[str, Any]]
) -> None:
    outcome = distilbert("classify", "--model", tiny_fp32, *TEXTS)
    assert outcome.code == 0
    assert outcome.err == ""
    assert outcome.out.splitlines() == [
        f"{answer['label']:<10} {answer['score']:.4f}  {text}".rstrip()
        for text, answer in zip(TEXTS, expected, strict=True)
    ]


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("ending", WRITTEN)
def test_every_format_of_a_file_gives_the_same_answers(
    ending: str,
    zipped: bool,
    distilbert: Command,
    here: Path,
    tiny_fp32: Path,
    expected: list[dict[str, Any]],
) -> None:
    content = WRITTEN[ending](TEXTS).encode()
    name = f"reviews.{ending}{'.gz' if zipped else ''}"
    (here / name).write_bytes(gzip.compress(content) if zipped else content)
    outcome = distilbert("classify", "--model", tiny_fp32, "--file", name, "--json")
    assert outcome.objects() == [
        {"text": text, **answer} for text, answer in zip(TEXTS, expected, strict=True)
    ]


def test_a_dash_is_standard_input(
    distilbert: Command, tiny_fp32: Path, expected: list[dict[str, Any]]
) -> None:
    outcome = distilbert(
        "classify", "--model", tiny_fp32, "--file", "-", "--json", stdin=WRITTEN["txt"](TEXTS).encode()
    )
    assert labels(outcome.objects()) == labels(expected)


def test_column_names_where_the_texts_are(distilbert: Command, here: Path, tiny_fp32: Path) -> None:
    (here / "reviews.csv").write_text("text,body\nnot this,I love this film\n")
    outcome = distilbert(
        "classify", "--model", tiny_fp32, "--file", "reviews.csv", "--column", "body", "--json"
    )
    assert [row["text"] for row in outcome.objects()] == ["I love this film"]


def test_pair_column_makes_pairs(distilbert: Command, here: Path, tiny_fp32: Path) -> None:
    (here / "pairs.tsv").write_text("text\tanswer\nis it good\tnot very\n")
    pair = {"text": "is it good", "text_pair": "not very"}
    options = ["--model", tiny_fp32, "--file", "pairs.tsv", "--pair-column", "answer"]
    [row] = distilbert("classify", *options, "--json").objects()
    assert row == pair | pipeline("text-classification", tiny_fp32)(pair)
    assert distilbert("classify", *options).out.rstrip().endswith("is it good / not very")


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "csv.gz", "tsv.gz", "jsonl.gz"])
def test_out_is_read_back_equal_in_every_format(
    ending: str, distilbert: Command, here: Path, tiny_fp32: Path, expected: list[dict[str, Any]]
) -> None:
    outcome = distilbert("classify", "--model", tiny_fp32, *TEXTS, "--out", f"answers.{ending}")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err == f"answers.{ending}: 4 texts labelled\n"
    rows = [row.values for row in read_rows(here / f"answers.{ending}")]
    assert [list(row) for row in rows] == [["text", "label", "score"]] * 4
    assert [row["text"] for row in rows] == TEXTS
    assert labels(rows) == labels(expected)
    assert [float(row["score"]) for row in rows] == [answer["score"] for answer in expected]
    assert [path.name for path in here.iterdir()] == [f"answers.{ending}"]


def test_out_is_never_the_file_that_is_read(distilbert: Command, here: Path, tiny_fp32: Path) -> None:
    (here / "a.csv").write_text(as_csv(TEXTS))
    outcome = distilbert("classify", "--model", tiny_fp32, "--file", "a.csv", "--out", "a.csv")
    assert outcome.code == 2
    assert (here / "a.csv").read_text() == as_csv(TEXTS)


def test_top_k_beyond_the_labels_gives_them_all(distilbert: Command, here: Path, tiny_fp32: Path) -> None:
    options = ["--model", tiny_fp32, "--top-k", "9", "great"]
    [row] = distilbert("classify", *options, "--json").objects()
    scores = [answer["score"] for answer in row["answers"]]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1)
    first, second = distilbert("classify", *options).out.splitlines()
    assert first.split() == [row["answers"][0]["label"], f"{scores[0]:.4f}", "great"]
    assert second.split() == [row["answers"][1]["label"], f"{scores[1]:.4f}"]
    distilbert("classify", *options, "--out", "answers.csv")
    [written] = read_rows(here / "answers.csv")
    assert list(written.values) == ["text", "label", "score", "label_2", "score_2"]
    assert written.values["label_2"] == row["answers"][1]["label"]


def test_several_labels_and_numbers_are_shown_too(distilbert: Command, tmp_path: Path) -> None:
    several = tiny_checkpoint(
        tmp_path / "several", labels=("A", "B", "C"), problem_type="multi_label_classification"
    )
    [row] = distilbert("classify", "--model", several, "great", "--top-k", 3, "--json").objects()
    assert {answer["label"] for answer in row["answers"]} == {"A", "B", "C"}
    number = tiny_checkpoint(tmp_path / "number", labels=("STARS",), problem_type="regression")
    assert re.fullmatch(
        r"STARS +-?\d+\.\d{4}  great\n", distilbert("classify", "--model", number, "great").out
    )


def test_five_thousand_lines_are_answered_in_order(distilbert: Command, here: Path, tiny_int8: Path) -> None:
    texts = sentences(5000, seed=7)
    texts[10] = texts[4000] = texts[77]
    (here / "many.txt").write_text(WRITTEN["txt"](texts))
    rows = distilbert("classify", "--model", tiny_int8, "--file", "many.txt", "--json").objects()
    assert [row["text"] for row in rows] == texts
    assert len({(row["label"], row["score"]) for row in rows if row["text"] == texts[77]}) == 1
    alone = distilbert("classify", "--model", tiny_int8, "--json", *texts[::500]).objects()
    assert alone == rows[::500]


def test_empty_lines_and_a_blank_input_of_lines_are_texts(distilbert: Command, tiny_fp32: Path) -> None:
    outcome = distilbert("classify", "--model", tiny_fp32, "--file", "-", "--json", stdin=b"\n\r\n\n")
    assert [row["text"] for row in outcome.objects()] == ["", "", ""]


def test_a_text_beyond_what_the_model_reads_is_answered_and_said_once(
    distilbert: Command, here: Path, tiny_fp32: Path
) -> None:
    (here / "long.txt").write_text(WRITTEN["txt"](["great " * 20_000] * 3))
    outcome = distilbert("classify", "--model", tiny_fp32, "--file", "long.txt", "--json")
    assert [len(row["text"]) for row in outcome.objects()] == [120_000] * 3
    assert outcome.err.startswith("note: A text has more than 512 tokens")
    assert outcome.err.count("note:") == 1


def test_a_text_of_several_lines_takes_one_line_on_the_terminal_and_stays_whole_in_files(
    distilbert: Command, here: Path, tiny_fp32: Path
) -> None:
    (here / "a.csv").write_text('text\n"great\nfilm"\n')
    options = ["--model", tiny_fp32, "--file", "a.csv"]
    assert distilbert("classify", *options).out.splitlines()[0].endswith("  great film")
    assert distilbert("classify", *options, "--json").objects()[0]["text"] == "great\nfilm"


def test_threads_do_not_change_the_answers(distilbert: Command, tiny_int8: Path) -> None:
    one, two = (
        distilbert("classify", "--model", tiny_int8, "--threads", n, "--json", *TEXTS).out for n in (1, 2)
    )
    assert one == two


def test_without_a_model_the_embedded_one_answers(distilbert: Command, embedded: Path) -> None:
    outcome = distilbert("classify", "A warm and funny film.", "Dull.", "--json")
    assert labels(outcome.objects()) == ["POSITIVE", "NEGATIVE"]


def test_colours_are_for_terminals_only(distilbert: Command, tiny_fp32: Path) -> None:
    args = ["classify", "--model", tiny_fp32, *TEXTS]
    code, shown = on_a_terminal(distilbert, *args, stream="stdout")
    assert code == 0
    assert re.search(r"\x1b\[3[12]m(POSITIVE|NEGATIVE)", shown)
    piped = distilbert.process(*args)
    assert "\x1b" not in piped.out
    assert re.sub(r"\x1b\[\d*m|\r", "", shown) == piped.out


def test_a_label_moves_no_cursor(distilbert: Command, tmp_path: Path) -> None:
    hostile = tiny_checkpoint(tmp_path / "hostile", labels=("A\x1b[2J", "B\r\x1b[31m"))
    shown = distilbert("classify", "--model", hostile, "great").out
    assert re.fullmatch(r"[AB][ \[2J31m]+ +\d\.\d{4}  great\n", shown)
