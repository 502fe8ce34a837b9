"""The ways that are compared, as a table: what each is called, what loads it, what it needs, and whose advice it is.

A way is loaded in a process of its own by `bench.worker`, which imports its module by name; nothing here does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

Answer: TypeAlias = Mapping[str, object]  # {"label": ..., "score": ...}
Answers: TypeAlias = Callable[[list[str]], Sequence[Answer]]
Cut: TypeAlias = Callable[
    [Sequence[int]], Sequence[Sequence[int]]
]  # texts' token counts -> batches of places


@dataclass(frozen=True)
class Setting:
    """One manner of calling what was loaded: `cut` says how it batches, for the padding's share."""

    name: str
    answer: Answers
    cut: Cut


@dataclass(frozen=True)
class Loaded:
    """A way that is ready: settings for many texts in a call, the fastest of which is kept, and how it takes one."""

    many: Sequence[Setting]
    alone: Answers


@dataclass(frozen=True)
class Source:
    """What a way is loaded from, and how many threads it may use.

    `bundle` is ours; `checkpoint` is the same model in float32 in Hugging Face's layout, for the peers; `made` is a
    folder for what they make of it, once; `calibration` are real texts for those that calibrate.
    """

    bundle: Path
    checkpoint: Path
    made: Path
    threads: int
    calibration: Sequence[str]
    max_length: int = 512
    fault: str = ""  # why there is no checkpoint, so that no peer can be loaded


@dataclass(frozen=True)
class Way:
    """A row of the table. `needs` are modules that must be there; `advice` is where its makers say to do so."""

    name: str
    loader: str  # "module:function", which takes a `Source` and returns a `Loaded`
    precision: str
    needs: tuple[str, ...]
    runs_on: tuple[
        str, ...
    ]  # packages that must be installed where it runs, on a model that was made elsewhere
    install: str = ""
    advice: str = ""
    engine: str = ""  # of ours: which
    reference: bool = (
        False  # whose labels flips are counted from: float32, so it answers even where it is not timed
    )
    slow: bool = False  # many times slower than the others: left out where texts are long

    @property
    def ours(self) -> bool:
        """Whether it is this package that runs."""
        return bool(self.engine)

    def missing(self) -> list[str]:
        """The modules that it needs and that are not installed."""
        return [name for name in self.needs if find_spec(name) is None]


_TORCH = ("torch", "transformers")
_PEERS = "distilbert.bench.peers"

OURS = (
    Way(
        "distilbert, ONNX Runtime",
        "distilbert.bench.own:onnxruntime",
        "",
        ("onnxruntime",),
        ("distilbert",),
        engine="onnxruntime",
    ),
    Way(
        "distilbert, OpenVINO",
        "distilbert.bench.own:openvino",
        "",
        ("openvino",),
        ("distilbert", "openvino"),
        install="pip install 'distilbert[openvino]'",
        engine="openvino",
    ),
)
PEERS = (
    Way(
        "transformers, batch 1",
        f"{_PEERS}.pytorch:pipeline_1",
        "fp32",
        _TORCH,
        _TORCH,
        "pip install transformers torch",
        "https://huggingface.co/docs/transformers/main_classes/pipelines",
        reference=True,
        slow=True,
    ),
    Way(
        "transformers, batch 32",
        f"{_PEERS}.pytorch:pipeline_32",
        "fp32",
        _TORCH,
        _TORCH,
        "pip install transformers torch",
        "https://huggingface.co/docs/transformers/main_classes/pipelines#pipeline-batching",
        slow=True,
    ),
    Way(
        "torch.compile",
        f"{_PEERS}.pytorch:compiled",
        "fp32",
        _TORCH,
        _TORCH,
        "pip install transformers torch",
        "https://huggingface.co/docs/transformers/perf_torch_compile",
        slow=True,
    ),
    Way(
        "PyTorch, dynamic int8",
        f"{_PEERS}.pytorch:dynamic_int8",
        "int8",
        _TORCH,
        _TORCH,
        "pip install transformers torch",
        "https://docs.pytorch.org/tutorials/intermediate/dynamic_quantization_bert_tutorial.html",
        slow=True,
    ),
    Way(
        "ONNX Runtime, dynamic int8",
        f"{_PEERS}.onnx_runtime:dynamic_int8",
        "int8",
        (*_TORCH, "onnxruntime"),
        ("onnxruntime", "tokenizers"),
        "pip install transformers torch onnxruntime",
        "https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html",
    ),
    Way(
        "OpenVINO, default precision",
        f"{_PEERS}.openvino:default",
        "bf16 or fp32",
        (*_TORCH, "openvino"),
        ("openvino", "tokenizers"),
        "pip install transformers torch openvino",
        "https://docs.openvino.ai/2025/openvino-workflow/running-inference/optimize-inference/high-level-performance-hints.html",
    ),
    Way(
        "OpenVINO, NNCF int8",
        f"{_PEERS}.openvino:nncf_int8",
        "int8",
        (*_TORCH, "openvino", "nncf"),
        ("openvino", "tokenizers"),
        "pip install transformers torch openvino nncf",
        "https://docs.openvino.ai/2025/openvino-workflow/model-optimization-guide/quantizing-models-post-training/"
        "basic-quantization-flow.html",
    ),
    Way(
        "CTranslate2, int8",
        f"{_PEERS}.ctranslate2:int8",
        "int8",
        (*_TORCH, "ctranslate2"),
        ("ctranslate2", "tokenizers"),
        "pip install transformers torch ctranslate2",
        "https://opennmt.net/CTranslate2/guides/transformers.html",
    ),
)
WAYS: tuple[Way, ...] = (*OURS, *PEERS)
