"""PyTorch: transformers' pipeline, its model compiled, and its linears in dynamic int8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distilbert.bench.peers.batches import answering, settings
from distilbert.bench.ways import Loaded, Setting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distilbert.bench.peers.batches import Ids, Logits, Run
    from distilbert.bench.ways import Source


def pipeline_1(source: Source) -> Loaded:
    """The pipeline of transformers as most call it."""
    return _pipeline(source, 1)


def pipeline_32(source: Source) -> Loaded:
    """The same told to batch: in order of arrival, which is all it does."""
    return _pipeline(source, 32)


def _pipeline(source: Source, size: int) -> Loaded:
    import torch
    import transformers

    torch.set_num_threads(source.threads)
    # A checkpoint may be stored in float16, which a processor computes many times as slowly.
    classify = transformers.pipeline("text-classification", str(source.checkpoint), dtype=torch.float32)

    def answer(texts: list[str]) -> Any:
        return classify(texts, batch_size=size, truncation=True, max_length=source.max_length)

    def cut(lengths: Sequence[int]) -> list[range]:
        return [range(start, min(start + size, len(lengths))) for start in range(0, len(lengths), size)]

    return Loaded([Setting(f"{size} texts, as they come", answer, cut)], answer)


def compiled(source: Source) -> Loaded:
    """The model compiled once for all shapes (`dynamic=True`): sorted batches have a new one each."""
    import torch

    model = classifier(source)
    run = _run(torch.compile(model, dynamic=True))
    return Loaded(settings(run, source, (32,)), answering(run, source, 1))


def dynamic_int8(source: Source) -> Loaded:
    """Weights of the linears in int8, scales of what enters them found anew in each call."""
    import torch

    model = torch.ao.quantization.quantize_dynamic(  # type: ignore[no-untyped-call]
        classifier(source), {torch.nn.Linear}, dtype=torch.qint8, inplace=True
    )
    run = _run(model)
    return Loaded(settings(run, source), answering(run, source, 1))


def classifier(source: Source, **options: Any) -> Any:
    """The model of transformers in float32, ready to predict with the source's threads."""
    import torch
    import transformers

    torch.set_num_threads(source.threads)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        source.checkpoint, dtype=torch.float32, **options
    )
    return model.eval()


def _run(model: Any) -> Run:
    import torch

    def run(batches: Sequence[tuple[Ids, Ids]]) -> list[Logits]:
        with torch.inference_mode():
            return [
                model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.numpy()
                for ids, mask in batches
            ]

    return run
