"""Ideas for a faster int8 graph, each timed beside the form that is shipped.

    python benchmarks/ideas.py BUNDLE [--engine onnxruntime|openvino] [--idea WORD] [ROUNDS]        (needs ../shared)

An idea is a row of `IDEAS`: what it changes in how the graph is built, how texts are put into batches, or how many
workers and threads there are. The bundle's weights and ranges are read back and built again by `distilbert.graph`, so
that an idea differs from the shipped form in its own lines only. In a round each idea answers all sentences of SST-2
dev once, from token ids to logits, in an order drawn anew; what is printed is its time as a multiple of the shipped
form's in the same round (under 1 is faster), and how far its logits are from the shipped form's. Use an idle machine.
"""

from __future__ import annotations

import argparse
import math
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

from distilbert.graph import encoder
from distilbert.graph.weights import Int8Weights
from distilbert.text import batching
from distilbert.text.tokenizer import EncodedTexts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from distilbert.files.checkpoint import Checkpoint
    from distilbert.graph.nodes import Notepad

    Ids = Sequence[Sequence[int]]
    Batch = tuple[list[int], dict[str, np.ndarray[Any, Any]]]  # places of its texts, and inputs
    Run = Callable[[Mapping[str, Any]], Any]  # inputs -> logits [texts, labels]

SHARED = Path(__file__).parent.parent.parent / "shared"
SENTENCES = 872
PACKED = 512  # tokens in a row of texts side by side
LAYERS = "distilbert.graph.encoder"


# Batches


def by_length(ids: Ids, workers: int) -> list[Batch]:
    """As pipelines do."""
    return _padded(ids, batching.cut([len(row) for row in ids], batching.TEXTS_PER_BATCH, workers))


def by_budget(tokens: int) -> Callable[[Ids, int], list[Batch]]:
    """By length, so many tokens a batch, padding counted, however many texts that are."""

    def batches(ids: Ids, workers: int) -> list[Batch]:
        with patch.object(batching, "TOKENS_PER_BATCH", tokens):
            return _padded(ids, batching.cut([len(row) for row in ids], len(ids), workers))

    return batches


def by_arrival(ids: Ids, _: int) -> list[Batch]:
    """As texts come, padded to the longest of each batch."""
    size = batching.TEXTS_PER_BATCH
    return _padded(ids, [list(range(len(ids)))[first : first + size] for first in range(0, len(ids), size)])


def one_by_one(ids: Ids, _: int) -> list[Batch]:
    """As texts come, each alone."""
    return _padded(ids, [[place] for place in range(len(ids))])


def packed(ids: Ids, _: int) -> list[Batch]:
    """As texts come, one behind the other in one row without padding.

    `attention_mask` says which text a token is of, `token_positions` where in it, `first_tokens` where texts begin.
    """
    rows: list[list[int]] = []
    for place, text in enumerate(ids):
        if not rows or sum(len(ids[other]) for other in rows[-1]) + len(text) > PACKED:
            rows.append([])
        rows[-1].append(place)
    return [(places, pack([ids[place] for place in places])) for places in rows]


def pack(texts: Ids) -> dict[str, np.ndarray[Any, Any]]:
    """Put texts side by side.

    >>> {name: row.tolist() for name, row in pack([[7, 8], [9]]).items()}["attention_mask"]
    [[1, 1, 2]]
    """
    lengths = [len(text) for text in texts]
    rows = {
        "input_ids": np.concatenate([np.asarray(text) for text in texts]),
        "attention_mask": np.repeat(np.arange(1, len(texts) + 1), lengths),
        "token_positions": np.concatenate([np.arange(length) for length in lengths]),
        "first_tokens": np.cumsum([0, *lengths[:-1]]),
    }
    return {name: row.astype(np.int64)[None] for name, row in rows.items()}


def _padded(ids: Ids, places: list[list[int]]) -> list[Batch]:
    encoded = EncodedTexts([list(row) for row in ids], None, [])
    return [(batch, batching.pad(encoded, batch).inputs) for batch in places]


# Parts of the graph


def gelu_by_erf(pad: Notepad, _: str, x: str, name: str) -> str:
    """X / 2 · (1 + erf(x / √2)), as exporters before opset 20 write it; engines may know it again."""
    root, one, half = (
        pad.constant(f"gelu.{label}", np.array(value, np.float32))
        for label, value in (("root", math.sqrt(2)), ("one", 1), ("half", 0.5))
    )
    inner = pad.add("Erf", pad.add("Div", x, root, name=f"{name}.scaled"), name=f"{name}.erf")
    gate = pad.add("Add", inner, one, name=f"{name}.gate")
    return pad.add("Mul", pad.add("Mul", x, gate, name=f"{name}.gated"), half, name=name)


