"""`pipeline()` takes names, folders and loaded models, and answers the same in threads, forks and spawns."""

from __future__ import annotations

import ast
import hashlib
import multiprocessing
import os
import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from bundles import dequantised_checkpoint, sentences
from tiny import tiny_checkpoint

from distilbert import DistilBertForSequenceClassification, DistilBertModel, DistilBertTokenizer, pipeline
from distilbert.errors import DistilBertError, ModelNotFoundError, OptionError, TruncationWarning
from distilbert.files.cache import cache_folder

if TYPE_CHECKING:
    from pathlib import Path

    from distilbert.tasks.classification import TextClassificationPipeline

TEXTS = [*sentences(70, seed=4), "", "film " * 700]

THE_EXAMPLE = """
from distilbert import DistilBertTokenizer, DistilBertForSequenceClassification, pipeline

tokenizer = DistilBertTokenizer.from_pretrained('distilbert-base-uncased-finetuned-sst-2-english')
model = DistilBertForSequenceClassification.from_pretrained('distilbert-base-uncased-finetuned-sst-2-english')
sentiment_analyzer = pipeline('sentiment-analysis', model=model, tokenizer=tokenizer)
result = sentiment_analyzer('I love learning about DistilBERT!')
print(result)
"""


def put_into_hugging_face_cache(hub: Path, name: str, checkpoint: Path) -> None:
    """Lay a checkpoint, but its tokenizer.json, as a download of the hub's leaves it: links into blobs."""
    folder = hub / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / ("0123456789abcdef" * 3)[:40]
    for place in (snapshot, folder / "blobs", folder / "refs"):
        place.mkdir(parents=True)
    (folder / "refs" / "main").write_text(snapshot.name)
    for file in ("config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"):
        data = (checkpoint / file).read_bytes()
        blob = folder / "blobs" / hashlib.sha256(data).hexdigest()
        blob.write_bytes(data)
        (snapshot / file).symlink_to(os.path.relpath(blob, snapshot))


