"""A folder -> a commit on the hub. Imported only when something is pushed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from huggingface_hub import HfApi, constants

from distilbert.errors import HubError

if TYPE_CHECKING:
    from pathlib import Path


def upload(folder: Path, repo: str, private: bool | None, message: str) -> str:
    """Make the model `repo` ("owner/name") where it is not there, commit the folder's files, return the address.

    Raises `HubError` for what the hub refuses, and where it cannot be reached.
    """
    api = HfApi()
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=repo, folder_path=folder, commit_message=message))
    except Exception as error:  # the library raises its own kinds, httpx's, OSError, ValueError, ...
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[0][:200].rstrip(".") if lines else type(error).__name__
        raise HubError(
            f"{repo} cannot be written at {constants.ENDPOINT}: {reason}.",
            "Check the name, and that HF_TOKEN or `hf auth login` gives a token that may write there.",
        ) from error
