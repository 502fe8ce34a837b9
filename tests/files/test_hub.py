"""A name is a folder on disk, else an embedded model, else a model on the hub, here offline: in its cache or unknown.

`test_hub_download.py` has a hub to download from.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert.errors import ModelNotFoundError
from distilbert.files import hub
from distilbert.files.hub import embedded_models, resolve


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache, the only one."""
    folder = tmp_path / "hugging-face"
    folder.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def embedded_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that ships two models."""
    for name in ("tiny-b", "tiny-a", "no-model"):
        (tmp_path / "embedded" / name).mkdir(parents=True)
    for name in ("tiny-a", "tiny-b"):
        (tmp_path / "embedded" / name / "bundle.json").write_text("{}")
    monkeypatch.setattr(hub, "EMBEDDED", tmp_path / "embedded")
    return tmp_path / "embedded"


def cached(cache: Path, name: str, revision: str = "0123abc", main: bool = True) -> Path:
    """Store a model as huggingface_hub does: blobs, snapshots that link to them, and refs to the snapshots.

    Its files are empty: none is read to find them.
    """
    repository = cache / f"models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir(exist_ok=True)
    (repository / "blobs" / revision).write_text("{}")
    for file in ("config.json", "model.safetensors"):
        (snapshot / file).symlink_to(f"../../blobs/{revision}")
    if main:
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / "main").write_text(revision)
    return snapshot


def test_a_folder_is_itself(here: Path) -> None:
    (here / "model").mkdir()
    assert resolve("model") == Path("model")
    assert resolve(Path("model")) == Path("model")
    assert resolve(here / "model") == here / "model"
    assert resolve(f"{here}/model/") == here / "model"
    assert resolve(".") == Path()


def test_a_link_to_a_folder_is_a_folder(here: Path) -> None:
    (here / "model").mkdir()
    (here / "link").symlink_to("model")
    assert resolve("link") == Path("link")


def test_an_embedded_model_is_found_by_its_name(here: Path, embedded_names: Path) -> None:
    assert embedded_models() == ["tiny-a", "tiny-b"]
    assert resolve("tiny-a") == embedded_names / "tiny-a"


def test_what_is_on_disk_goes_before_what_is_embedded_and_that_before_the_cache(
    here: Path, embedded_names: Path, hugging_face: Path
) -> None:
    snapshot = cached(hugging_face, "tiny-a")
    assert resolve("tiny-a") == embedded_names / "tiny-a"
    (here / "tiny-a").mkdir()
    assert resolve("tiny-a") == Path("tiny-a")
    (embedded_names / "tiny-a" / "bundle.json").unlink()
    (here / "tiny-a").rmdir()
    assert resolve("tiny-a") == snapshot


@pytest.mark.parametrize("name", ["bare-name", "owner/name", "an_owner/Name-1.5"])
def test_a_model_in_the_hugging_face_cache_is_the_snapshot_of_its_main_revision(
    name: str, here: Path, hugging_face: Path
) -> None:
    cached(hugging_face, name, "old", main=False)
    assert_unknown(name)  # a download that never ended has no ref
    newest = cached(hugging_face, name, "new")
    cached(hugging_face, name, "another", main=False)
    assert resolve(name) == newest
    assert (resolve(name) / "config.json").read_text() == "{}"


def test_a_cached_model_without_config_is_not_there(here: Path, hugging_face: Path) -> None:
    (cached(hugging_face, "owner/name") / "config.json").unlink()
    assert_unknown("owner/name")
    # that the hub has no such file is remembered too
    marker = hugging_face / "models--owner--name" / ".no_exist" / "0123abc" / "config.json"
    marker.parent.mkdir(parents=True)
    marker.touch()
    assert_unknown("owner/name")


def assert_unknown(name: str) -> None:
    with pytest.raises(ModelNotFoundError) as raised:
        resolve(name)
    said = f"{name!r} is no folder here, no embedded model ("
    assert said[:900] in raised.value.fault
    assert raised.value.next_step.startswith("Check the spelling")


def test_an_unknown_name_is_answered_with_the_embedded_models(
    here: Path, embedded_names: Path, hugging_face: Path
) -> None:
    with pytest.raises(ModelNotFoundError) as raised:
        resolve("tiny-c")
    assert str(raised.value) == (
        "'tiny-c' is no folder here, no embedded model (tiny-a, tiny-b) and at revision main not in the local "
        "Hugging Face cache; HF_HUB_OFFLINE keeps it from being downloaded.\n"
        "Check the spelling, or unset HF_HUB_OFFLINE."
    )


@pytest.mark.parametrize("name", ["model.onnx", "./model.onnx"])
def test_a_file_is_no_model(name: str, here: Path) -> None:
    (here / "model.onnx").write_bytes(b"")
    with pytest.raises(ModelNotFoundError, match="is a file, and a model is a folder"):
        resolve(name)


WEIRD = [
    "",
    " ",
    "../x",
    "a/b/c",
    "name with space",
    "/not/there",
    "~",
    "a--b",
    "a..b",
    "name.git",
    "-x",
    "--model",
    "é",
    "a/",
    "/",
    "a\0b",
    "a\nb",
    "\udcff",
    "a" * 97,
    "a" * 300,
    "a/" * 3000,
    "CON",
    "owner/name@main",
    "https://huggingface.co/owner/name",
    "..\\x",
    "models--owner--name",
    "${HOME}",
    "distilbert-sst2\n",
]


@pytest.mark.parametrize("name", WEIRD, ids=lambda name: ascii(name)[:20])
def test_a_weird_name_is_an_unknown_model_or_a_folder(name: str, here: Path, hugging_face: Path) -> None:
    if Path(name).is_absolute() and name == "/":
        assert resolve(name) == Path("/")
    else:
        assert_unknown(name)


def test_a_broken_link_and_one_to_itself_are_unknown(here: Path, hugging_face: Path) -> None:
    (here / "broken").symlink_to("gone")
    (here / "circle").symlink_to("circle")
    assert_unknown("broken")
    assert_unknown("circle")


@given(st.text())
def test_no_text_makes_another_error(name: str) -> None:
    try:
        assert resolve(name).is_dir()
    except ModelNotFoundError as error:
        assert error.fault.startswith((repr(name), os.fspath(name)))  # noqa: PT017


def test_what_is_no_name_at_all_is_a_mistake_of_the_program() -> None:
    with pytest.raises(TypeError):
        resolve(None)  # type: ignore[arg-type]
