"""The loop: whoever computes which rows, and however often it is killed, a run takes the same steps."""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from small_runs import knobs, launched, log_of, run_killed, run_together

from distilbert.errors import CheckpointError, OptionError, StorageError, TrainingError
from distilbert.training.finetune import finetune
from distilbert.training.loop import adamw, evaluation_steps, learning_rate
from distilbert.training.recipe import FinetuneRecipe, write_toml

if TYPE_CHECKING:
    from collections.abc import Callable

    from distilbert.training.events import Event

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::UserWarning")]


OF_THE_MACHINE = ("seconds", "tokens_a_second", "memory_mb")


class Stop(Exception):
    pass


def stop_after(step: int) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        if event.step == step:
            raise Stop

    return tell


def run(
    folder: Path, name: str = "out", *, resume: bool = False, tell: Any = lambda _: None, **changes: Any
) -> Path:
    out = folder / name
    finetune(FinetuneRecipe(**knobs(folder, **changes)), out, resume=resume, tell=tell)
    return out


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "model.safetensors")


def assert_same_weights(a: Path, b: Path) -> None:
    ours, theirs = weights(a), weights(b)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.tobytes() == theirs[name].tobytes(), name


def figures(folder: Path) -> list[dict[str, Any]]:
    """The log, without what depends on the machine."""
    return [
        {name: value for name, value in line.items() if name not in OF_THE_MACHINE} for line in log_of(folder)
    ]


def test_a_model_learns_what_its_rows_say(tmp_path: Path) -> None:
    out = run(tmp_path, epochs=8, rows=200, learning_rate=3e-3)
    first, *_, last = [line for line in log_of(out) if "evaluation" in line]
    assert first["accuracy"] < last["accuracy"] >= 0.9
    assert all(50 < line["memory_mb"] < 10_000 for line in log_of(out) if "step" in line)


@pytest.mark.parametrize("step", [3, 10, 13])
def test_a_run_that_was_stopped_ends_with_the_same_weights_and_log(tmp_path: Path, step: int) -> None:
    whole = run(tmp_path, "whole", keep="last", save_steps=2)
    with pytest.raises(Stop):
        run(tmp_path, "stopped", keep="last", save_steps=2, tell=stop_after(step))
    assert not (tmp_path / "stopped").exists()
    stopped = run(tmp_path, "stopped", keep="last", save_steps=2, resume=True)
    assert_same_weights(whole, stopped)
    assert figures(whole) == figures(stopped)
    assert not (tmp_path / "stopped.partial").exists()


def test_a_run_killed_at_a_random_moment_ends_with_the_same_weights(tmp_path: Path) -> None:
    assert run_killed(knobs(tmp_path, save_steps=3), tmp_path / "whole", []) == [0]
    ended = run_killed(knobs(tmp_path, save_steps=3), tmp_path / "killed", [(random.randint(4, 19), 5)])
    assert ended == [signal.SIGKILL, 0]
    assert_same_weights(tmp_path / "whole", tmp_path / "killed")
    assert figures(tmp_path / "whole") == figures(tmp_path / "killed")


@pytest.mark.full
def test_a_run_killed_at_five_random_moments_ends_with_the_same_weights(tmp_path: Path) -> None:
    settings = {"save_steps": 2, "evaluations": 3, "epochs": 12, "precision": "bfloat16"}
    steps = sorted(random.sample(range(1, 60), 5))  # of 120: the last kill too comes long before the end
    kills = [(step, random.uniform(0, 60)) for step in steps]
    undisturbed = run_killed(knobs(tmp_path, **settings), tmp_path / "whole", [])
    ended = run_killed(knobs(tmp_path, **settings), tmp_path / "killed", kills)
    assert undisturbed == [0], kills
    assert ended == [signal.SIGKILL] * 5 + [0], kills
    assert_same_weights(tmp_path / "whole", tmp_path / "killed")
    assert figures(tmp_path / "whole") == figures(tmp_path / "killed")


