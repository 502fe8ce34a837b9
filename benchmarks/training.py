"""Fine-tuning beside transformers' Trainer: tokens a second, padding not counted, on a processor.

    python benchmarks/training.py [ROUNDS]        (needs transformers, accelerate and ../shared)

e5-small (12 × 384) on phrases of SST-2, 32 a step. In a round each way trains the same 1,600 rows once; each way's
model goes on from round to round, and the first round warms up. The clock runs from before the first batch is put
together to the end of the last step: forward, backward, clipping, AdamW and schedule are in it; loading, tokenising,
logs and saving are not. 1,600 rows are the 50 batches within which both length groupings sort on all of SST-2;
of so few rows transformers' would sort 12 batches together, so it is told to take its 50. Use an idle machine: threads
that must share the processors wait for one another, and all ways become equally slow.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Way = Callable[[NDArray[np.int64]], tuple[int, float]]  # trains rows: their tokens, the steps' seconds

SHARED = Path(__file__).parent.parent.parent / "shared"
MODEL = SHARED / "weights" / "e5-small"
ROWS = SHARED / "data" / "sst2" / "train.tsv"
BATCH, BATCHES, MAX_LENGTH = 32, 50, 64
ROUNDS = 5
DEFAULTS, BEST, OURS = "transformers, defaults", "transformers, group_by_length, bf16", "distilbert finetune"
LEAST = {DEFAULTS: 2.0, BEST: 1.1}  # times as fast as each


def main() -> None:
    """Print a table, and fail where ours is not as many times as fast as it should be."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    if not (MODEL.is_dir() and ROWS.is_file()):
        sys.exit(f"{MODEL} or {ROWS} is not there: these figures need the real weights and rows.")
    os.environ["HF_HUB_OFFLINE"] = "1"
    name, train, count = ours()
    ways = {
        DEFAULTS: theirs(),
        BEST: theirs(train_sampling_strategy="group_by_length", bf16=True),
        name: train,
    }
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    draw = np.random.default_rng(0)
    for number in range(rounds + 1):  # the first warms up
        rows = draw.choice(count, BATCH * BATCHES, replace=False)
        found = {way: train(rows) for way, train in ways.items()}
        assert len({tokens for tokens, _ in found.values()}) == 1, "not the same tokens"
        for way, (tokens, seconds) in found.items():
            if number:
                speeds[way].append(tokens / seconds)
    sys.exit(not report(name, speeds))


def report(name: str, speeds: dict[str, list[float]]) -> bool:
    """Print what came out; whether ours is fast enough."""
    print("| training step | tokens/s, median | min to max | distilbert is … times as fast | at least |")
    print("| --- | --- | --- | --- | --- |")
    enough = True
    for way, values in speeds.items():
        ratios = [our / their for our, their in zip(speeds[name], values, strict=True)]
        least = LEAST.get(way, 0.0)
        enough &= median(ratios) >= least
        compared = (
            f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | {least}" if least else "| "
        )
        print(f"| {way} | {median(values):,.0f} | {min(values):,.0f} to {max(values):,.0f} | {compared} |")
    return enough


def ours() -> tuple[str, Way, int]:
    """As `distilbert finetune` runs it with its defaults: what to call it, the way, and how many rows there are."""
    from accelerate.state import AcceleratorState

    from distilbert.training.evaluation import Runner
    from distilbert.training.finetune import prepare
    from distilbert.training.hardware import accelerator, autocast, precision
    from distilbert.training.loop import Trainer
    from distilbert.training.recipe import FinetuneRecipe
    from distilbert.training.state import RunFolder

    recipe = FinetuneRecipe(
        model=str(MODEL), train=str(ROWS), column="sentence", max_length=MAX_LENGTH, batch_size=BATCH, epochs=1,
        device="cpu",
    )  # fmt: skip
    here = accelerator(recipe)
    chosen = precision(recipe, here.device)
    cast = functools.partial(autocast, here.device, chosen)
    work = prepare(recipe, MODEL, Runner(here, cast))
    data: Any = work.data

    def train(rows: NDArray[np.int64]) -> tuple[int, float]:
        some = dataclasses.replace(
            data, texts=data.texts.take(rows), targets={"labels": data.targets["labels"][rows]}
        )
        told: list[tuple[float, Any]] = []
        AcceleratorState._reset_state(reset_partial_state=True)  # transformers' Trainer does so too
        folder = RunFolder(Path(), {}, None)  # writes nothing
        here = accelerator(recipe)
        Trainer(
            work.model, some, work.objective, None, recipe, here, cast, folder,
            tell=lambda step: told.append((time.perf_counter(), step)),
        ).train()  # fmt: skip
        (first, step), (last, _) = told[0], told[-1]
        return sum(step.tokens for _, step in told), last - (first - step.seconds)

    return f"{OURS} ({chosen})", train, len(data.lengths)


def theirs(**arguments: Any) -> Way:
    """Give the Trainer of transformers, with arguments beside its defaults."""
    import torch
    import transformers
    from transformers import trainer_pt_utils

    from distilbert.files.tables import read_rows

    trainer_pt_utils.get_length_grouped_indices = functools.partial(
        trainer_pt_utils.get_length_grouped_indices, mega_batch_mult=BATCHES
    )
    transformers.logging.set_verbosity_error()
    tokenizer = transformers.AutoTokenizer.from_pretrained(MODEL)
    # Stored in float16, which a processor trains neither fast nor well.
    model = transformers.AutoModelForSequenceClassification.from_pretrained(MODEL, dtype=torch.float32)
    table = [(row.text("sentence"), int(row.text("label"))) for row in read_rows(ROWS)]
    clock: list[float] = []

    class Clock(transformers.TrainerCallback):  # type: ignore[misc]
        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            clock[:] = [time.perf_counter()]

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock[1:] = [time.perf_counter()]

    def train(rows: NDArray[np.int64]) -> tuple[int, float]:
        examples = []
        for row in rows:
            text, label = table[row]
            examples.append({**tokenizer(text, truncation=True, max_length=MAX_LENGTH), "labels": label})
        with tempfile.TemporaryDirectory() as folder:
            settings = transformers.TrainingArguments(
                folder, use_cpu=True, num_train_epochs=1, per_device_train_batch_size=BATCH,
                report_to="none", save_strategy="no", disable_tqdm=True, **arguments,
            )  # fmt: skip
            collator = transformers.DataCollatorWithPadding(tokenizer)
            trainer = transformers.Trainer(
                model, settings, collator, examples, processing_class=tokenizer, callbacks=[Clock]
            )
            trainer.remove_callback(transformers.PrinterCallback)
            trainer.train()
        return sum(sum(example["attention_mask"]) for example in examples), clock[1] - clock[0]

    return train


if __name__ == "__main__":
    main()
