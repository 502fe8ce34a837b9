"""Recipes: every knob of a training run, with its unit, its default and its rule.

A recipe is a TOML file, the flags of a command, or keyword arguments; all three end in the classes here, and whatever
is wrong is told at once, by name.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from distilbert.errors import DataError, OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0)]
Layers = list[Annotated[int, Field(ge=0)]]
ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]


Recipe = TypeVar("Recipe", bound="LoopRecipe")


class LoopRecipe(BaseModel):
    """The knobs of the loop itself, whatever it trains."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    epochs: Count = 3  # times that every row is seen
    batch_size: Count = 32  # rows a step, of all processes together
    micro_batch: Count | None = (
        None  # rows at once in one process, to save memory; None: its whole share of a batch
    )
    learning_rate: Annotated[float, Field(gt=0)] = 5e-5  # at its peak, after the warm-up
    warmup: Share = (
        0.06  # share of all steps in which the rate rises from 0; then it falls to 0, both linearly
    )
    weight_decay: Annotated[float, Field(ge=0)] = 0.01  # AdamW's, of matrices only: not of biases and norms
    max_grad_norm: Annotated[float, Field(gt=0)] | None = (
        1.0  # longer gradients are scaled to this; None: never
    )
    dropout: Share | None = None  # in encoder, attention and head; None: as the model's config says
    seed: Annotated[int, Field(ge=0)] = 0  # of new weights, the order of rows, dropout and masks
    precision: Literal["auto", "bfloat16", "float32"] = (
        "auto"  # auto: bfloat16 where the processor or GPU has it
    )
    device: Literal["auto", "cpu"] = "auto"  # auto: a GPU if there is one
    evaluations: Count = 1  # times an epoch that the held-back rows are scored
    keep: Literal["best", "last"] = (
        "best"  # which weights the result has: of the best evaluation, or the last step's
    )
    save_minutes: Annotated[float, Field(gt=0)] = (
        5.0  # between two saves of the state; also after each evaluation
    )
    save_steps: Count | None = None  # steps between two saves, beside the minutes


class RowsRecipe(LoopRecipe):
    """The knobs of tables with texts and labels."""

    train: str  # table of rows to learn from
    dev: str | None = None  # held-back rows, to choose the checkpoint: no published dev set
    hold_back: Annotated[int, Field(ge=0)] = 0  # rows of train to hold back instead of dev
    column: str = "text"  # the column with the texts
    pair_column: str | None = None  # the column with each text's second half
    label_column: str = "label"  # the column with the labels
    labels: list[str] | None = None  # in the order of the logits; None: the model's, or train's sorted
    max_rows: Count | None = None  # of train only so many rows, drawn at random; None: all
    max_length: Annotated[int, Field(ge=4)] = 128  # tokens a text or pair; the rest is cut off
    layers: Layers | None = None  # start from these of its layers, in this order; None: see the command

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.dev is not None and self.hold_back:
            raise ValueError("dev and hold_back both say which rows are held back: leave one out")
        if self.layers is not None and not self.layers:
            raise ValueError("layers must name at least one layer")
        return self


class FinetuneRecipe(RowsRecipe):
    """The knobs of `distilbert finetune`."""

    model: str  # the checkpoint to start from: a folder, or a name on the hub
    task: Literal["text-classification", "fill-mask"] = "text-classification"
    problem_type: ProblemType = "single_label_classification"
    mask_share: Annotated[float, Field(gt=0, lt=1)] = 0.15  # fill-mask: share of tokens to guess


