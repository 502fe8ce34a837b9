"""Called alike, ours and transformers' text classification answer alike: shapes, labels, scores within 1e-4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from bundles import sentences
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import save_checkpoint, tiny_arrays, tiny_checkpoint, tiny_config

import distilbert

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.parity

KINDS = {
    "single-label": {"labels": ("BAD", "SO-SO", "GOOD", "NONE")},
    "told single-label": {"labels": ("A", "B"), "problem_type": "single_label_classification"},
    "multi-label": {"labels": ("A", "B", "C"), "problem_type": "multi_label_classification"},
    "regression": {"labels": ("SCORE",), "problem_type": "regression"},
    "regression of two": {"labels": ("X", "Y"), "problem_type": "regression"},
    "one label": {"labels": ("SPAM",)},
    "bert": {"model_type": "bert", "labels": ("BAD", "GOOD", "NONE")},
}
TEXT = "it was a very good film, and funny"
LIST = ["a bad movie!", "great", "", "boring story but good acting"]
PAIR = {"text": "I love this film", "text_pair": "it is terrible"}
LONG = "the movie was not really that good " * 12  # of 64 positions


class Both:
    """One checkpoint behind both libraries' pipelines."""

    def __init__(self, folder: Path) -> None:
        import torch
        import transformers

        torch.set_num_threads(1)  # these models are too small to share out
        self._model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self._folder = folder

    def theirs(self, **options: Any) -> Any:
        import transformers

        return transformers.pipeline(
            "text-classification", model=self._model, tokenizer=self._tokenizer, device="cpu", **options
        )

    def ours(self, **options: Any) -> Any:
        return distilbert.pipeline("text-classification", model=self._folder, **options)


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    return both(tmp_path_factory.mktemp("kind") / "checkpoint", **KINDS[request.param])


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Both:
    return both(tmp_path_factory.mktemp("single") / "checkpoint", **KINDS["single-label"])


def both(folder: Path, **settings: Any) -> Both:
    tiny_checkpoint(folder, **settings)
    config = tiny_config(**settings)
    arrays = tiny_arrays(config)
    arrays["classifier.weight"] *= 2  # labels far apart, so that a last bit changes no order
    return Both(save_checkpoint(folder, config, arrays, prefix=f"{config.model_type}."))


def assert_same(ours: Any, theirs: Any) -> None:
    """Of one structure, with equal labels and scores within 1e-4."""
    assert type(ours) is type(theirs)
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for our, their in zip(ours, theirs, strict=True):
            assert_same(our, their)
    else:
        assert ours == {"label": theirs["label"], "score": pytest.approx(theirs["score"], abs=1e-4)}


INPUTS = pytest.mark.parametrize(
    "inputs",
    [TEXT, [TEXT], LIST, PAIR, [PAIR, PAIR], {"text": TEXT}],
    ids=["text", "list of one", "list", "pair", "list of pairs", "dict without a pair"],
)


@INPUTS
@pytest.mark.parametrize("options", [{}, {"top_k": 1}, {"top_k": 2}, {"top_k": None}], ids=str)
def test_every_convention_of_calling(kind: Both, inputs: Any, options: dict[str, Any]) -> None:
    theirs, ours = kind.theirs(), kind.ours()
    assert_same(ours(inputs, **options), theirs(inputs, **options))
    assert_same(ours(inputs), theirs(inputs))  # what a call was given is forgotten after it


@INPUTS
@pytest.mark.parametrize("options", [{"top_k": 1}, {"top_k": 2}, {"top_k": None}], ids=str)
def test_top_k_at_construction(single: Both, inputs: Any, options: dict[str, Any]) -> None:
    theirs, ours = single.theirs(**options), single.ours(**options)
    assert_same(ours(inputs), theirs(inputs))
    assert_same(ours(inputs, top_k=3), theirs(inputs, top_k=3))


@pytest.mark.parametrize("function", ["softmax", "sigmoid", "none"])
def test_every_function(kind: Both, function: str) -> None:
    theirs, ours = kind.theirs(), kind.ours()
    for inputs in (TEXT, LIST):
        options = {"function_to_apply": function, "top_k": None}
        assert_same(ours(inputs, **options), theirs(inputs, **options))
    fixed = {"function_to_apply": function}
    assert_same(kind.ours(**fixed)(TEXT), kind.theirs(**fixed)(TEXT))
    other = {"function_to_apply": "none"}
    assert_same(kind.ours(**fixed)(TEXT, **other), kind.theirs(**fixed)(TEXT, **other))


@pytest.mark.parametrize(
    "options",
    [
        {"truncation": True},
        {"truncation": "longest_first"},
        {"truncation": "only_first"},
        {"truncation": True, "max_length": 20},
        {"truncation": True, "max_length": 3},
        {"truncation": True, "max_length": 500, "batch_size": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("at_construction", [False, True])
def test_truncation(single: Both, options: dict[str, Any], at_construction: bool) -> None:
    if options.get("max_length") == 500:  # transformers would read beyond the model's positions here
        ours, theirs = single.ours()(LONG, **options), single.theirs()(LONG, truncation=True)
    elif at_construction:
        ours, theirs = single.ours(**options)([LONG, TEXT]), single.theirs(**options)([LONG, TEXT])
    else:
        ours, theirs = single.ours()([LONG, TEXT], **options), single.theirs()([LONG, TEXT], **options)
    assert_same(ours, theirs)


@pytest.mark.parametrize("strategy", [True, "longest_first", "only_first", "only_second"])
@pytest.mark.parametrize("model_type", ["distilbert", "bert"])
def test_truncation_of_pairs(tmp_path: Path, model_type: str, strategy: object) -> None:
    models = both(tmp_path / "checkpoint", model_type=model_type, labels=("A", "B"))
    ours, theirs = models.ours(), models.theirs()
    for words in ((60, 50), (90, 20), (20, 90), (61, 0)):
        first, second = words
        pair = {"text": "film " * first, "text_pair": "really good " * (second // 2)}
        if (strategy == "only_first" and second > 60) or (strategy == "only_second" and first > 60):
            continue  # nothing would be left of what is cut
        assert_same(ours(pair, truncation=strategy), theirs(pair, truncation=strategy))


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("padding", [True, "longest"])
def test_batches_and_padding(single: Both, batch_size: int, padding: object) -> None:
    texts = sentences(40, seed=7)
    options = {"batch_size": batch_size, "padding": padding}
    assert_same(single.ours()(texts, **options), single.theirs()(texts, **options))
    assert_same(single.ours(**options)(texts), single.theirs(**options)(texts))


def test_a_generator_answers_as_it_goes(single: Both) -> None:
    texts = sentences(30, seed=8)
    ours, theirs = (pipe(text for text in texts) for pipe in (single.ours(), single.theirs()))
    assert not isinstance(ours, list)
    assert not isinstance(theirs, list)
    assert_same(list(ours), list(theirs))


@settings(max_examples=30)
@given(
    st.lists(st.one_of(st.sampled_from(sentences(50, seed=9)), st.text(max_size=60)), min_size=1, max_size=5)
)
def test_any_text(single: Both, texts: list[str]) -> None:
    options = {"top_k": None, "truncation": True}
    assert_same(single.ours()(texts, **options), single.theirs()(texts, **options))
