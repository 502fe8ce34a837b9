"""The knobs of training as flags: what each takes, and what it is. One that is not given leaves the recipe's word."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Knobs = Mapping[str, dict[str, Any]]  # by name: click's settings of the option


def names(_: click.Context, __: click.Parameter, value: str | None) -> list[str] | None:
    """What stands between commas."""
    return None if value is None else [name.strip() for name in value.split(",")]


def numbers(_: click.Context, __: click.Parameter, value: str | None) -> list[int] | None:
    """The numbers between commas."""
    try:
        return None if value is None else [int(number) for number in value.split(",")]
    except ValueError:
        raise click.BadParameter("Give numbers between commas, such as 0,2,4.") from None


def given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Those flags that were given."""
    return {name: value for name, value in flags.items() if value is not None}


PROBLEMS = ["single_label_classification", "multi_label_classification", "regression"]
ROWS: Knobs = {
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
    "labels": {
        "metavar": "A,B,…",
        "callback": names,
        "help": "Names of the labels, in the order of their ids.",
    },
    "max_rows": {"type": int, "metavar": "ROWS", "help": "Train on so many rows only, drawn at random."},
    "max_length": {"type": int, "metavar": "TOKENS", "help": "Cut longer texts [128]."},
}
LOOP: Knobs = {
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


def training_options(knobs: Knobs) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command `--recipe`, `--out`, `--resume` and a flag for each knob."""

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        for name, settings in reversed([*knobs.items()]):
            command = click.option(f"--{name.replace('_', '-')}", name, **settings)(command)
        for option in (_RESUME, _OUT, _RECIPE):
            command = option(command)
        return command

    return decorated


_RECIPE = click.option(
    "--recipe",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML with the knobs below, with _ for -; flags go before it.",
)
_OUT = click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="FOLDER", help="The checkpoint to make."
)
_RESUME = click.option("--resume", is_flag=True, help="Go on with an --out that was interrupted.")
