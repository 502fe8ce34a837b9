"""A folder is pushed to a hub on loopback, and read from there again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hub_server import Hub, serve
from huggingface_hub import constants

from distilbert.errors import HubError
from distilbert.files.hub import resolve
from distilbert.files.upload import upload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with serve() as hub:
        hub.write_token = "hf_mine"
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", "hf_mine")
        yield hub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "README.md").write_text("---\nlicense: mit\n---\n")
    return tmp_path / "model"


def test_a_folder_becomes_a_commit_that_can_be_read_by_its_name(hub: Hub, folder: Path) -> None:
    url = upload(folder, "me/model", private=True, message="First")
    assert url.startswith(f"{hub.endpoint}/me/model/commit/")
    assert hub.repos["me/model"]["main"]["config.json"] == b"{}"
    assert hub.messages == ["First"]
    (folder / "config.json").write_text('{"a": 1}')
    upload(folder, "me/model", private=None, message="Second")
    assert (resolve("me/model", weights=False) / "config.json").read_text() == '{"a": 1}'


@pytest.mark.parametrize("token", ["hf_another", ""], ids=["a wrong token", "none"])
def test_who_may_not_write_is_told_what_to_check(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubError, match=f"me/model cannot be written at {hub.endpoint}: ") as refusal:
        upload(folder, "me/model", None, "First")
    assert "HF_TOKEN" in refusal.value.next_step
    assert len(str(refusal.value).splitlines()) == 2
    assert not hub.repos


def test_a_name_that_no_model_can_have_is_refused(hub: Hub, folder: Path) -> None:
    with pytest.raises(HubError, match="a/b/c cannot be written"):
        upload(folder, "a/b/c", None, "First")


def test_a_hub_that_does_not_answer_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(HubError, match="me/model cannot be written at http://127"):
        upload(folder, "me/model", None, "First")
