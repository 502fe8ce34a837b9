"""Where the time of a batch goes, and how far each operator is from what this machine could do at best.

    python benchmarks/roofline.py BUNDLE [--engine onnxruntime|openvino] [ROUNDS]       (needs cc and ../shared)

Sentences of SST-2 dev, then reviews of IMDb of 384 tokens and more, go through the engine in the batches that a
pipeline makes, as many beside each other as it has workers, with the engine's own profiler on (it costs a little:
this is no figure of speed). Operators that do the same in each layer are one row. Their time is a round's, summed
over workers: the median of the rounds, for OpenVINO their mean. A multiplication and an addition are 2 operations.
Bytes are those of inputs and outputs, read or written once. At best an operator takes as long as its operations at
the peak, or its bytes at the bandwidth of a working set of its size, whichever is more; both are measured first, by
`peak.c`, on as many threads as there are workers, of which one has its share. The gap is the rest. Use an idle
machine.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
from costs import KINDS, Cost, Graph, added, cost, kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

SHARED = Path(__file__).parent.parent.parent / "shared"
PEAK = Path(__file__).parent / "peak.c"
SENTENCES, REVIEWS, LONG = 872, 32, 384


@dataclass(frozen=True)
class Kernel:
    """A call that the engine made: what for, how long, and what it cost."""

    kind: str
    seconds: float
    cost: Cost


@dataclass(frozen=True)
class Peak:
    """What one of the threads can do when all are busy: operations and bytes a second, these by working set."""

    how: str
    int8: float
    float32: float
    bandwidths: tuple[tuple[int, float], ...]

    def seconds(self, cost: Cost) -> float:
        """How long the cost takes at best: computing and moving go on beside each other."""
        bandwidth = next(
            (rate for size, rate in self.bandwidths if cost.bytes <= size), self.bandwidths[-1][1]
        )
        return max(cost.int8 / self.int8 + cost.float32 / self.float32, cost.bytes / bandwidth)


def session_kernels(path: Path, batches: Sequence[Any], workers: int, rounds: int) -> list[list[Kernel]]:
    """By ONNX Runtime's profiler, in the engine's own session: the kernels of each round."""
    import onnxruntime

    from distilbert.engines.onnx_runtime import OnnxRuntimeEngine

    class Profiled(onnxruntime.SessionOptions):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.enable_profiling, self.profile_file_prefix = True, f"{folder}/profile"

    with tempfile.TemporaryDirectory() as folder, patch.object(onnxruntime, "SessionOptions", Profiled):
        engine = OnnxRuntimeEngine(path, workers)
        calls = beside_each_other(engine.run, batches, workers, rounds)
        events = json.loads(Path(engine._session.end_profiling()).read_text(encoding="utf-8"))
    return with_the_rest(by_round(events, len(batches)), calls)[1:]


def by_round(events: Iterable[Mapping[str, Any]], batches: int) -> list[list[Kernel]]:
    """ONNX Runtime's events -> each round's kernels: a round is as many calls of each node as there are batches."""
    calls = defaultdict(list)
    for event in sorted((event for event in events if event["cat"] == "Node"), key=lambda event: event["ts"]):
        if event["name"].endswith("_kernel_time"):
            calls[event["args"]["node_index"], event["name"]].append(event)
    rounds: dict[int, list[Kernel]] = defaultdict(list)
    for (_, name), found in calls.items():
        for number, event in enumerate(found):
            inputs, outputs = (
                [
                    (tensor_type, tuple(shape))
                    for tensor in event["args"][which]
                    for tensor_type, shape in tensor.items()
                ]
                for which in ("input_type_shape", "output_type_shape")
            )
            spent = cost(event["args"]["op_name"], inputs, outputs)
            kernel = Kernel(kind(name.removesuffix("_kernel_time").split("/")[0]), event["dur"] / 1e6, spent)
            rounds[number // batches].append(kernel)
    return [rounds[number] for number in sorted(rounds)]


@dataclass
class Stream:
    """A model of OpenVINO's that runs one batch at a time, and how many it has run."""

    model: Any
    request: Any
    calls: int = 0

    def seconds(self) -> dict[str, float]:
        """Of each node, of all calls together: what the counters give is a mean."""
        return {
            row.node_name: row.real_time.total_seconds() * self.calls
            for row in self.request.get_profiling_info()
        }


