"""Recipes: every knob of a training run, with its unit, its default and its rule.

A recipe is a TOML file, the flags of a command, or keyword arguments; all three end in the classes here, and whatever
is wrong is told at once, by name.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from distilbert.errors import DataError, OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0)]
MaskShare = Annotated[float, Field(gt=0, lt=1)]
Layers = list[Annotated[int, Field(ge=0)]]
ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]


Recipe = TypeVar("Recipe", bound="LoopRecipe")


class LoopRecipe(BaseModel):
    """The knobs of the loop itself, whatever it trains."""

    command: ClassVar[str]  # whose knobs they are
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


class StartRecipe(LoopRecipe):
    """The knobs of what is trained, whatever it learns from."""

    max_length: Annotated[int, Field(ge=4)] = 128  # tokens it reads at once, special ones included
    layers: Layers | None = None  # start from these of its layers, in this order; None: see the command

    @model_validator(mode="after")
    def _some_layers(self) -> Self:
        if self.layers is not None and not self.layers:
            raise ValueError("layers must name at least one layer")
        return self


class LabelledRecipe(StartRecipe):
    """The knobs of labelled texts. What is longer than `max_length` is cut off."""

    train: str  # rows to learn from
    dev: str | None = None  # held-back rows, to choose the checkpoint: no published dev set
    hold_back: Annotated[int, Field(ge=0)] = 0  # rows of train to hold back instead of dev
    labels: list[str] | None = None  # in the order of the logits; None: the model's, or train's sorted
    max_rows: Count | None = None  # of train only so many rows, drawn at random; None: all

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.dev is not None and self.hold_back:
            raise ValueError("dev and hold_back both say which rows are held back: leave one out")
        return self


class RowsRecipe(LabelledRecipe):
    """The knobs of tables with texts, or pairs, and labels."""

    column: str = "text"  # the column with the texts
    pair_column: str | None = None  # the column with each text's second half
    label_column: str = "label"  # the column with the labels


class FinetuneRecipe(RowsRecipe):
    """The knobs of `distilbert finetune`."""

    command: ClassVar[str] = "finetune"

    model: str  # the checkpoint to start from: a folder, or a name on the hub
    task: Literal["text-classification", "token-classification", "question-answering", "fill-mask"] = (
        "text-classification"
    )
    problem_type: ProblemType = "single_label_classification"
    mask_share: MaskShare = 0.15  # fill-mask: share of tokens to guess
    freeze_body: bool = False  # train the head only; the encoder stays as it is, without dropout

    @model_validator(mode="after")
    def _suits_its_task(self) -> Self:
        of_classifiers = ("column", "pair_column", "label_column", "problem_type")
        others = {"token-classification": of_classifiers, "question-answering": (*of_classifiers, "labels")}
        for name in others.get(self.task, ()):
            if getattr(self, name) != FinetuneRecipe.model_fields[name].default:
                raise ValueError(f"{name} is no knob of task {self.task}, but of text-classification")
        return self


class StudentRecipe(StartRecipe):
    """The knobs of a student, whatever it is taught. A weight of 0 leaves a loss out, and its work."""

    command: ClassVar[str] = "distil"

    student: str | None = None  # checkpoint to start from instead of the teacher
    n_layers: Count | None = None  # evenly spaced; None: half the teacher's, or all of student's
    random_start: bool = False  # start from new weights of that shape
    temperature: Annotated[float, Field(gt=0)] = 2.0  # divides both's logits in the soft loss

    @model_validator(mode="after")
    def _which_layers(self) -> Self:
        if self.layers is not None and self.n_layers is not None:
            raise ValueError("layers and n_layers both say which layers to start from: leave one out")
        if not self.weights:
            raise ValueError("all weights are 0: there is nothing to learn")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """The parts of the loss that count, by their names in the objective."""
        return {part: weight for part, weight in self._all_weights().items() if weight}

    def _all_weights(self) -> dict[str, float]:
        raise NotImplementedError


class TaughtRecipe(LabelledRecipe, StudentRecipe):
    """The knobs of a student that learns what a teacher says of texts, labelled or not."""

    unlabelled: list[str] = []  # tables of more texts, for the teacher to label
    unlabelled_column: str | None = None  # the column with their texts; None: as in train, of taggers "text"
    max_unlabelled: Count | None = None  # of each only so many rows, drawn at random; None: all


class DistilRecipe(RowsRecipe, TaughtRecipe):
    """The knobs of `distilbert distil`, whose student learns what a classifier says of rows."""

    teacher: str | None = None  # a classifier's folder, or its name on the hub; None: train's probabilities
    task: Literal["text-classification"] = "text-classification"
    problem_type: ProblemType | None = None  # None: the teacher's; without one single_label_classification
    hidden_dim: Count | None = None  # neurons to keep of each layer's feed-forward; None: all
    soft_weight: Weight = 1.0  # T² · KL from the teacher's answers; of regression their squared error
    label_weight: Weight = 0.0  # the labels' own loss, where rows have labels
    cosine_weight: Weight | None = None  # 1 - cos of the last [CLS] states; None: 1, without a teacher 0
    logits_weight: Weight = 0.0  # squared error of the logits
    hidden_weight: Weight = 0.0  # squared error of the [CLS] states after each layer

    @model_validator(mode="after")
    def _student(self) -> Self:
        if self.hidden_dim is not None and self.student is not None:
            raise ValueError(
                "hidden_dim keeps neurons that matter to the teacher, so student must be left out"
            )
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

    def _all_weights(self) -> dict[str, float]:
        """By their names in `training.distillation`."""
        cosine = float(self.teacher is not None) if self.cosine_weight is None else self.cosine_weight
        return {
            "soft": self.soft_weight,
            "label": self.label_weight,
            "cosine": cosine,
            "logits": self.logits_weight,
            "hidden": self.hidden_weight,
        }


class GeneralRecipe(StudentRecipe):
    """The knobs of `distilbert distil --task fill-mask`, whose student learns a language: `training.triple`.

    The weights and the temperature are those that DistilBERT was released with.
    """

    teacher: str  # a model with a masked-LM head: a folder, or its name on the hub
    task: Literal["fill-mask"] = "fill-mask"
    data: str  # the texts: a folder that distilbert prepare made
    hold_back: Annotated[int, Field(ge=0)] = 0  # texts to hold back, whose masked words choose the checkpoint
    max_texts: Count | None = None  # learn from so many texts only, drawn at random; None: all
    mask_share: MaskShare = 0.15  # of tokens to guess
    soft_weight: Weight = 5.0  # T² · KL from the teacher's guesses
    soft_on: Literal["all", "masked"] = "all"  # of which tokens; masked takes a sixth of the memory
    masked_weight: Weight = 2.0  # cross entropy of the masked tokens
    cosine_weight: Weight = 1.0  # 1 - cos of the last states of all tokens

    def _all_weights(self) -> dict[str, float]:
        """By their names in `training.triple`."""
        return {"soft": self.soft_weight, "masked": self.masked_weight, "cosine": self.cosine_weight}


class ReaderRecipe(TaughtRecipe):
    """The knobs of `distilbert distil` for taggers and answerers, which read every token (`training.readers`)."""

    teacher: str  # a tagger, or an answerer: a folder, or its name on the hub
    task: Literal["token-classification", "question-answering"] = "token-classification"
    soft_weight: Weight = 1.0  # T² · KL from the teacher's answers
    label_weight: Weight = 0.0  # the labels' own loss
    cosine_weight: Weight = 1.0  # 1 - cos of the last states of all tokens

    @model_validator(mode="after")
    def _suits_its_task(self) -> Self:
        of_taggers = ("labels", "unlabelled", "unlabelled_column", "max_unlabelled")
        for name in of_taggers if self.task == "question-answering" else ():
            if getattr(self, name) != ReaderRecipe.model_fields[name].default:
                raise ValueError(f"{name} is no knob of task question-answering, but of token-classification")
        return self

    def _all_weights(self) -> dict[str, float]:
        """By their names in `training.readers`."""
        return {"soft": self.soft_weight, "label": self.label_weight, "cosine": self.cosine_weight}


def read_recipe(kind: type[Recipe], path: Path | None, flags: Mapping[str, Any]) -> Recipe:
    """Read a recipe of a kind from a TOML file, if given, and from flags, which go before it.

    Raises one `OptionError` that names every fault with its key, and `DataError` for a file that is no TOML.
    """
    return _checked(kind, _values(path, flags), path)


def read_distil_recipe(
    path: Path | None, flags: Mapping[str, Any]
) -> DistilRecipe | ReaderRecipe | GeneralRecipe:
    """As `read_recipe`: its `task` says of which of the kinds it is."""
    values = _values(path, flags)
    if values.get("task") == "fill-mask":
        return _checked(GeneralRecipe, values, path)
    if values.get("task") in ("token-classification", "question-answering"):
        return _checked(ReaderRecipe, values, path)
    return _checked(DistilRecipe, values, path)


def _values(path: Path | None, flags: Mapping[str, Any]) -> dict[str, Any]:
    return {**(_read_toml(path) if path else {}), **flags}


def _checked(kind: type[Recipe], values: Mapping[str, Any], path: Path | None) -> Recipe:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = [_fault(detail, kind) for detail in error.errors()]
        raise OptionError(
            f"{path or 'the command line'}: {'; '.join(faults)}.",
            f"Correct each; distilbert {kind.command} --help says what each knob is.",
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


_OF_TASKS: tuple[type[LoopRecipe], ...] = (DistilRecipe, ReaderRecipe, GeneralRecipe)


def _fault(detail: ErrorDetails, kind: type[LoopRecipe]) -> str:
    """One of pydantic's errors in our words."""
    key = ".".join(str(part) for part in detail["loc"] if isinstance(part, str | int))
    if detail["type"] == "missing":
        return f"{key} is missing"
    if detail["type"] == "extra_forbidden":
        if kind in _OF_TASKS and (others := [one for one in _OF_TASKS if key in one.model_fields]):
            task, of = (one.model_fields["task"].default for one in (kind, others[0]))
            return f"{key} is no knob of task {task}, but of {of}"
        close = difflib.get_close_matches(key, kind.model_fields, 1)
        return f"{key} is no knob{f' (meant: {close[0]}?)' if close else ''}"
    rule = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not key:
        return rule
    return f"{key} {rule[0].lower() + rule[1:]}, not {_brief(detail['input'])}"


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
