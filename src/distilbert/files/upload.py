"""A folder -> a commit on the hub. Imported only when something is pushed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
)

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
    except (
        HfHubHTTPError,
        HFValidationError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
        OSError,
    ) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise HubError(
            f"{repo} cannot be written at {constants.ENDPOINT}: {reason}",
            "Check the name, and that HF_TOKEN or `hf auth login` gives a token that may write there.",
        ) from error
