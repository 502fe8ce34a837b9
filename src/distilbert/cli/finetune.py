"""`distilbert finetune`: train a checkpoint on rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from distilbert.cli.knobs import LOOP, PROBLEMS, ROWS, given, numbers, training_options
from distilbert.cli.training import needs_training, one_voice, safe_steps_told, shown_training, tell_result

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.cli.knobs import Knobs

KNOBS: Knobs = {
    "model": {"metavar": "CHECKPOINT", "help": "What to start from: a folder, or a model on the hub."},
    "task": {
        "type": click.Choice(
            ["text-classification", "token-classification", "question-answering", "fill-mask"]
        ),
        "help": "[text-classification]",
    },
    "layers": {
        "metavar": "0,2,4",
        "callback": numbers,
        "help": "Start from these of its layers only, counted from 0.",
    },
    "problem_type": {"type": click.Choice(PROBLEMS), "help": "[single_label_classification]"},
    "mask_share": {"type": float, "help": "fill-mask: share of tokens to guess [0.15]."},
    "freeze_body": {
        "is_flag": True,
        "default": None,
        "help": "Train the head only: the encoder stays as it is.",
    },
    **ROWS,
    **LOOP,
}


@click.command(
    epilog="""\b
Examples:
  distilbert finetune --model my-checkpoint/ --train train.tsv --column sentence --hold-back 500 --out my-classifier/
  distilbert finetune --recipe recipe.toml --seed 1 --out my-other/
  distilbert finetune --recipe recipe.toml --seed 1 --out my-other/ --resume
  accelerate launch --multi_gpu --num_processes 2 -m distilbert finetune --recipe recipe.toml --out my-third/"""
)
@training_options(KNOBS)
def command(recipe: Path | None, out: Path, resume: bool, **flags: Any) -> None:
    """Train a checkpoint on labelled rows (or, to fill masks, on texts) and save it as FOLDER.

    Until it is done the run is in FOLDER.partial, from which --resume goes on after whatever stopped it.
    """
    needs_training("finetune")
    with one_voice():
        from distilbert.training.finetune import finetune
        from distilbert.training.recipe import FinetuneRecipe, read_recipe

        read = read_recipe(FinetuneRecipe, recipe, given(flags))
        with safe_steps_told(out), shown_training() as tell:
            result = finetune(read, out, resume=resume, tell=tell)
    tell_result(out, result)
