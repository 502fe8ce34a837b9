"""`distilbert finetune` as a user has it: from rows to a checkpoint that all else here reads, or a line of why not."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from situations import Command, complaint, contents, on_a_terminal
from small_runs import rows_file
from tiny import tiny_checkpoint

from distilbert.cli.finetune import KNOBS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.parity

QUICK = ["--epochs", 1, "--batch-size", 16, "--max-length", 32, "--device", "cpu"]


@pytest.fixture
def start(here: Path) -> Path:
    """A folder with a model to start from, and rows."""
    tiny_checkpoint(here / "start", head="none")
    rows_file(here / "train.tsv", 64)
    rows_file(here / "dev.tsv", 16, seed=1)
    return here


def test_a_checkpoint_comes_out_that_classify_score_and_transformers_read(
    start: Path, distilbert: Command
) -> None:
    line = [
        "finetune",
        "--model",
        "start",
        "--train",
        "train.tsv",
        "--dev",
        "dev.tsv",
        "--out",
        "out",
        *QUICK,
    ]
    outcome = distilbert(*line, "--labels", "BAD,GOOD")
    assert outcome.code == 0, outcome.err
    assert re.fullmatch(r"out: step 4 of 4: loss \d\.\d{4}, accuracy \d\.\d{4}\n", outcome.out)
    new_heads, epoch, held_back = outcome.err.splitlines()
    assert "classifier.weight" in new_heads
    assert re.fullmatch(r"epoch 1: loss \d\.\d{4}, [\d,]+ tokens/s, 0:00 left", epoch)
    assert held_back.startswith("epoch 1, held-back rows: loss")
    assert not (start / "out.partial").exists()
    assert (start / "out/training.json").exists()
    assert "learning_rate = 5e-05" in (start / "out/recipe.toml").read_text()
    assert "trained on 64 rows" in (start / "out/README.md").read_text()
    scored = json.loads(distilbert("score", "--model", "out", "--file", "dev.tsv", "--json").out)
    trained = json.loads((start / "out/training.json").read_text())
    assert scored["accuracy"] == pytest.approx(
        trained["held_back"]["accuracy"], abs=1 / 16
    )  # bfloat16 and float32
    from transformers import AutoModelForSequenceClassification

    theirs = AutoModelForSequenceClassification.from_pretrained("out")
    assert theirs.config.id2label == {0: "BAD", 1: "GOOD"}


def test_the_recipe_in_the_result_makes_the_same_result_again(start: Path, distilbert: Command) -> None:
    line = [
        "--model",
        "start",
        "--train",
        "train.tsv",
        "--hold-back",
        8,
        "--layers",
        "1",
        "--seed",
        4,
        *QUICK,
    ]
    assert distilbert("finetune", *line, "--out", "a").code == 0
    assert distilbert("finetune", "--recipe", "a/recipe.toml", "--out", "b").code == 0
    assert (start / "a/model.safetensors").read_bytes() == (start / "b/model.safetensors").read_bytes()
    assert json.loads((start / "a/config.json").read_text())["n_layers"] == 1


def test_sets_of_labels_from_gzipped_jsonl(start: Path, distilbert: Command) -> None:
    rows = [{"text": f"film {n}", "emotions": [["joy"], ["joy", "love"], []][n % 3]} for n in range(40)]
    with gzip.open(start / "rows.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    line = [
        "--model",
        "start",
        "--train",
        "rows.jsonl.gz",
        "--hold-back",
        8,
        "--label-column",
        "emotions",
        *QUICK,
    ]
    outcome = distilbert("finetune", *line, "--problem-type", "multi_label_classification", "--out", "out")
    assert "f1_micro" in outcome.out, outcome.err
    config = json.loads((start / "out/config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    assert list(config["id2label"].values()) == ["joy", "love"]


def test_pairs_with_a_number(start: Path, distilbert: Command) -> None:
    lines = ["a,b,score"] + [f"film {n},good film {n % 5},{n % 5}.5" for n in range(40)]
    (start / "rows.csv").write_text("\n".join(lines))
    line = [
        "--model",
        "start",
        "--train",
        "rows.csv",
        "--hold-back",
        8,
        "--column",
        "a",
        "--pair-column",
        "b",
        *QUICK,
    ]
    outcome = distilbert(
        "finetune", *line, "--label-column", "score", "--problem-type", "regression", "--out", "out"
    )
    assert "pearson" in outcome.out, outcome.err


def test_texts_to_fill_masks_with_blank_lines_between_them(start: Path, distilbert: Command) -> None:
    (start / "book.txt").write_text("\n\n".join(f"a good film {number}" for number in range(40)))
    line = ["--task", "fill-mask", "--model", "start", "--train", "book.txt", "--hold-back", 8, *QUICK]
    outcome = distilbert("finetune", *line, "--out", "out")
    assert outcome.code == 0, outcome.err
    assert json.loads((start / "out/training.json").read_text())["rows"] == 32
    from distilbert import pipeline

    assert pipeline("fill-mask", "out")("a [MASK] film")


def test_a_terminal_shows_where_it_is(start: Path, distilbert: Command) -> None:
    line = ["finetune", "--model", "start", "--train", "train.tsv", "--hold-back", 8, "--out", "out", *QUICK]
    code, shown = on_a_terminal(distilbert, *line, stream="stderr")
    assert code == 0
    assert "epoch 1.00" in shown
    assert "4/4" in shown
    assert re.search(r"loss \d\.\d+, [\d,]+ tokens/s", shown)


def test_each_knob_of_a_recipe_is_a_flag_whose_help_tells_the_default() -> None:
    from distilbert.training.recipe import FinetuneRecipe

    assert set(KNOBS) == set(FinetuneRecipe.model_fields)
    for name, field in FinetuneRecipe.model_fields.items():
        told = re.search(r"\[([^\]]+)\]", str(KNOBS[name].get("help")))
        if (not field.is_required() and field.default not in (None, 0)) or name == "seed":
            assert told, name
            assert told[1] == str(field.default), name


def test_without_pytorch_the_extra_is_named(start: Path) -> None:
    hidden = "import importlib.util as u; find = u.find_spec; "
    hidden += "u.find_spec = lambda name, *rest: None if name == 'torch' else find(name, *rest); "
    code = hidden + "from distilbert.cli import main; main()"
    line = [
        sys.executable,
        "-c",
        code,
        "finetune",
        "--model",
        "start",
        "--train",
        "train.tsv",
        "--out",
        "out",
    ]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "pip install 'distilbert[train]'" in complaint(ended.stderr)


def test_who_interrupts_it_is_told_how_to_go_on(start: Path, distilbert: Command) -> None:
    line = ["finetune", "--model", "start", "--train", "train.tsv", "--out", "out", "--save-steps", 1]
    process = distilbert.start(
        *line, "--epochs", 2000, *QUICK[2:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    while not (start / "out.partial/state.pt").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search(
        r"note: \d+ steps are safe in out\.partial; --resume goes on from there\n\n?interrupted\n$",
        err.decode(),
    )


def test_the_examples_of_the_help_work_as_they_are_printed(start: Path, distilbert: Command) -> None:
    from distilbert.cli.finetune import command

    (start / "start").rename(start / "my-checkpoint")
    train = (start / "train.tsv").read_text()
    (start / "train.tsv").write_text(train.replace("text", "sentence", 1))
    (start / "recipe.toml").write_text(
        'model = "my-checkpoint"\ntrain = "train.tsv"\ncolumn = "sentence"\nepochs = 1\nmax_length = 32\n'
    )
    plain, recipe, resumed, launched = map(shlex.split, str(command.epilog).splitlines()[2:])
    assert distilbert(*plain[1:], "--hold-back", 16, *QUICK).code == 0
    assert distilbert(*recipe[1:]).code == 0
    assert "my-other is already there" in distilbert(*resumed[1:]).err
    assert launched[:2] == ["accelerate", "launch"]  # test_loop_parity.py does


# What a user can get wrong: file contents, further options, the exit code, and what the message says.
ROWS = "text\tlabel\na film\t0\nanother film\t1\n"
WRONG: dict[str, tuple[dict[str, str], list[Any], int, list[str]]] = {
    "a dev file with other labels": (
        {"dev.tsv": "text\tlabel\na\t0\nb\t7\n"},
        ["--dev", "dev.tsv"],
        1,
        ["dev.tsv, line 3: '7' is none of the 2 labels: NEGATIVE, POSITIVE"],
    ),
    "an empty label": (
        {"train.tsv": "text\tlabel\na\t0\nb\t\n"},
        [],
        1,
        ["train.tsv, line 3", "column 'label'"],
    ),
    "an empty column of labels": (
        {"train.tsv": "text\tlabel\na\t\nb\t\n"},
        [],
        1,
        ["train.tsv, line 2", "'label'"],
    ),
    "an empty column of texts": (
        {"train.tsv": "text\tlabel\n\t0\n\t1\n"},
        [],
        1,
        ["line 2: column 'text' is empty"],
    ),
    "no such column": (
        {},
        ["--column", "review"],
        1,
        ["train.tsv, line 2: no column 'review'", "'text', 'label'"],
    ),
    "a target that is NaN": (
        {"train.tsv": "text\tlabel\na\t0.5\nb\tnan\n"},
        ["--problem-type", "regression"],
        1,
        ["train.tsv, line 3: column 'label' should hold a finite number, but is 'nan'"],
    ),
    "one label only": ({"train.tsv": "text\tlabel\na\t1\nb\t1\n"}, [], 1, ["holds one label, '1'"]),
    "a file without rows": ({"train.tsv": "text\tlabel\n"}, [], 1, ["train.tsv has no rows"]),
    "no such file": ({}, ["--train", "gone.tsv"], 1, ["gone.tsv"]),
    "a recipe with three mistakes": (
        {"bad.toml": 'warmup = 1\nlearning_rte = 1e-5\nprecision = "int8"\n'},
        ["--recipe", "bad.toml"],
        2,
        [
            "bad.toml: ",
            "warmup should be less than 1, not 1",
            "learning_rte is no knob (meant: learning_rate?)",
            "precision should be",
        ],
    ),
    "an output folder that is not empty": ({"out/mine.txt": "mine"}, [], 1, ["out is already there"]),
    "a layer that is not there": ({}, ["--layers", "0,2"], 2, ["layers names 2; the model's are 0 to 1"]),
    "layers that are no numbers": ({}, ["--layers", "first"], 2, ["--layers", "0,2,4"]),
    "texts longer than the model reads": (
        {},
        ["--max-length", "512"],
        2,
        ["max_length is 512; the model reads 64"],
    ),
    "all rows held back": (
        {},
        ["--hold-back", "2"],
        2,
        ["hold_back 2 leaves none of the 2 rows of train.tsv"],
    ),
    "more rows than there are": ({}, ["--max-rows", "3"], 2, ["train.tsv has 2 rows, and 3 were asked for"]),
    "no such model": ({}, ["--model", "gone"], 1, ["gone"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_whatever_is_wrong_is_named_and_nothing_is_left(here: Path, distilbert: Command, name: str) -> None:
    files, line, code, says = WRONG[name]
    tiny_checkpoint(here / "start")
    for path, content in ({"train.tsv": ROWS} | files).items():
        (here / path).parent.mkdir(exist_ok=True)
        (here / path).write_text(content)
    before = contents(here)
    outcome = distilbert(
        "finetune", "--model", "start", "--train", "train.tsv", "--out", "out", *QUICK, *line
    )
    assert outcome.code == code, outcome.err
    message = complaint(outcome.err)
    for words in says:
        assert words in message
    assert contents(here) == before


def test_a_disk_that_is_full_leaves_the_last_state(start: Path, distilbert: Command) -> None:
    line = ["finetune", "--model", "start", "--train", "train.tsv", "--out", "out", *QUICK, "--save-steps", 1]
    limited = ("sh", "-c", 'ulimit -f 200 && exec "$@"', "sh")
    outcome = distilbert.process(*line, prefix=limited)
    assert outcome.code == 1
    assert "out.partial" in complaint(outcome.err)
    assert "cannot be written: File too large" in complaint(outcome.err)
    assert not list(start.glob("**/*.partial/.*"))