def request_kernels(path: Path, batches: Sequence[Any], workers: int, rounds: int) -> list[list[Kernel]]:
    """By OpenVINO's counters, a model a worker. They count means over all calls, so these are one round: the mean."""
    import openvino

    graph, core, free = Graph(path), openvino.Core(), SimpleQueue()
    settings = {
        "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1,
        "ENABLE_CPU_PINNING": False, "PERF_COUNT": True,
    }  # fmt: skip
    models = [core.compile_model(core.read_model(path), "CPU", settings) for _ in range(workers)]
    streams = [Stream(model, model.create_infer_request()) for model in models]
    for stream in streams:
        free.put(stream)
    names = [value.get_any_name() for value in models[0].inputs]
    # Two threads that are the first to read an array each wait for the other, for ever (2026.4): so nobody's is first.
    _ = openvino.Tensor(np.zeros(1, np.float32)).data

    def run(inputs: Mapping[str, Any]) -> None:
        stream = free.get()
        stream.request.infer({name: inputs[name] for name in names})
        stream.calls += 1
        free.put(stream)

    beside_each_other(run, batches, workers, 1)  # each shape's kernels are made
    before = [stream.seconds() for stream in streams]
    calls = beside_each_other(run, batches, workers, rounds - 1)
    spent: dict[str, float] = defaultdict(float)
    for stream, earlier in zip(streams, before, strict=True):
        for name, seconds in stream.seconds().items():
            spent[name] += max(0.0, seconds - earlier[name]) / (rounds * len(batches))
    stands_for = {
        node.get_friendly_name(): node.get_rt_info()["originalLayersNames"].astype(str).split(",")
        for node in models[0].get_runtime_model().get_ops()
    }
    kernels = [
        Kernel(leading(stands_for[name]), seconds, graph.cost(stands_for[name], batch["input_ids"].shape))
        for name, seconds in spent.items()
        if name in stands_for  # the others were put into one of these
        for batch in batches
    ]
    return with_the_rest([kernels], [[(seconds / rounds, None) for made in calls for seconds, _ in made]])


def leading(names: Iterable[str]) -> str:
    """What a fused kernel is for: what the first of its nodes is for that takes most time where it stands alone.

    >>> leading(["transformer.layer.0.ffn.active", "transformer.layer.0.ffn.lin1.product"])
    'linear: first of feed-forward'
    """
    kinds = {kind(name) for name in names} - {"other"}
    if "attention: scores" in kinds and "attention: mix" in kinds:
        return "attention: scores to mix"
    order = sorted(
        kinds, key=lambda found: (not found.startswith("linear"), list(KINDS.values()).index(found))
    )
    return order[0] if order else "other"


ENGINES = {"onnxruntime": session_kernels, "openvino": request_kernels}


def beside_each_other(
    run: Callable[[Any], Any], batches: Sequence[Any], workers: int, rounds: int
) -> list[list[tuple[float, Any]]]:
    """All batches in each round, as a pipeline hands them to its workers: each call's seconds and answer.

    There is a round more, the first, which warms up.
    """

    def timed(inputs: Any) -> tuple[float, Any]:
        begun = time.perf_counter()
        answer = run(inputs)
        return time.perf_counter() - begun, answer

    with ThreadPoolExecutor(workers) as pool:
        return [list(pool.map(timed, batches)) for _ in range(rounds + 1)]


def with_the_rest(
    rounds: Sequence[Sequence[Kernel]], calls: Sequence[Sequence[tuple[float, Any]]]
) -> list[list[Kernel]]:
    """Each round's kernels, and what its calls took beside them, the profiler's own work included."""
    return [
        [
            *kernels,
            Kernel(
                "between operators",
                sum(seconds for seconds, _ in made) - sum(kernel.seconds for kernel in kernels),
                Cost(),
            ),
        ]
        for kernels, made in zip(rounds, calls, strict=True)
    ]


def measure_peak(threads: int, seconds: float = 0.5) -> Peak:
    """Compile and run `peak.c`; stops, saying why, where that cannot be."""
    compiler = shutil.which("cc")
    if compiler is None:
        sys.exit("There is no C compiler, cc: without it nobody knows what this machine could do at best.")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "peak"
        line = [compiler, "-O3", "-march=native", "-pthread", str(PEAK), "-o", str(program)]
        subprocess.run(line, check=True)
        found = subprocess.run([program, str(threads), str(seconds)], capture_output=True, text=True)
    if found.returncode:
        sys.exit(f"No peak to compare with: {found.stderr.strip() or found.returncode}.")
    return read_peak(found.stdout, threads)


def read_peak(printed: str, threads: int) -> Peak:
    r"""One thread's share of what `peak.c` prints, by the second.

    >>> read_peak("how AVX2\nint8 40\nfloat32 8\nbytes 64 6\n", threads=2)
    Peak(how='AVX2', int8=20000000000.0, float32=4000000000.0, bandwidths=((64, 3000000000.0),))
    """
    rows = [line.split(maxsplit=1) for line in printed.splitlines()]
    how, int8, float32 = (value for _, value in rows[:3])
    share = 1e9 / threads
    sizes = [value.split() for _, value in rows[3:]]
    return Peak(
        how,
        float(int8) * share,
        float(float32) * share,
        tuple((int(size), float(rate) * share) for size, rate in sizes),
    )