class DistilRecipe(RowsRecipe):
    """The knobs of `distilbert distil`. A weight of 0 leaves a loss out, and its work (`training.losses`)."""

    teacher: str | None = None  # a classifier's folder, or its name on the hub; None: train's probabilities
    task: Literal["text-classification"] = "text-classification"
    problem_type: ProblemType | None = None  # None: the teacher's; without one single_label_classification
    unlabelled: list[str] = []  # tables of more texts, for the teacher to label
    unlabelled_column: str | None = None  # the column with their texts; None: as in train
    max_unlabelled: Count | None = None  # of each only so many rows, drawn at random; None: all
    student: str | None = None  # checkpoint to start from instead of the teacher
    n_layers: Count | None = None  # evenly spaced; None: half the teacher's, or all of student's
    hidden_dim: Count | None = None  # neurons to keep of each layer's feed-forward; None: all
    random_start: bool = False  # start from new weights of that shape
    temperature: Annotated[float, Field(gt=0)] = 2.0  # divides both's logits in the soft loss
    soft_weight: Weight = 1.0  # T² · KL from the teacher's answers; of regression their squared error
    label_weight: Weight = 0.0  # the labels' own loss, where rows have labels
    cosine_weight: Weight | None = None  # 1 - cos of the last [CLS] states; None: 1, without a teacher 0
    logits_weight: Weight = 0.0  # squared error of the logits
    hidden_weight: Weight = 0.0  # squared error of the [CLS] states after each layer

    @model_validator(mode="after")
    def _student(self) -> Self:
        if self.layers is not None and self.n_layers is not None:
            raise ValueError("layers and n_layers both say which layers to start from: leave one out")
        if self.hidden_dim is not None and self.student is not None:
            raise ValueError(
                "hidden_dim keeps neurons that matter to the teacher, so student must be left out"
            )
        if not self.weights:
            raise ValueError("all weights are 0: there is nothing to learn")
        if self.teacher is None and (fault := self._lacks_teacher()):
            raise ValueError(f"without a teacher, {fault}")
        return self

    def _lacks_teacher(self) -> str:
        faults = {
            "labels must name the columns with their probabilities": self.labels is None,
            "student must name a checkpoint to start from": self.student is None,
            "nobody labels the unlabelled rows": bool(self.unlabelled),
            "there are no states for cosine_weight or hidden_weight": self.cosine_weight
            or self.hidden_weight,
            "a regression is what distilbert finetune is for": self.problem_type == "regression",
        }
        return next((fault for fault, is_there in faults.items() if is_there), "")

    @property
    def weights(self) -> dict[str, float]:
        """The parts of the loss that count, by their names in `training.distillation`."""
        cosine = float(self.teacher is not None) if self.cosine_weight is None else self.cosine_weight
        weights = {
            "soft": self.soft_weight,
            "label": self.label_weight,
            "cosine": cosine,
            "logits": self.logits_weight,
            "hidden": self.hidden_weight,
        }
        return {part: weight for part, weight in weights.items() if weight}


def read_recipe(kind: type[Recipe], path: Path | None, flags: Mapping[str, Any]) -> Recipe:
    """Read a recipe of a kind from a TOML file, if given, and from flags, which go before it.

    Raises one `OptionError` that names every fault with its key, and `DataError` for a file that is no TOML.
    """
    values = {**(_read_toml(path) if path else {}), **flags}
    where = str(path) if path else "the command line"
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = [_fault(detail, kind) for detail in error.errors()]
        command = kind.__name__.removesuffix("Recipe").lower()
        raise OptionError(
            f"{where}: {'; '.join(faults)}.",
            f"Correct each; distilbert {command} --help says what each knob is.",
        ) from None


def write_toml(values: Mapping[str, Any]) -> str:
    """A flat table as TOML; None is left out, which is what leaving a knob out means.

    >>> print(write_toml({"epochs": 3, "train": "a.tsv", "layers": [0, 2], "dev": None}), end="")
    epochs = 3
    train = "a.tsv"
    layers = [0, 2]
    """
    lines = [f"{key} = {_toml_value(value)}" for key, value in values.items() if value is not None]
    return "".join(f"{line}\n" for line in lines)


def _toml_value(value: object) -> str:
    # JSON's strings, whole numbers, booleans and arrays of them are TOML's too; Python's floats (1e-05) are TOML's
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not TOML: {error}.", "See recipes/ for examples.") from error


def _fault(detail: ErrorDetails, kind: type[LoopRecipe]) -> str:
    """One of pydantic's errors in our words."""
    key = ".".join(str(part) for part in detail["loc"] if isinstance(part, str | int))
    if detail["type"] == "missing":
        return f"{key} is missing"
    if detail["type"] == "extra_forbidden":
        close = difflib.get_close_matches(key, kind.model_fields, 1)
        return f"{key} is no knob{f' (meant: {close[0]}?)' if close else ''}"
    rule = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not key:
        return rule
    return f"{key} {rule[0].lower() + rule[1:]}, not {_brief(detail['input'])}"


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
