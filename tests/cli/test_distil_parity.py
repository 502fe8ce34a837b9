"""`distilbert distil` as a user has it: from a teacher and rows to a student, or a line of why not."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from bundles import sentences
from corpora import save_corpus
from situations import Command, complaint, contents, on_a_terminal
from small_runs import rows_file
from their_models import tiny_roberta
from tiny import tiny_checkpoint

from distilbert.cli.distil import KNOBS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.parity

QUICK = ["--epochs", 1, "--batch-size", 16, "--max-length", 32, "--device", "cpu"]
LINE = ["distil", "--teacher", "teacher", "--train", "train.tsv", "--dev", "dev.tsv", "--out", "out", *QUICK]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILBERT_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def start(here: Path) -> Path:
    """A folder with a teacher and rows."""
    tiny_checkpoint(here / "teacher", model_type="bert", n_layers=4)
    rows_file(here / "train.tsv", 64)
    rows_file(here / "dev.tsv", 16, seed=1)
    return here


def test_a_student_comes_out_that_score_compile_and_transformers_read(
    start: Path, distilbert: Command
) -> None:
    outcome = distilbert(*LINE, "--precision", "float32")
    assert outcome.code == 0, outcome.err
    assert re.fullmatch(r"out: step 4 of 4: loss \d+\.\d{4}, accuracy \d\.\d{4}\n", outcome.out)
    asked, epoch, held_back = outcome.err.splitlines()
    assert asked == "train.tsv: the teacher has answered 64 of 64 rows"
    assert re.match(r"epoch 1: loss [\d.]+, soft [\d.]+, cosine [\d.]+, [\d,]+ tokens/s", epoch)
    assert held_back.startswith("epoch 1, held-back rows: loss")
    assert not (start / "out.partial").exists()
    assert "its teacher was teacher." in (start / "out/README.md").read_text()
    trained = json.loads((start / "out/training.json").read_text())
    assert (trained["teacher"], trained["rows"], trained["held_back_rows"]) == ("teacher", 64, 16)
    assert len((start / "out/log.jsonl").read_text().splitlines()) == 5
    scored = json.loads(distilbert("score", "--model", "out", "--file", "dev.tsv", "--json").out)
    assert scored["accuracy"] == pytest.approx(trained["held_back"]["accuracy"])
    compiled = distilbert("compile", "out", "--out", "bundle", "--precision", "fp32")
    assert compiled.code == 0, compiled.err
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from distilbert import pipeline

    text = "not a good film"
    (ours,) = pipeline("text-classification", "bundle", top_k=None)([text])
    model = AutoModelForSequenceClassification.from_pretrained("out").eval()
    inputs = AutoTokenizer.from_pretrained("out")(text, return_tensors="pt")
    assert inputs.keys() == {"input_ids", "attention_mask"}  # no token types, which were its teacher's
    with torch.no_grad():
        theirs = model(**inputs).logits[0].softmax(-1)
    for answer in ours:
        assert answer["score"] == pytest.approx(
            float(theirs[model.config.label2id[answer["label"]]]), abs=1e-4
        )


def test_the_recipe_in_the_result_makes_the_same_result_again(start: Path, distilbert: Command) -> None:
    (start / "more.txt").write_text("a good film\n\nnot good at all\n")
    line = [*LINE, "--unlabelled", "more.txt", "--n-layers", 3, "--hidden-dim", 16, "--label-weight", 0.5]
    assert distilbert(*line, "--seed", 4).code == 0
    again = distilbert("distil", "--recipe", "out/recipe.toml", "--out", "b")
    assert "the teacher has answered" not in again.err
    assert (start / "out/model.safetensors").read_bytes() == (start / "b/model.safetensors").read_bytes()


def test_a_student_that_only_its_teacher_judges_is_said_to_agree(start: Path, distilbert: Command) -> None:
    (start / "texts.txt").write_text("".join(f"film {n}\n" for n in range(40)))
    line = [
        "distil",
        "--teacher",
        "teacher",
        "--train",
        "texts.txt",
        "--hold-back",
        8,
        "--out",
        "out",
        *QUICK,
    ]
    outcome = distilbert(*line)
    assert re.fullmatch(r"out: step 2 of 2: loss \d+\.\d{4}, agreement \d\.\d{4}\n", outcome.out), outcome.err
    assert re.search(
        r"agreement \d\.\d{4} with the teacher, on 8 rows", (start / "out/README.md").read_text()
    )


def test_a_terminal_shows_where_it_is(start: Path, distilbert: Command) -> None:
    code, shown = on_a_terminal(distilbert, *LINE, stream="stderr")
    assert code == 0, shown
    assert "4/4" in shown


def test_each_knob_of_a_recipe_is_a_flag_whose_help_tells_the_default() -> None:
    from distilbert.training.recipe import DistilRecipe, GeneralRecipe

    assert set(KNOBS) == {*DistilRecipe.model_fields, *GeneralRecipe.model_fields}
    for kind in (DistilRecipe, GeneralRecipe):
        for name, field in kind.model_fields.items():
            told = re.search(r"\[([^\]]+)\]", str(KNOBS[name].get("help")))
            if not field.is_required() and field.default not in (None, 0, []) and name != "task":
                assert told, name
                usual, _, of_fill_mask = told[1].partition("; fill-mask ")
                default = of_fill_mask if of_fill_mask and kind is GeneralRecipe else usual.split(";")[0]
                assert default == str(field.default), name


def test_a_student_learns_a_language_from_a_prepared_corpus(here: Path, distilbert: Command) -> None:
    tiny_checkpoint(here / "teacher", model_type="bert", head="masked-lm", n_layers=4)
    (here / "texts.txt").write_text("".join(f"{text}\n" for text in sentences(60, longest=12)))
    assert distilbert("prepare", "texts.txt", "--tokenizer", "teacher", "--out", "data").code == 0
    line = ["distil", "--task", "fill-mask", "--teacher", "teacher", "--data", "data", "--out", "out"]
    outcome = distilbert(*line, "--hold-back", 8, *QUICK)
    assert outcome.code == 0, outcome.err
    assert re.fullmatch(r"out: step \d of \d: loss \d+\.\d{4}\n", outcome.out)
    first, epoch, last = outcome.err.splitlines()
    assert first.startswith("epoch 0, held-back rows: loss")
    assert re.match(
        r"epoch 1: loss [\d.]+, soft [\d.]+, masked [\d.]+, cosine [\d.]+, [\d,]+ tokens/s", epoch
    )
    assert last.startswith("epoch 1, held-back rows: loss")
    assert "its teacher was teacher." in (here / "out/README.md").read_text()
    assert distilbert("compile", "out", "--out", "bundle", "--precision", "fp32").code == 0
    wrong = distilbert(*line, "--label-weight", 1)
    assert wrong.code == 2
    assert "label_weight is no knob of task fill-mask, but of text-classification" in wrong.err


def test_without_pytorch_the_extra_is_named(start: Path) -> None:
    hidden = "import importlib.util as u; find = u.find_spec; "
    hidden += "u.find_spec = lambda name, *rest: None if name == 'torch' else find(name, *rest); "
    line = [sys.executable, "-c", f"{hidden}from distilbert.cli import main; main()", *map(str, LINE)]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    assert "pip install 'distilbert[train]'" in complaint(ended.stderr)


def test_the_examples_of_the_help_work_as_they_are_printed(start: Path, distilbert: Command) -> None:
    from distilbert.cli.distil import command

    (start / "teacher").rename(start / "my-classifier")
    tiny_checkpoint(start / "my-encoder", head="none")
    rows_file(start / "train.tsv", 540)
    (start / "dev.tsv").rename(start / "held_back.tsv")
    (start / "more.txt").write_text("a good film\n")
    rows = "".join(f"film {n},0.{n % 10},{1 - n % 10 / 10}\n" for n in range(540))
    (start / "probabilities.csv").write_text(f"text,bad,good\n{rows}")
    (start / "recipe.toml").write_text('teacher = "my-classifier"\ntrain = "held_back.tsv"\nepochs = 1\n')
    tiny_checkpoint(start / "my-bert", model_type="bert", head="masked-lm")
    save_corpus(start / "DATA", sentences(540, longest=8))
    *whole, resumed, general = map(shlex.split, str(command.epilog).splitlines()[2:])
    outcome = distilbert(*general[1:], *QUICK, "--max-texts", 16)
    assert outcome.code == 0, outcome.err
    for line in whole:
        outcome = distilbert(*line[1:], *QUICK, *([] if "--max-length" in line else ["--max-rows", 16]))
        assert outcome.code == 0, outcome.err
    outcome = distilbert(*resumed[1:], "--max-length", 32)
    assert outcome.code == 0, outcome.err


# What a user can get wrong: file contents, further options, the exit code, and what the message says.
ROWS = "text\tlabel\na film\t0\nanother film\t1\n"
SHARES = ["--labels", "bad,good", "--student", "teacher", "--train", "shares.csv"]
ONLY_LABELS = ["--soft-weight", "0", "--cosine-weight", "0", "--label-weight", "1"]
WRONG: dict[str, tuple[dict[str, str], list[Any], int, list[str]]] = {
    "labels that the teacher does not have": (
        {"train.tsv": "text\tlabel\na\t0\nb\t7\n"},
        ["--label-weight", "1"],
        1,
        ["train.tsv, line 3: '7' is none of the 2 labels: NEGATIVE, POSITIVE"],
    ),
    "held-back labels that the teacher does not have": (
        {"dev.tsv": "text\tlabel\na\tgreat\n"},
        ["--dev", "dev.tsv"],
        1,
        ["dev.tsv, line 2: 'great' is none of the 2 labels: NEGATIVE, POSITIVE"],
    ),
    "probabilities that do not sum to one": (
        {"shares.csv": "text,bad,good\na,0.5,0.5\nb,0.9,0.9\n"},
        SHARES,
        1,
        ["shares.csv, line 3: the probabilities of bad, good sum to 1.8, not to 1."],
    ),
    "a negative probability": (
        {"shares.csv": "text,bad,good\na,-0.5,1.5\n"},
        SHARES,
        1,
        ["shares.csv, line 2: column 'bad' should hold a probability, from 0 to 1, but is -0.5."],
    ),
    "a probability that is no number": (
        {"shares.csv": "text,bad,good\na,half,0.5\n"},
        SHARES,
        1,
        ["shares.csv, line 2: column 'bad' should hold a", "'half'"],
    ),
    "probabilities in no such column": (
        {"shares.csv": "text,bad,fine\na,0.5,0.5\n"},
        SHARES,
        1,
        ["shares.csv, line 2: no column 'good'; its columns: 'text', 'bad', 'fine'"],
    ),
    "an empty file": ({"train.tsv": ""}, [], 1, ["train.tsv has no rows"]),
    "no such file": ({}, ["--train", "gone.tsv"], 1, ["gone.tsv"]),
    "no such unlabelled file": ({}, ["--unlabelled", "gone.txt"], 1, ["gone.txt"]),
    "an unlabelled file with other columns": (
        {"more.csv": "review\na film\n"},
        ["--unlabelled", "more.csv"],
        1,
        ["more.csv, line 2: no column 'text'; its columns: 'review'"],
    ),
    "an unlabelled file without a text": (
        {"more.csv": "text,stars\n,1\n ,2\n"},
        ["--unlabelled", "more.csv"],
        1,
        ["more.csv: column 'text' is empty in every row."],
    ),
    "more unlabelled rows than there are": (
        {"more.txt": "a film\n"},
        ["--unlabelled", "more.txt", "--max-unlabelled", "9"],
        2,
        ["more.txt has 1 rows, and 9 were asked for", "max_unlabelled"],
    ),
    "labels that count, in no such column": (
        {"train.tsv": "text\na\nb\n"},
        ["--label-weight", "1"],
        1,
        ["train.tsv, line 2: no column 'label'"],
    ),
    "labels to judge by, in no such column": (
        {},
        ["--label-column", "lable", "--hold-back", "2"],
        1,
        ["train.tsv, line 2: no column 'lable'"],
    ),
    "a layer that the teacher does not have": (
        {},
        ["--layers", "0,4"],
        2,
        ["layers names 4; the model's are 0 to 3.", "Name layers that are there"],
    ),
    "more layers than the teacher has": ({}, ["--n-layers", "9"], 2, ["n_layers is 9; the model has 4."]),
    "layers said twice": ({}, ["--n-layers", "1", "--layers", "0"], 2, ["layers and n_layers both say"]),
    "more neurons than there are": ({}, ["--hidden-dim", "65"], 2, ["hidden_dim is 65; the model's is 64."]),
    "no part of the loss": (
        {},
        ["--soft-weight", "0", "--cosine-weight", "0"],
        2,
        ["all weights are 0: there is nothing to learn"],
    ),
    "three labels for two": (
        {},
        ["--labels", "a,b,c"],
        2,
        ["labels names 3, but the teacher teacher has 2: NEGATIVE, POSITIVE."],
    ),
    "a number of two labels": ({}, ["--problem-type", "regression"], 2, ["the teacher teacher has 2 labels"]),
    "more tokens than the model reads": (
        {},
        ["--max-length", "512"],
        2,
        ["max_length is 512; the model reads 64 tokens."],
    ),
    "a teacher that is an encoder": (
        {},
        ["--teacher", "encoder"],
        2,
        ["encoder has no head that labels texts"],
    ),
    "no such teacher": ({}, ["--teacher", "gone"], 1, ["gone"]),
    "a teacher whose folder is no model's": ({"empty/a.txt": ""}, ["--teacher", "empty"], 1, ["empty"]),
    "a start from another architecture": (
        {},
        ["--teacher", "roberta"],
        2,
        ["The teacher roberta is neither BERT nor DistilBERT", "(student)"],
    ),
    "an output folder that is not empty": ({"out/mine.txt": "mine"}, [], 1, ["out is already there"]),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """Puts teachers into a folder."""
    made = tmp_path_factory.mktemp("models")
    tiny_checkpoint(made / "teacher", model_type="bert", n_layers=4)
    tiny_checkpoint(made / "encoder", head="none")
    tiny_roberta(made / "roberta")
    return lambda folder: [(folder / model.name).symlink_to(model) for model in made.iterdir()] and None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WRONG)
def test_whatever_is_wrong_is_named_and_nothing_is_left(
    here: Path, distilbert: Command, models: Callable[[Path], None], name: str
) -> None:
    files, line, code, says = WRONG[name]
    models(here)
    for path, content in ({"train.tsv": ROWS} | files).items():
        (here / path).parent.mkdir(exist_ok=True)
        (here / path).write_text(content)
    before = contents(here)
    taught = [] if "shares.csv" in line else ["--teacher", "teacher"]
    outcome = distilbert("distil", *taught, "--train", "train.tsv", "--out", "out", *QUICK, *line)
    assert outcome.code == code, outcome.err
    message = complaint(outcome.err)
    for words in says:
        assert words in message
    assert contents(here) == before


def test_a_disk_that_is_full_of_answers_says_where_they_go(start: Path, distilbert: Command) -> None:
    (start / "many.txt").write_text("".join(f"film {n}\n" for n in range(3000)))
    limited = ("sh", "-c", 'ulimit -f 8 && exec "$@"', "sh")
    line = ["distil", "--teacher", "teacher", "--train", "many.txt", "--out", "out", *QUICK]
    outcome = distilbert.process(*line, prefix=limited)
    assert outcome.code == 1
    assert "000000.npz cannot be written: File too large" in complaint(outcome.err)
    assert "DISTILBERT_CACHE" in complaint(outcome.err)
    assert not (start / "out").exists()