def gelu_by_tanh(pad: Notepad, _: str, x: str, name: str) -> str:
    """Hendrycks and Gimpel's approximation."""
    return pad.add("Gelu", x, name=name, approximate="tanh")


def norm_in_parts(norms: Any, name: str, x: str) -> str:
    """Layer normalisation by operators that each do one thing; Mul for Pow, or ONNX Runtime puts it together again."""
    pad, arrays = norms._pad, norms._arrays
    axis, epsilon = pad.ints(-1), pad.constant("epsilon", np.array(norms._epsilon, np.float32))
    mean = pad.add("ReduceMean", x, axis, name=f"{name}.mean")
    centred = pad.add("Sub", x, mean, name=f"{name}.centred")
    square = pad.add("Mul", centred, centred, name=f"{name}.square")
    variance = pad.add("ReduceMean", square, axis, name=f"{name}.variance")
    deviation = pad.add(
        "Sqrt", pad.add("Add", variance, epsilon, name=f"{name}.above"), name=f"{name}.deviation"
    )
    scale, bias = (pad.constant(f"{name}.{part}", arrays[f"{name}.{part}"]) for part in ("weight", "bias"))
    unit = pad.add("Div", centred, deviation, name=f"{name}.unit")
    return pad.add("Add", pad.add("Mul", unit, scale, name=f"{name}.scaled"), bias, name=name)


class OneProduct(Int8Weights):
    """Query, key and value of a layer by one product of three times the width, then cut apart.

    Not in a classifier's last layer, whose query is of one row.
    """

    def linear(self, pad: Notepad, x: str, name: str, site: str) -> str:
        """See `graph.weights.Weights.linear`."""
        attention, _, part = name.rpartition(".")
        parts = ("q_lin", "k_lin", "v_lin")
        last = max(name for name in self.arrays if name.endswith("q_lin.weight"))
        if part not in parts or last.startswith(f"{attention}."):
            return super().linear(pad, x, name, site)
        joined = f"{attention}.qkv_lin"
        dim = self.arrays[f"{name}.bias"].shape[0]
        if part == "k_lin":  # the builder asks for it first
            arrays = {
                f"{joined}.{kind}": np.concatenate(
                    [self.arrays[f"{attention}.{one}.{kind}"] for one in parts]
                )
                for kind in ("weight", "bias")
            }
            Int8Weights(arrays, self.ranges).linear(pad, x, joined, site)
        first = parts.index(part) * dim
        return pad.add("Slice", joined, pad.ints(first), pad.ints(first + dim), pad.ints(2), name=name)


def packed_inputs(_: object) -> tuple[str, ...]:
    """What `pack` gives, `[1, tokens]`; but `first_tokens` is `[1, texts]`."""
    return ("input_ids", "attention_mask", "token_positions", "first_tokens")


def packed_embeddings(pad: Notepad, _: object, weights: Any, norms: Any) -> str:
    """Positions are told, not counted."""
    words = weights.lookup(pad, "Gather", "embeddings.word_embeddings.weight", "input_ids")
    positions = weights.lookup(pad, "Gather", "embeddings.position_embeddings.weight", "token_positions")
    total = pad.add("Add", words, positions, name="embeddings.sum")
    return str(norms.norm("embeddings.LayerNorm", total))


def packed_mask(pad: Notepad) -> str:
    """What is added to the scores `[1, 1, tokens, tokens]`: the lowest float32 where two tokens are of two texts."""
    lowest = pad.constant("lowest", np.array(np.finfo(np.float32).min, np.float32))
    down = pad.add("Unsqueeze", "attention_mask", pad.ints(1, 3), name="mask.rows")
    across = pad.add("Unsqueeze", "attention_mask", pad.ints(1, 2), name="mask.columns")
    strange = pad.add("Not", pad.add("Equal", down, across, name="mask.same"), name="mask.strange")
    return pad.add("Mul", pad.add("Cast", strange, name="mask.flags", to=1), lowest, name="mask")


def packed_first_tokens(pad: Notepad, hidden: str) -> str:
    """The rows `[1, texts, D]` of the tokens that texts begin with."""
    places = pad.add("Squeeze", "first_tokens", pad.ints(0), name="first_places")
    return pad.add("Gather", hidden, places, name=f"{hidden}.first_token", axis=1)