def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    settings = {
        "dropout": 0.0,
        "batch_size": 7,
        "rows": 50,
    }  # the last batch has one row: one process has none
    alone = run(tmp_path, "alone", **settings)
    settings.pop("rows")
    run_together(knobs(tmp_path, **settings), tmp_path / "together")
    losses = [[line["loss"] for line in log_of(out)] for out in (alone, tmp_path / "together")]
    assert np.abs(np.subtract(*losses)).max() <= 1e-4


@pytest.mark.full
def test_accelerate_launches_two_processes_that_take_fifty_steps_of_one_and_resume(tmp_path: Path) -> None:
    settings = knobs(tmp_path, dropout=0.0, epochs=5, save_steps=20)
    alone = run(tmp_path, "alone", dropout=0.0, epochs=5, save_steps=20)
    (tmp_path / "recipe.toml").write_text(write_toml(settings))
    with pytest.raises(Stop):  # begun by one, gone on with by two
        run(tmp_path, "together", dropout=0.0, epochs=5, save_steps=20, tell=stop_after(25))
    told = launched(tmp_path, "finetune", "--recipe", "recipe.toml", "--out", "together", "--resume")
    assert told.count("epoch 5:") == 1  # one of them speaks
    assert json.loads((tmp_path / "together" / "training.json").read_text())["device"] == "cpu × 2"
    losses = [[line["loss"] for line in log_of(out)] for out in (alone, tmp_path / "together")]
    assert len(losses[0]) >= 50
    assert np.abs(np.subtract(*losses)).max() <= 1e-4


def test_pieces_of_a_batch_make_the_steps_of_the_whole(tmp_path: Path) -> None:
    whole, pieces = (
        run(tmp_path, name, dropout=0.0, micro_batch=size) for name, size in [("a", None), ("b", 3)]
    )
    for name in ("loss", "gradient"):
        ours, theirs = ([line[name] for line in log_of(out) if "step" in line] for out in (whole, pieces))
        np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def test_another_seed_makes_other_weights(tmp_path: Path) -> None:
    a, b = (run(tmp_path, name, seed=seed, keep="last") for name, seed in [("a", 0), ("b", 1)])
    assert any((array != weights(b)[name]).any() for name, array in weights(a).items())


def test_the_best_evaluation_is_kept_unless_the_last_step_is_asked_for(tmp_path: Path) -> None:
    rates = {
        "learning_rate": 0.05,
        "epochs": 4,
        "evaluations": 2,
        "seed": 3,
    }  # so high that the end is not the best
    best, last = (run(tmp_path, keep, keep=keep, **rates) for keep in ("best", "last"))
    scores = {line["evaluation"]: line["accuracy"] for line in log_of(best) if "evaluation" in line}
    kept = max(scores, key=lambda step: (scores[step], -step))
    assert json.loads((best / "training.json").read_text())["kept_step"] == kept
    assert json.loads((last / "training.json").read_text())["kept_step"] == 40
    assert (kept == 40) == all(
        np.array_equal(array, weights(last)[name]) for name, array in weights(best).items()
    )


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"epochs": 3}, OptionError, "another epochs: 2, now 3"),
        ({"learning_rate": 2e-3}, OptionError, "another learning_rate: 0.001, now 0.002"),
        ({"labels": ["0", "1"]}, OptionError, "another labels: None, now"),
    ],
)
def test_a_run_resumed_otherwise_is_refused(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(Stop):
        run(tmp_path, save_steps=2, tell=stop_after(5))
    with pytest.raises(error, match=says):
        run(tmp_path, resume=True, **{"save_steps": 2, **changes})
    assert run(tmp_path, resume=True, save_steps=5).is_dir()  # how often it is saved may change


def test_other_rows_or_another_model_are_another_run(tmp_path: Path) -> None:
    from tiny import tiny_checkpoint

    with pytest.raises(Stop):
        run(tmp_path, save_steps=2, tell=stop_after(5))
    train = tmp_path / "train.tsv"
    before = train.read_text()
    train.write_text(before + "one more\t1\n")
    with pytest.raises(OptionError, match="another train"):
        run(tmp_path, resume=True, save_steps=2)
    train.write_text(before)
    tiny_checkpoint(tmp_path / "start", dim=64)
    with pytest.raises(OptionError, match="another model"):
        run(tmp_path, resume=True, save_steps=2)


def test_a_state_of_another_width_is_named(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run(tmp_path, save_steps=2, tell=stop_after(5))
    path = tmp_path / "out.partial" / "state.pt"
    state = torch.load(path, weights_only=True)
    name = "distilbert.embeddings.word_embeddings.weight"
    state["model"][name] = state["model"][name][:, :16].clone()
    torch.save(state, path)
    with pytest.raises(
        CheckpointError, match=r"word_embeddings.weight is \[\d+, 16\], but the model's is \[\d+, 32\]"
    ):
        run(tmp_path, resume=True, save_steps=2)


def test_a_state_that_carries_code_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run(tmp_path, save_steps=2, tell=stop_after(5))

    class Code:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"format": 1, "code": Code()}, tmp_path / "out.partial" / "state.pt")
    with pytest.raises(CheckpointError, match="cannot be read as a state"):
        run(tmp_path, resume=True, save_steps=2)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_left_half_done_is_never_written_over(tmp_path: Path, seed: int) -> None:
    with pytest.raises(Stop):
        run(tmp_path, save_steps=2, tell=stop_after(5))
    with pytest.raises(StorageError, match=r"holds 4 steps of an interrupted run\.\nAdd --resume"):
        run(tmp_path, save_steps=2, seed=seed)
    assert run(tmp_path, save_steps=2, resume=True).is_dir()


