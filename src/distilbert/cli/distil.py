"""`distilbert distil`: teach a student half its size what a teacher answers, or the language that it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from distilbert.cli.knobs import LOOP, PROBLEMS, ROWS, given, numbers, training_options
from distilbert.cli.training import needs_training, one_voice, safe_steps_told, shown_training, tell_result

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.cli.knobs import Knobs

KNOBS: Knobs = {
    "teacher": {
        "metavar": "MODEL",
        "help": "A classifier, BERT or another that transformers runs: a folder, or a model on the hub. Without one, "
        "--train has a column for each of --labels with its probability. fill-mask: one that guesses words.",
    },
    "task": {
        "type": click.Choice(
            ["text-classification", "token-classification", "question-answering", "fill-mask"]
        ),
        "help": "[text-classification]",
    },
    "data": {
        "metavar": "FOLDER",
        "help": "fill-mask: texts to learn from, as distilbert prepare makes them.",
    },
    "max_texts": {
        "type": int,
        "metavar": "TEXTS",
        "help": "fill-mask: only so many of them, drawn at random.",
    },
    "mask_share": {"type": float, "help": "fill-mask: share of tokens to guess [0.15]."},
    "unlabelled": {
        "multiple": True,
        "metavar": "FILE",
        "help": "More texts, for the teacher to label; can be given several times.",
    },
    "unlabelled_column": {"help": "The column with their texts [--column's; of a tagger: text]."},
    "max_unlabelled": {
        "type": int,
        "metavar": "ROWS",
        "help": "Take so many rows of each only, drawn at random.",
    },
    "student": {"metavar": "CHECKPOINT", "help": "Start from its layers instead of the teacher's."},
    "n_layers": {
        "type": int,
        "metavar": "N",
        "help": "Layers of the student, evenly spaced [half the teacher's; all of --student's].",
    },
    "layers": {"metavar": "0,2,4", "callback": numbers, "help": "Start from these layers, counted from 0."},
    "hidden_dim": {
        "type": int,
        "metavar": "N",
        "help": "Keep so many neurons of each layer's feed-forward, those that matter most [all].",
    },
    "random_start": {"is_flag": True, "default": None, "help": "Start from new weights of that shape."},
    "temperature": {"type": float, "help": "Divides teacher's and student's logits in the soft loss [2.0]."},
    "soft_weight": {"type": float, "help": "Of the teacher's answers: T² · KL [1.0; fill-mask 5.0]."},
    "soft_on": {
        "type": click.Choice(["all", "masked"]),
        "help": "fill-mask: of which tokens; masked takes a sixth of the memory [all].",
    },
    "masked_weight": {"type": float, "help": "fill-mask: of the masked words themselves [2.0]."},
    "label_weight": {"type": float, "help": "Of the rows' own labels [0.0]."},
    "cosine_weight": {
        "type": float,
        "help": "Of the angle between last states of the first token (fill-mask: of all) [1.0; without a teacher 0.0].",
    },
    "logits_weight": {"type": float, "help": "Of the squared error of logits [0.0]."},
    "hidden_weight": {
        "type": float,
        "help": "Of the squared error of the first token's states after each layer [0.0].",
    },
    "problem_type": {"type": click.Choice(PROBLEMS), "help": "[the teacher's]"},
    **ROWS,
    "hold_back": ROWS["hold_back"]
    | {"help": "Instead of --dev: hold back so many rows of --train, or texts of --data."},
    "max_length": ROWS["max_length"] | {"help": "Cut longer texts; fill-mask: into pieces [128]."},
    **LOOP,
}


@click.command(
    epilog="""\b
Examples:
  distilbert distil --teacher my-classifier/ --train train.tsv --hold-back 500 --out my-student/
  distilbert distil --teacher my-classifier/ --train train.tsv --unlabelled more.txt --dev held_back.tsv --out s2/
  distilbert distil --train probabilities.csv --labels bad,good --student my-encoder/ --hold-back 500 --out s3/
  distilbert distil --recipe recipe.toml --seed 1 --out s4/ --resume
  distilbert distil --task fill-mask --teacher my-bert/ --data DATA/ --hold-back 500 --out s5/"""
)
@click.option(
    "--ask-again", is_flag=True, help="Have the teacher answer anew what this machine has its answers to."
)
@training_options(KNOBS)
def command(recipe: Path | None, out: Path, resume: bool, ask_again: bool, **flags: Any) -> None:
    """Teach a DistilBERT what a teacher answers to rows of a table, and save it as FOLDER.

    With --task fill-mask it learns from a corpus to guess words, as DistilBERT itself did: a start for any task.

    Until it is done the run is in FOLDER.partial, from which --resume goes on after whatever stopped it.
    """
    needs_training("distil")
    with one_voice():
        from distilbert.training.distil import distil
        from distilbert.training.recipe import read_distil_recipe

        flags["unlabelled"] = [*flags["unlabelled"]] or None
        read = read_distil_recipe(recipe, given(flags))
        with safe_steps_told(out), shown_training() as tell:
            result = distil(read, out, resume=resume, ask_again=ask_again, tell=tell)
    tell_result(out, result)