def packed_attention(
    pad: Notepad, config: Any, weights: Any, name: str, rows: str, context: str, mask: str
) -> str:
    """As shipped; where only first tokens ask, with their rows of the mask."""
    if rows != context:
        mask = pad.add("Gather", mask, "first_places", name=f"{mask}.first", axis=2)
    return SHIPPED_ATTENTION(pad, config, weights, name, rows, context, mask)


def packed_encoder(pad: Notepad, config: Any, weights: Any, checkpoint: Checkpoint) -> str:
    """The head is given `[texts, 1, D]`, as ever."""
    hidden = SHIPPED_ENCODER(pad, config, weights, checkpoint)
    return pad.add("Transpose", hidden, name="texts", perm=[1, 0, 2])


SHIPPED_ATTENTION, SHIPPED_ENCODER = encoder._attention, encoder._encoder


@dataclass(frozen=True)
class Idea:
    """What differs from the shipped form: functions of the builder by name, weights, batches, workers and threads."""

    parts: Mapping[str, Any] = field(default_factory=dict)
    weights: type[Int8Weights] = Int8Weights
    batches: Callable[[Ids, int], list[Batch]] = by_length
    workers: int = 2
    threads: int = 1  # of each worker
    spin: bool = True  # whether a thread that waits for work keeps its processor busy; ONNX Runtime's alone


PACKED_PARTS = {
    f"{LAYERS}.{name}": part
    for name, part in {
        "input_names": packed_inputs, "_embeddings": packed_embeddings, "_mask": packed_mask,
        "_first_token": packed_first_tokens, "_attention": packed_attention, "_encoder": packed_encoder,
    }.items()
}  # fmt: skip
SHIPPED = "as shipped: by length, 16 texts, 2 workers of 1 thread"
IDEAS = {
    SHIPPED: Idea(),
    "the same again: what noise is": Idea(),
    **{
        f"budget: {tokens:,} tokens, any number of texts": Idea(batches=by_budget(tokens))
        for tokens in (1024, 2048, 4096, 8192)
    },
    "threads: 1 worker of 2 threads": Idea(workers=1, threads=2),
    "threads: 1 worker of 2 threads, 2,048 tokens": Idea(workers=1, threads=2, batches=by_budget(2048)),
    "threads: 1 worker of 1 thread": Idea(workers=1),
    "alone: 1 thread": Idea(batches=one_by_one, workers=1),
    "alone: 2 threads": Idea(batches=one_by_one, workers=1, threads=2),
    "alone: 2 threads that do not spin": Idea(batches=one_by_one, workers=1, threads=2, spin=False),
    "gelu: by Erf": Idea({f"{LAYERS}.activation": gelu_by_erf}),
    "gelu: by tanh": Idea({f"{LAYERS}.activation": gelu_by_tanh}),
    "norm: in parts": Idea({"distilbert.graph.layers.LayerNorms.norm": norm_in_parts}),
    "qkv: one product": Idea(weights=OneProduct),
    "order: as texts come, padded": Idea(batches=by_arrival),
    f"order: as texts come, packed in rows of {PACKED} tokens": Idea(PACKED_PARTS, batches=packed),
}  # fmt: skip


# Building and running


def read_back(path: Path, config: Any) -> tuple[Checkpoint, Int8Weights]:
    """The checkpoint and the int8 weights that build a bundle's graph again."""
    import onnx
    from onnx import numpy_helper

    from distilbert.graph.reading import read_graph

    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    ranges = {}
    for name, zero in stored.items():
        if name.endswith(".zero_point"):
            site = name.removesuffix(".zero_point")
            step, steps = stored[f"{site}.scale"].item(), zero.item()
            ranges[site] = (-steps * step, (255 - steps) * step)
    checkpoint = read_graph(path, config)
    kept = frozenset(name for name in encoder.linear_names(config) if f"{name}.weight" in stored)
    return checkpoint, Int8Weights(checkpoint.arrays, ranges, kept)


def build(idea: Idea, checkpoint: Checkpoint, weights: Int8Weights) -> bytes:
    """The graph of an idea."""
    with ExitStack() as stack:
        for name, part in idea.parts.items():
            stack.enter_context(patch(name, part))
        chosen = idea.weights(weights.arrays, weights.ranges, weights.keep_float)
        model = encoder.build_graph(checkpoint, chosen)
    if idea.batches is packed:  # there `batch` and `length` are not the same for all
        for value in (*model.graph.input, *model.graph.output):
            for axis, size in enumerate(value.type.tensor_type.shape.dim):
                if size.dim_param:
                    size.dim_param = f"{value.name}_{axis}"
    return bytes(model.SerializeToString())