def test_nothing_is_left_of_a_run_that_was_never_saved(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run(tmp_path, tell=stop_after(5))
    assert not (tmp_path / "out.partial").exists()


def test_a_loss_that_is_no_number_is_refused_with_its_rows(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"Step \d+: the (loss|gradient's norm) is (nan|inf)"):
        run(tmp_path, learning_rate=1e30, warmup=0.0, save_steps=1, max_grad_norm=None)
    lines = (tmp_path / "out.partial" / "bad-batch.jsonl").read_text().splitlines()
    table = (tmp_path / "train.tsv").read_text().splitlines()
    assert len(lines) == 8
    for row in map(json.loads, lines):
        assert table[row["line"] - 1] == f"{row['text']}\t{row['label']}"


def test_two_runs_at_once_in_one_place_are_refused(tmp_path: Path) -> None:
    def tell(event: Event) -> None:
        if event.step == 2:
            with pytest.raises(StorageError, match="in use by another process"):
                run(tmp_path, tell=stop_after(1))

    assert run(tmp_path, tell=tell).is_dir()


def test_the_rate_rises_and_falls_to_nearly_nothing() -> None:
    recipe = FinetuneRecipe(model="m", train="t", learning_rate=2.0, warmup=0.1)
    rates = [learning_rate(done, 100, recipe) for done in range(100)]
    assert rates[:10] == pytest.approx(np.linspace(0.2, 2.0, 10))
    assert rates[10:] == pytest.approx(np.linspace(2.0, 2.0 / 90, 90))


def test_only_matrices_decay() -> None:
    from tiny import tiny_config

    from distilbert.models import DistilBertForSequenceClassification

    model = DistilBertForSequenceClassification(tiny_config())
    decaying, others = adamw(model, FinetuneRecipe(model="m", train="t")).param_groups
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.01, 0.0)
    kept = {id(parameter) for parameter in others["params"]}
    names = {name for name, parameter in model.named_parameters() if id(parameter) in kept}
    assert names == {name for name, _ in model.named_parameters() if "norm" in name.lower() or "bias" in name}


@pytest.mark.parametrize("times", [1, 3, 50])
def test_every_epoch_ends_with_an_evaluation(times: int) -> None:
    steps = evaluation_steps(10, 30, times)
    assert {10, 20, 30} <= steps <= set(range(1, 31))