@dataclass(frozen=True)
class Row:
    """A kind of operator in a round: seconds, seconds at best, and cost."""

    kind: str
    seconds: float
    best: float
    cost: Cost

    @property
    def gap(self) -> float:
        """Seconds that a machine at its best would not need."""
        return self.seconds - self.best


def reckon(rounds: Sequence[Sequence[Kernel]], peak: Peak) -> list[Row]:
    """One row a kind, the most expensive first: the median round's time."""
    spent: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(rounds))
    for number, kernels in enumerate(rounds):
        for kernel in kernels:
            spent[kernel.kind][number] += kernel.seconds
    rows = []
    for found, seconds in spent.items():
        costs = [kernel.cost for kernel in rounds[0] if kernel.kind == found]
        rows.append(Row(found, median(seconds), sum(map(peak.seconds, costs)), added(costs)))
    return sorted(rows, key=lambda row: -row.seconds)


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown."""
    whole = sum(row.seconds for row in rows)
    lines = [
        "| operators | ms | share of time | MB | 10⁹ operations | ms at best | our share of that | gap, ms |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        cells = (
            row.kind, f"{1e3 * row.seconds:.1f}", f"{row.seconds / whole:.1%}", f"{row.cost.bytes / 1e6:.1f}",
            f"{(row.cost.int8 + row.cost.float32) / 1e9:.2f}", f"{1e3 * row.best:.1f}",
            f"{row.best / row.seconds:.0%}" if row.seconds else "–", f"{1e3 * row.gap:.1f}",
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def summary(rows: Sequence[Row], useful: float, peak: Peak) -> str:
    """One line: useful operations a second of a worker's time, their share of the int8 peak, the largest gaps."""
    whole = sum(row.seconds for row in rows)
    gaps = sorted(rows, key=lambda row: -row.gap)[:3]
    return (
        f"useful GOPS a worker: {useful / whole / 1e9:.0f}, {useful / whole / peak.int8:.0%} of the int8 peak of "
        f"{peak.int8 / 1e9:.0f} ({peak.how}); largest gaps: "
        + ", ".join(f"{row.kind} {row.gap / whole:.0%} of the time" for row in gaps)
    )


def texts_by_name(folder: Path, most: int | None) -> dict[str, list[list[int]]]:
    """Token ids of short and of long texts, cut at what the model reads, at most so many of each."""
    from distilbert.files.config import DistilBertConfig
    from distilbert.files.tables import read_column
    from distilbert.text.tokenizer import DistilBertTokenizer

    tokenizer = DistilBertTokenizer.from_folder(folder)
    longest = DistilBertConfig.from_folder(folder).max_position_embeddings

    def ids(texts: list[str]) -> list[list[int]]:
        return tokenizer.encode_texts(texts, max_length=longest).input_ids

    sentences = list(islice(read_column(SHARED / "data" / "sst2" / "dev.tsv", "sentence"), most or SENTENCES))
    reviews = list(
        islice(read_column(SHARED / "data" / "imdb" / "train.jsonl.gz", "text"), 8 * (most or REVIEWS))
    )
    long = [row for row in ids(reviews) if len(row) >= LONG]
    return {
        "sentences of SST-2 dev": ids(sentences),
        f"reviews of IMDb of at least {LONG} tokens": long[: most or REVIEWS],
    }


def main(words: Sequence[str] | None = None) -> None:
    """Print a table and a line for the short texts, and for the long ones."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("rounds", nargs="?", type=int, default=9)
    parser.add_argument("--engine", choices=list(ENGINES), default="onnxruntime")
    parser.add_argument("--texts", type=int, help="at most so many of each, to try it out")
    asked = parser.parse_intermixed_args(words)
    if not SHARED.is_dir():
        sys.exit(f"{SHARED} is not there: these figures need the real texts.")
    from distilbert.engines.threads import choose_threads
    from distilbert.runtime import find_bundle
    from distilbert.text.batching import TEXTS_PER_BATCH, cut, pad
    from distilbert.text.tokenizer import EncodedTexts

    bundle, workers = find_bundle(asked.bundle), choose_threads()
    graph = Graph(bundle.graph)
    peak = measure_peak(workers, 0.01 if asked.texts else 0.5)
    for name, ids in texts_by_name(bundle.folder, asked.texts).items():
        places = cut([len(row) for row in ids], TEXTS_PER_BATCH, workers)
        batches = [pad(EncodedTexts(ids, None, []), batch).inputs for batch in places]
        rows = reckon(ENGINES[asked.engine](bundle.graph, batches, workers, asked.rounds), peak)
        useful = sum(graph.products((1, len(row))) for row in ids)
        print(
            f"\n{len(ids)} {name} in {len(batches)} batches, {workers} workers, {asked.engine}:\n\n{table(rows)}"
        )
        print(f"\n{summary(rows, useful, peak)}", flush=True)


if __name__ == "__main__":
    main()