def session(graph: bytes, idea: Idea) -> Run:
    """ONNX Runtime with the engine's options but for the threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = idea.threads, 1
    options.enable_mem_pattern, options.log_severity_level = False, 4
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(idea.spin)))
    opened = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in opened.get_inputs()]
    return lambda inputs: opened.run(None, {name: inputs[name] for name in names})[0]


def requests(graph: bytes, idea: Idea) -> Run:
    """OpenVINO with a stream and a request a worker."""
    import openvino

    core, mine = openvino.Core(), threading.local()
    settings = {
        "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": idea.workers,
        "INFERENCE_NUM_THREADS": idea.workers * idea.threads,
    }  # fmt: skip
    model = core.compile_model(core.read_model(graph), "CPU", settings)
    names = [value.get_any_name() for value in model.inputs]
    _ = openvino.Tensor(np.zeros(1, np.float32)).data  # benchmarks/roofline.py says why

    def run(inputs: Mapping[str, Any]) -> Any:
        if not hasattr(mine, "request"):
            mine.request = model.create_infer_request()
        return mine.request.infer({name: inputs[name] for name in names})[0].copy()

    return run


ENGINES = {"onnxruntime": session, "openvino": requests}


def answer(
    run: Run, batches: Sequence[Batch], pool: ThreadPoolExecutor
) -> tuple[float, np.ndarray[Any, Any]]:
    """Seconds, and the logits in the texts' order."""
    begun = time.perf_counter()
    logits = list(pool.map(run, [inputs for _, inputs in batches]))
    seconds = time.perf_counter() - begun
    order = np.argsort([place for places, _ in batches for place in places])
    return seconds, np.concatenate(logits)[order]


def compare(
    ideas: Mapping[str, Idea], engine: str, source: tuple[Checkpoint, Int8Weights], ids: Ids, rounds: int
) -> dict[str, tuple[list[float], float]]:
    """Each idea's times as multiples of the shipped form's, by round, and how far its logits are from that at most."""
    seconds: dict[str, list[float]] = {name: [] for name in ideas}
    logits, draw = {}, np.random.default_rng(0)
    with ExitStack() as stack:
        ways = {
            name: (
                ENGINES[engine](build(idea, *source), idea),
                idea.batches(ids, idea.workers),
                stack.enter_context(ThreadPoolExecutor(idea.workers)),
            )
            for name, idea in ideas.items()
        }
        for number in range(rounds + 1):  # the first warms up
            for name in draw.permutation(list(ways)):
                spent, logits[name] = answer(*ways[name])
                if number:
                    seconds[name].append(spent)
    return {
        name: (
            [one / shipped for one, shipped in zip(seconds[name], seconds[SHIPPED], strict=True)],
            float(np.abs(logits[name] - logits[SHIPPED]).max()),
        )
        for name in ideas
    }


def main(words: Sequence[str] | None = None) -> None:
    """Print a row for each idea."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("rounds", nargs="?", type=int, default=15)
    parser.add_argument("--engine", choices=list(ENGINES), default="onnxruntime")
    parser.add_argument("--idea", default="", help="only those whose name has this in it")
    parser.add_argument("--texts", type=int, default=SENTENCES, help="at most so many")
    asked = parser.parse_intermixed_args(words)
    if not SHARED.is_dir():
        sys.exit(f"{SHARED} is not there: these figures need the real sentences.")
    from distilbert.files.config import DistilBertConfig
    from distilbert.files.tables import read_column
    from distilbert.runtime import find_bundle
    from distilbert.text.tokenizer import DistilBertTokenizer

    bundle = find_bundle(asked.bundle)
    config = DistilBertConfig.from_folder(bundle.folder)
    texts = list(islice(read_column(SHARED / "data" / "sst2" / "dev.tsv", "sentence"), asked.texts))
    ids = DistilBertTokenizer.from_folder(bundle.folder).encode_texts(texts, max_length=PACKED).input_ids
    chosen = {name: idea for name, idea in IDEAS.items() if asked.idea in name or name == SHIPPED}
    found = compare(chosen, asked.engine, read_back(bundle.graph, config), ids, asked.rounds)
    print(f"{len(ids)} sentences, {asked.engine}, {asked.rounds} rounds\n")
    print("| idea | times the shipped form's time, median | min to max | largest difference of a logit |")
    print("| --- | --- | --- | --- |")
    for name, (ratios, difference) in found.items():
        print(
            f"| {name} | {median(ratios):.3f} | {min(ratios):.3f} to {max(ratios):.3f} | {difference:.2g} |"
        )


if __name__ == "__main__":
    main()