@pytest.mark.parametrize(
    ("weights", "variable", "score"), [("starter", "HF_HOME", 0.9668), ("embedded", "HF_HUB_CACHE", 0.9971)]
)
def test_the_example_runs_with_only_its_import_changed(
    request: pytest.FixtureRequest, tmp_path: Path, weights: str, variable: str, score: float
) -> None:
    checkpoint: Path = request.getfixturevalue(weights)
    if weights == "embedded":
        checkpoint = dequantised_checkpoint(checkpoint, tmp_path / "float32")
    hub = tmp_path / "home" / "hub"
    put_into_hugging_face_cache(hub, "distilbert-base-uncased-finetuned-sst-2-english", checkpoint)
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "DISTILBERT_"))
    }
    places = {variable: str(hub if variable == "HF_HUB_CACHE" else hub.parent), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", THE_EXAMPLE],
        cwd=tmp_path,
        env={**inherited, **places, "DISTILBERT_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    [answer] = ast.literal_eval(done.stdout)
    assert answer == {"label": "POSITIVE", "score": pytest.approx(score, abs=0.02)}


@pytest.fixture(scope="module", params=["tiny_int8", "tiny_fp32", "embedded"])
def folder(request: pytest.FixtureRequest) -> Path:
    bundle: Path = request.getfixturevalue(request.param)
    return bundle


@pytest.fixture(scope="module")
def classify(folder: Path) -> TextClassificationPipeline:
    """A pipeline that has been used, so whatever it keeps from a call it now has."""
    loaded = pipeline(model=folder, threads=2, truncation=True)
    loaded(TEXTS[:40])
    return loaded


@pytest.fixture(scope="module")
def expected(folder: Path) -> list[dict[str, Any]]:
    """What one thread says."""
    return pipeline(model=folder, threads=1, truncation=True)(TEXTS)  # type: ignore[no-any-return]


def assert_same(answers: list[dict[str, Any]], expected: list[dict[str, Any]], folder: Path) -> None:
    if "fp32" in folder.name:  # batches of other shapes may differ in a float's last bits
        expected = [{**answer, "score": pytest.approx(answer["score"], abs=1e-6)} for answer in expected]
    assert answers == expected


def test_eight_threads_may_call_one_pipeline(
    classify: TextClassificationPipeline, expected: list[dict[str, Any]], folder: Path
) -> None:
    def call(number: int) -> list[dict[str, Any]]:
        begin = number * 9 % len(TEXTS)  # each thread has another order, so other batches
        answers = classify(TEXTS[begin:] + TEXTS[:begin])
        return answers[len(TEXTS) - begin :] + answers[: len(TEXTS) - begin]

    with ThreadPoolExecutor(8) as pool:
        for answers in pool.map(call, range(8)):
            assert_same(answers, expected, folder)


def test_a_pipeline_survives_a_fork(
    classify: TextClassificationPipeline, expected: list[dict[str, Any]], folder: Path
) -> None:
    context = multiprocessing.get_context("fork")
    answers: Any = context.SimpleQueue()
    children = [context.Process(target=lambda: answers.put(classify(TEXTS))) for _ in range(2)]
    for child in children:
        child.start()
    for _ in children:
        assert_same(answers.get(), expected, folder)
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert_same(classify(TEXTS), expected, folder)


def test_a_pipeline_may_be_sent_to_a_spawned_process(
    classify: TextClassificationPipeline, expected: list[dict[str, Any]], folder: Path
) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert_same(pool.submit(classify, TEXTS).result(timeout=120), expected, folder)


def test_a_pickled_pipeline_answers_and_warns_as_the_one_it_came_from(tiny_int8: Path) -> None:
    original = pipeline(model=tiny_int8, top_k=2)
    copy = pickle.loads(pickle.dumps(original))
    assert copy(TEXTS[:20]) == original(TEXTS[:20])
    with pytest.warns(TruncationWarning):
        copy("film " * 600)


def test_a_text_of_100_000_characters_is_answered_and_its_cut_said_once(folder: Path) -> None:
    book = "It was a very long story, and not boring. " * 2_500
    assert len(book) > 100_000
    classify = pipeline(model=folder)
    with pytest.warns(TruncationWarning, match="more than 512 tokens") as said:
        answers = [*classify(book), *classify([book, "good", book]), *classify(iter([book]))]
    assert len(said) == 1
    assert {answers[0]["score"]} == {answers[place]["score"] for place in (1, 3, 4)}
    cut = classify.tokenizer(book, truncation=True, max_length=512)["input_ids"]
    again = classify(classify.tokenizer.decode(cut, skip_special_tokens=True), truncation=True)
    assert again == [{**answers[0], "score": pytest.approx(answers[0]["score"], abs=1e-6)}]


def test_a_model_is_a_name_a_folder_or_loaded(tiny_classifier: Path, tiny_fp32: Path) -> None:
    answers = [
        pipeline("sentiment-analysis", model=tiny_fp32)("good"),
        pipeline("text-classification", str(tiny_fp32))("good"),
        pipeline(model=tiny_classifier)("good"),
        pipeline(model=DistilBertForSequenceClassification.from_pretrained(tiny_fp32))("good"),
    ]
    assert all(answer == answers[0] for answer in answers)


def test_the_packages_own_model_is_the_default(embedded: Path) -> None:
    sure = "A warm and funny film."
    answers = [
        pipeline("sentiment-analysis")(sure),
        pipeline("text-classification")(sure),
        pipeline("sentiment-analysis", model="distilbert-sst2")(sure),
        pipeline(model=embedded)(sure),
    ]
    assert answers[0][0]["label"] == "POSITIVE"
    assert all(answer == answers[0] for answer in answers)


def test_a_checkpoint_is_compiled_once_into_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILBERT_CACHE", str(tmp_path / "cache"))
    source = tiny_checkpoint(tmp_path / "checkpoint")
    before = sorted(source.iterdir())
    first = pipeline(model=source)("good")
    bundles = list((cache_folder() / "bundles").iterdir())
    assert len(bundles) == 1
    assert pipeline(model=source)("good") == first
    assert list((cache_folder() / "bundles").iterdir()) == bundles
    assert sorted(source.iterdir()) == before


def test_a_tokenizer_is_the_models_own_or_a_name_a_folder_or_loaded(tmp_path: Path, tiny_int8: Path) -> None:
    text = "A GOOD film"
    own = pipeline(model=tiny_int8)(text)
    cased = tiny_checkpoint(tmp_path / "cased")
    (cased / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    for tokenizer in (cased, str(cased), DistilBertTokenizer.from_pretrained(cased)):
        other = pipeline(model=tiny_int8, tokenizer=tokenizer)
        assert other(text) != own
        assert other("a good film") == own
    loaded = DistilBertForSequenceClassification.from_pretrained(tiny_int8)
    assert pipeline(model=loaded, tokenizer=cased)(text) != own


def test_options_given_here_are_those_of_every_call(tiny_int8: Path) -> None:
    classify = pipeline(
        model=tiny_int8, top_k=2, function_to_apply="none", truncation=True, batch_size=3, threads=3
    )
    assert classify.engine.workers == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [len(answer) for answer in classify(["film " * 600, "good"])] == [2, 2]


@pytest.mark.parametrize("device", [None, "cpu", -1])
def test_the_processor_may_be_named_as_a_device(tiny_int8: Path, device: object) -> None:
    assert pipeline(model=tiny_int8, device=device)("good")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        pytest.param({"task": "summarization"}, "not 'summarization'", id="another task"),
        pytest.param({}, "task must be one of", id="neither task nor model"),
        pytest.param({"device": 0}, "device must be 'cpu', not 0", id="a GPU by number"),
        pytest.param({"device": "cuda"}, "device must be 'cpu', not 'cuda'", id="a GPU"),
        pytest.param({"model": "no/such-model"}, "'no/such-model' is no folder here", id="no such model"),
        pytest.param({"model": 3}, "not int", id="a number as a model"),
        pytest.param({"model": object()}, "not object", id="an object as a model"),
        pytest.param({"threads": 0}, "threads must be a whole number", id="no threads"),
        pytest.param({"top_k": 0}, "top_k must be a whole number", id="a wrong option"),
        pytest.param({"topk": 1}, "topk", id="an unknown option"),
        pytest.param({"tokenizer": "no/such-tokenizer"}, "no/such-tokenizer", id="no such tokenizer"),
        pytest.param({"tokenizer": 7}, "tokenizer", id="a number as a tokenizer"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    tiny_int8: Path, arguments: dict[str, Any], fault: str
) -> None:
    if arguments:
        arguments = {"task": "text-classification", "model": tiny_int8, **arguments}
    with pytest.raises(DistilBertError, match=fault) as refusal:
        pipeline(**arguments)
    assert isinstance(refusal.value, (OptionError, ModelNotFoundError))
    assert len(str(refusal.value).splitlines()) == 2


def test_a_model_for_something_else_is_refused(tmp_path: Path) -> None:
    encoder = tiny_checkpoint(tmp_path / "encoder", head="none")
    with pytest.raises(OptionError, match="is a model for feature-extraction, not for text-classification"):
        pipeline("sentiment-analysis", model=encoder)
    with pytest.raises(
        OptionError, match="model must be a name, a folder or a model that runs, not DistilBertModel"
    ):
        pipeline("sentiment-analysis", model=DistilBertModel.from_pretrained(encoder))  # type: ignore[arg-type]
