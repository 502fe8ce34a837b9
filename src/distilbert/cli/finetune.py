"""`distilbert finetune`: train a checkpoint on rows of a table."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distilbert.cli.training import is_main_process, one_voice, safe_steps_told, shown_training
from distilbert.errors import NotInstalledError

if TYPE_CHECKING:
    from collections.abc import Callable


def _names(_: click.Context, __: click.Parameter, value: str | None) -> list[str] | None:
    return None if value is None else [name.strip() for name in value.split(",")]


def _numbers(_: click.Context, __: click.Parameter, value: str | None) -> list[int] | None:
    try:
        return None if value is None else [int(number) for number in value.split(",")]
    except ValueError:
        raise click.BadParameter("Give numbers between commas, such as 0,2,4.") from None


PROBLEMS = ["single_label_classification", "multi_label_classification", "regression"]
# The knobs of a recipe as flags: what each takes, and what it is. A flag that is not given leaves the recipe's word.
KNOBS: dict[str, dict[str, Any]] = {
    "model": {"metavar": "CHECKPOINT", "help": "What to start from: a folder, or a model on the hub."},
    "task": {"type": click.Choice(["text-classification", "fill-mask"]), "help": "[text-classification]"},
    "layers": {"metavar": "0,2,4", "callback": _numbers, "help": "Start from these of its layers only."},
    "train": {"metavar": "FILE", "help": "Rows to learn from: .tsv, .csv, .jsonl (.gz too) or .parquet."},
    "dev": {"metavar": "FILE", "help": "Held-back rows, which choose the checkpoint: no published dev set."},
    "hold_back": {
        "type": int,
        "metavar": "ROWS",
        "help": "Instead of --dev: hold back so many rows of --train.",
    },
    "column": {"help": "The column with the texts [text]."},
    "pair_column": {"help": "The column with each text's second half, for pairs."},
    "label_column": {"help": "The column with the labels [label]."},
    "problem_type": {"type": click.Choice(PROBLEMS), "help": "[single_label_classification]"},
    "labels": {
        "metavar": "A,B,…",
        "callback": _names,
        "help": "Names of the labels, in the order of their ids.",
    },
    "max_rows": {"type": int, "metavar": "ROWS", "help": "Train on so many rows only, drawn at random."},
    "max_length": {"type": int, "metavar": "TOKENS", "help": "Cut longer texts [128]."},
    "mask_share": {"type": float, "help": "fill-mask: share of tokens to guess [0.15]."},
    "epochs": {"type": int, "help": "Times that every row is seen [3]."},
    "batch_size": {"type": int, "metavar": "ROWS", "help": "Rows a step, of all processes together [32]."},
    "micro_batch": {"type": int, "metavar": "ROWS", "help": "Rows at once in one process, to save memory."},
    "learning_rate": {"type": float, "help": "Its peak [5e-05]."},
    "warmup": {
        "type": float,
        "metavar": "SHARE",
        "help": "Share of the steps in which the rate rises [0.06].",
    },
    "weight_decay": {"type": float, "help": "AdamW's [0.01]."},
    "max_grad_norm": {"type": float, "help": "Scale longer gradients to this [1.0]."},
    "dropout": {"type": float, "help": "In encoder, attention and head [as the model has it]."},
    "seed": {"type": int, "help": "[0]"},
    "precision": {"type": click.Choice(["auto", "bfloat16", "float32"]), "help": "[auto]"},
    "device": {"type": click.Choice(["auto", "cpu"]), "help": "[auto]: a GPU if there is one."},
    "evaluations": {
        "type": int,
        "metavar": "N",
        "help": "Times an epoch that held-back rows are scored [1].",
    },
    "keep": {"type": click.Choice(["best", "last"]), "help": "Which step's weights to keep [best]."},
    "save_minutes": {"type": float, "metavar": "MINUTES", "help": "Between two saves of the state [5.0]."},
    "save_steps": {"type": int, "metavar": "STEPS", "help": "Between two saves of the state, too."},
}


def knobs(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command a flag for each knob."""
    for name, settings in reversed(KNOBS.items()):
        command = click.option(f"--{name.replace('_', '-')}", name, **settings)(command)
    return command


@click.command(
    epilog="""\b
Examples:
  distilbert finetune --model my-checkpoint/ --train train.tsv --column sentence --hold-back 500 --out my-classifier/
  distilbert finetune --recipe recipe.toml --seed 1 --out my-other/
  distilbert finetune --recipe recipe.toml --seed 1 --out my-other/ --resume
  accelerate launch --multi_gpu --num_processes 2 -m distilbert finetune --recipe recipe.toml --out my-third/"""
)
@click.option(
    "--recipe",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML with the knobs below, with _ for -; flags go before it.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="FOLDER", help="The checkpoint to make."
)
@click.option("--resume", is_flag=True, help="Go on with an --out that was interrupted.")
@knobs
def command(recipe: Path | None, out: Path, resume: bool, **flags: Any) -> None:
    """Train a checkpoint on labelled rows (or, to fill masks, on texts) and save it as FOLDER.

    Until it is done the run is in FOLDER.partial, from which --resume goes on after whatever stopped it.
    """
    if find_spec("torch") is None or find_spec("accelerate") is None or find_spec("pydantic") is None:
        raise NotInstalledError(
            "distilbert finetune needs PyTorch, accelerate and pydantic, and they are not all installed.",
            "Install them with: pip install 'distilbert[train]'",
        )
    with one_voice():
        from distilbert.training.finetune import finetune
        from distilbert.training.recipe import FinetuneRecipe, read_recipe

        read = read_recipe(
            FinetuneRecipe, recipe, {name: value for name, value in flags.items() if value is not None}
        )
        with safe_steps_told(out), shown_training() as tell:
            result = finetune(read, out, resume=resume, tell=tell)
    if is_main_process():
        figures = ", ".join(f"{name} {value:.4f}" for name, value in result["held_back"].items())
        click.echo(
            f"{out}: step {result['kept_step']:,} of {result['steps']:,}{': ' * bool(figures)}{figures}"
        )
