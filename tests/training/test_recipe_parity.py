"""Recipes: TOML, flags and keyword arguments are one; whatever is wrong is told at once."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from distilbert.errors import DataError, OptionError
from distilbert.training.recipe import (
    DistilRecipe,
    FinetuneRecipe,
    GeneralRecipe,
    read_distil_recipe,
    read_recipe,
    write_toml,
)

pytestmark = pytest.mark.parity

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
LEAST = {"model": "m", "train": "t.tsv"}


def test_three_mistakes_are_all_named_with_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('model = "m"\ntrain = "t.tsv"\nepochs = 0\nlearning_rte = 1e-5\nprecision = "int8"\n')
    with pytest.raises(OptionError) as refused:
        read_recipe(FinetuneRecipe, path, {})
    fault = refused.value.fault
    assert str(path) in fault
    assert "epochs should be greater than or equal to 1, not 0" in fault
    assert "learning_rte is no knob (meant: learning_rate?)" in fault
    assert "precision should be 'auto', 'bfloat16' or 'float32', not 'int8'" in fault


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"train": "t.tsv"}, "model is missing"),
        (LEAST | {"epochs": "3"}, "epochs should be a valid integer, not '3'"),
        (LEAST | {"epochs": True}, "epochs should be a valid integer, not True"),
        (LEAST | {"learning_rate": float("nan")}, "learning_rate should be a finite number, not nan"),
        (LEAST | {"dev": "d.tsv", "hold_back": 5}, "dev and hold_back both say"),
        (LEAST | {"layers": []}, "layers must name at least one"),
        (LEAST | {"layers": [-1]}, "layers.0 should be greater than or equal to 0, not -1"),
        (LEAST | {"warmup": 1.0}, "warmup should be less than 1, not 1.0"),
        (LEAST | {"task": "token-classification", "column": "a"}, "column is no knob of task token-class"),
        (LEAST | {"task": "question-answering", "label_column": "a"}, "label_column is no knob of task"),
        (LEAST | {"task": "question-answering", "labels": ["a"]}, "labels is no knob of task question-ans"),
    ],
)
def test_a_mistake_is_named(values: dict[str, object], says: str) -> None:
    with pytest.raises(OptionError, match=r".") as refused:
        read_recipe(FinetuneRecipe, None, values)
    assert says in refused.value.fault


TAUGHT = {"teacher": "t", "train": "t.tsv"}
UNTAUGHT = {"labels": ["a", "b"], "student": "s", "train": "t.tsv"}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (TAUGHT | {"layers": [0], "n_layers": 1}, "layers and n_layers both say which layers to start from"),
        (TAUGHT | {"soft_weight": 0.0, "cosine_weight": 0.0}, "all weights are 0: there is nothing to learn"),
        (TAUGHT | {"soft_weight": -1.0}, "soft_weight should be greater than or equal to 0, not -1.0"),
        (TAUGHT | {"temperature": 0.0}, "temperature should be greater than 0, not 0.0"),
        (TAUGHT | {"student": "s", "hidden_dim": 9}, "hidden_dim keeps neurons that matter to the teacher"),
        ({"train": "t.tsv", "student": "s"}, "without a teacher, labels must name the columns"),
        ({"train": "t.tsv", "labels": ["a", "b"]}, "without a teacher, student must name a checkpoint"),
        (UNTAUGHT | {"unlabelled": ["u"]}, "without a teacher, nobody labels the unlabelled rows"),
        (UNTAUGHT | {"cosine_weight": 1.0}, "without a teacher, there are no states for cosine_weight"),
        (UNTAUGHT | {"problem_type": "regression"}, "a regression is what distilbert finetune is for"),
    ],
)
def test_a_mistake_about_a_student_is_named(values: dict[str, object], says: str) -> None:
    with pytest.raises(OptionError) as refused:
        read_recipe(DistilRecipe, None, values)
    assert says in refused.value.fault
    assert "distilbert distil --help" in refused.value.next_step


@pytest.mark.parametrize(
    ("values", "weights"),
    [
        (TAUGHT, {"soft": 1.0, "cosine": 1.0}),
        (TAUGHT | {"cosine_weight": 0.0, "hidden_weight": 2.0}, {"soft": 1.0, "hidden": 2.0}),
        (UNTAUGHT, {"soft": 1.0}),
    ],
)
def test_a_weight_of_zero_is_no_part_of_the_loss(
    values: dict[str, object], weights: dict[str, float]
) -> None:
    assert read_recipe(DistilRecipe, None, values).weights == weights


GENERAL = {"task": "fill-mask", "teacher": "t", "data": "d"}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (GENERAL | {"train": "t"}, "train is no knob of task fill-mask, but of text-classification"),
        (TAUGHT | {"data": "d"}, "data is no knob of task text-classification, but of fill-mask"),
        (TAUGHT | {"task": "question-answering", "labels": ["a"]}, "labels is no knob of task question-ans"),
        (TAUGHT | {"task": "question-answering", "unlabelled": ["u"]}, "unlabelled is no knob of task quest"),
        (GENERAL | {"wieght": 1.0}, "wieght is no knob"),
        ({"task": "fill-mask", "data": "d"}, "teacher is missing"),
        (GENERAL | {"soft_on": "some"}, "soft_on should be 'all' or 'masked', not 'some'"),
        (GENERAL | {"layers": [0], "n_layers": 1}, "layers and n_layers both say which layers"),
        (GENERAL | {"layers": []}, "layers must name at least one"),
        (
            GENERAL | dict.fromkeys(("soft_weight", "masked_weight", "cosine_weight"), 0.0),
            "all weights are 0: there is nothing to learn",
        ),
        ({"task": "fun", "teacher": "t", "train": "t"}, "task should be 'text-classification'"),
    ],
)
def test_a_knob_of_another_task_is_named(values: dict[str, object], says: str) -> None:
    with pytest.raises(OptionError) as refused:
        read_distil_recipe(None, values)
    assert says in refused.value.fault
    assert "distilbert distil --help" in refused.value.next_step


def test_the_released_weights_are_the_defaults_of_general_distillation() -> None:
    recipe = read_distil_recipe(None, GENERAL)
    assert isinstance(recipe, GeneralRecipe)
    assert (recipe.weights, recipe.temperature) == ({"soft": 5.0, "masked": 2.0, "cosine": 1.0}, 2.0)
    assert read_distil_recipe(None, GENERAL | {"masked_weight": 0.0}).weights.keys() == {"soft", "cosine"}


def test_flags_go_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('model = "m"\ntrain = "t.tsv"\nepochs = 2\nseed = 5\n')
    recipe = read_recipe(FinetuneRecipe, path, {"epochs": 7})
    assert (recipe.epochs, recipe.seed) == (7, 5)


@pytest.mark.parametrize("content", ["epochs = ", "\xff"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match="is not TOML"):
        read_recipe(FinetuneRecipe, path, {})


def test_what_is_written_is_read_back_equal(tmp_path: Path) -> None:
    recipe = FinetuneRecipe(
        model='a "quoted" \\ path',
        train="t",
        layers=[0, 2],
        labels=["é", "\n"],
        learning_rate=1e-7,
        dropout=0.0,
    )
    path = tmp_path / "recipe.toml"
    path.write_text(write_toml(recipe.model_dump()), encoding="utf-8")
    assert read_recipe(FinetuneRecipe, path, {}) == recipe


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_comments_every_knob_it_sets(path: Path) -> None:
    finetunes = "\nmodel =" in path.read_text()
    recipe = read_recipe(FinetuneRecipe, path, {}) if finetunes else read_distil_recipe(path, {})
    kind = type(recipe)
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    assert all("#" in line for line in lines if "=" in line)
    assert {line.split("=")[0].strip() for line in lines if "=" in line} == set(
        tomllib.loads(path.read_text())
    )
    assert set(kind.model_fields) <= set(path.read_text().replace("# ", "").replace("=", " ").split())
