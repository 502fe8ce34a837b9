"""A PyTorch model answers as the graph that is compiled from its checkpoint: in the run classes, and in pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bundles import sentences
from tiny import tiny_checkpoint

import distilbert
from distilbert import DistilBertTokenizer, models, pipeline
from distilbert.errors import OptionError
from distilbert.files.checkpoint import TASKS
from distilbert.files.config import DistilBertConfig
from distilbert.graph.heads import HEADS
from distilbert.pipelines import TASKS as PIPELINES

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.files.checkpoint import Head
    from distilbert.files.config import ModelType

pytestmark = pytest.mark.parity

CLOSE = 1e-4
FAMILIES: tuple[ModelType, ...] = ("distilbert", "bert")
TEXTS: dict[str, list[Any]] = {
    "text-classification": [*sentences(40), {"text": "a good film", "text_pair": "it was boring"}],
    "feature-extraction": sentences(10),
    "fill-mask": [f"{text} [MASK] film" for text in sentences(10)] + ["the [MASK] is [MASK] good"],
    "question-answering": [
        {"question": question, "context": context}
        for question, context in zip(sentences(10), sentences(10, seed=2), strict=True)
    ],
    "token-classification": sentences(10),
}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A checkpoint of each family and head, of 512 positions, made when it is first asked for."""
    made: dict[tuple[ModelType, Head], Path] = {}
    root = tmp_path_factory.mktemp("checkpoints")

    def make(family: ModelType, head: Head) -> Path:
        if (family, head) not in made:
            folder = root / f"{family}-{head}"
            made[family, head] = tiny_checkpoint(
                folder, model_type=family, head=head, max_position_embeddings=512
            )
        return made[family, head]

    return make


def load(folder: Path, family: ModelType, head: Head) -> Any:
    return models.model_class(family, head).from_pretrained(folder)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_an_engine_of_pytorch_serves_the_run_classes(checkpoints: Any, family: ModelType, head: Head) -> None:
    folder = checkpoints(family, head)
    kind = {task.task: task for task in vars(distilbert.runtime).values() if hasattr(task, "output")}[
        TASKS[head]
    ]
    graph = kind.from_pretrained(folder)
    model = load(folder, family, head)
    wrapped = kind(graph.config, model.engine, folder)
    assert wrapped.engine.input_names == graph.engine.input_names
    assert wrapped.engine.output_names == graph.engine.output_names
    encoded = DistilBertTokenizer.from_pretrained(folder)(
        sentences(30), sentences(30, seed=2), padding=True, return_tensors="np"
    )
    inputs = {**encoded, "token_type_ids": encoded.get("token_type_ids", np.zeros_like(encoded["input_ids"]))}
    expected, found = graph(**inputs), wrapped(**inputs)
    real = inputs["attention_mask"].astype(bool)
    for name in graph.engine.output_names:
        assert found[name].dtype == np.float32
        per_token = found[name].shape[:2] == real.shape
        pick = real if per_token else slice(None)
        np.testing.assert_allclose(found[name][pick], expected[name][pick], rtol=0, atol=CLOSE)
        assert expected[name].std() > 0.05  # else anything near 0 would do


@pytest.mark.parametrize("task", PIPELINES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_pipeline_gives_the_same_results(checkpoints: Any, family: ModelType, task: str) -> None:
    head = {task: head for head, task in TASKS.items()}[task]
    folder = checkpoints(family, head)
    model, texts = load(folder, family, head), TEXTS[task]
    graph = pipeline(task, model=folder)
    answers = pipeline(task, model=model, tokenizer=DistilBertTokenizer.from_pretrained(folder))(texts)
    alike(answers, graph(texts))
    alike(pipeline(model=model)(texts), answers)  # where it was loaded from, its tokenizer lies


def alike(found: Any, expected: Any) -> None:
    """The same answers, but for scores that differ in their last digits."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            alike(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            alike(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=CLOSE)
    else:
        assert found == expected


def test_pipelines_answer_alike_from_the_embedded_models_weights(embedded: Path) -> None:
    text = "I love learning about DistilBERT!"
    [answer] = pipeline(model=models.DistilBertForSequenceClassification.from_pretrained(embedded))(text)
    [int8] = pipeline(model=embedded)(text)
    assert answer["label"] == int8["label"]
    assert answer["score"] == pytest.approx(int8["score"], abs=0.01)  # activations are not rounded here


def test_what_a_model_learns_is_seen_at_once_and_a_pipeline_answers_without_dropout(checkpoints: Any) -> None:
    model = load(
        checkpoints("distilbert", "sequence-classification"), "distilbert", "sequence-classification"
    )
    classify = pipeline(model=model)
    first = classify("a good film")
    model.train()
    assert classify("a good film") == first
    model.classifier.bias.data += model.classifier.bias.new_tensor([5.0, 0.0])
    assert classify("a good film") != first


def test_a_model_made_from_a_config_needs_a_tokenizer() -> None:
    model = models.DistilBertModel(
        DistilBertConfig(vocab_size=50, dim=8, n_heads=2, n_layers=1, hidden_dim=8)
    )
    with pytest.raises(OptionError, match="tokenizer must be a name, a folder or a distilbert"):
        pipeline("feature-extraction", model=model)


def test_a_model_is_not_put_to_a_task_of_another_head(checkpoints: Any) -> None:
    model = load(checkpoints("distilbert", "question-answering"), "distilbert", "question-answering")
    with pytest.raises(OptionError, match="model must be a name, a folder or a model that runs"):
        pipeline("text-classification", model=model)


def test_masked_rows_alone_get_the_logits_that_all_rows_would(checkpoints: Any) -> None:
    import torch

    model = load(checkpoints("bert", "masked-lm"), "bert", "masked-lm")
    ids, positions = torch.tensor([[2, 7, 4, 8, 3], [2, 4, 9, 4, 3]]), torch.tensor([[2, 0], [1, 3]])
    whole, some = model(ids).logits, model(ids, positions=positions).logits
    torch.testing.assert_close(some, whole[torch.arange(2)[:, None], positions])


def test_on_cuda_a_copy_runs_in_half_precision(checkpoints: Any) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    model = load(checkpoints("bert", "sequence-classification"), "bert", "sequence-classification")
    on_processor = pipeline(model=model)(TEXTS["text-classification"])
    on_device = pipeline(model=model.to("cuda"))(TEXTS["text-classification"])
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    differences = [abs(a["score"] - b["score"]) for a, b in zip(on_processor, on_device, strict=True)]
    assert max(differences) < 0.02
