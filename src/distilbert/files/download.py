"""A model on the hub -> its folder in the Hugging Face cache, into which the files that it lacks are downloaded.

Cache, revisions, tokens and offline mode are huggingface_hub's, as people have them set up. A branch becomes a
commit by one request, and then only files that run a model are asked for, by name and at that commit. What a
branch means offline changes when all of them are there. Imported only when a model on the hub is named.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from distilbert.errors import DistilBertError, HubError, ModelNotFoundError, StorageError
from distilbert.files.bundle import MANIFEST, read_manifest
from distilbert.files.hub import TOKENIZER, embedded_models
from distilbert.files.weights import INDEX, SINGLE, shards_of

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = "config.json"


def download(repo: str, revision: str, *, weights: bool) -> Path:
    """The folder of `repo` ("owner/name" or "name") at a branch, tag or commit, with the files that are needed.

    Those are `config.json` and the tokenizer's and, with `weights`, `model.safetensors` or its shards; of a bundle,
    what its `bundle.json` vouches for. Where the hub cannot be asked, what the cache has is taken.
    Raises `ModelNotFoundError`, `HubError`, `StorageError`, and `BundleError` or `CheckpointError` for a
    `bundle.json` or an index of shards that names files elsewhere.
    """
    with _told(repo, revision, CONFIG):
        known = _cached_commit(repo, revision)
        snapshot = _snapshot(repo, revision, known)
    folder = snapshot.need(CONFIG).parent
    if snapshot.has(MANIFEST):
        for file in read_manifest(folder / MANIFEST).files:
            if weights or file in TOKENIZER:
                snapshot.need(file)
    else:
        for file in TOKENIZER:
            snapshot.has(file)
        if weights:
            _download_weights(snapshot, folder)
    if snapshot.commit != known:
        with _told(repo, revision, CONFIG):
            hf_hub_download(repo, CONFIG, revision=revision)  # the branch means this commit from now on
    return folder


def _download_weights(snapshot: _Snapshot, folder: Path) -> None:
    if snapshot.has(SINGLE):
        return
    if not snapshot.has(INDEX):
        raise snapshot.missing(
            SINGLE, "Only safetensors are read. Name another model, or save this one as such."
        )
    for shard in shards_of(folder / INDEX):
        snapshot.need(shard)


@dataclass(frozen=True)
class _Snapshot:
    """A repository at one commit; `failure`: why the hub did not say which one the revision means now."""

    repo: str
    revision: str
    commit: str
    failure: Exception | None = None

    @cached_property
    def unreachable(self) -> Exception | None:
        """Why the hub cannot be asked for what the cache lacks; a known commit is asked for only when this matters."""
        if self.failure or self.commit != self.revision:
            return self.failure
        try:
            _ask_for_commit(self.repo, self.commit)
        except Exception as error:  # as in _snapshot
            return error
        return None

    def has(self, file: str) -> bool:
        """Whether the file is there; if the hub has it, it now is in the cache."""
        with _told(self.repo, self.revision, file):
            cached = try_to_load_from_cache(self.repo, file, revision=self.commit)
            if cached is not None or self.unreachable:
                return isinstance(cached, str)  # else: known not to exist
            try:
                hf_hub_download(self.repo, file, revision=self.commit)
            except (HfHubHTTPError, LocalEntryNotFoundError) as error:
                if _status(_reason(error)) == 404:
                    return False
                raise
        return True

    def need(self, file: str) -> Path:
        """The file's path in the cache."""
        if not self.has(file):
            raise self.missing(file, "Name another model or another revision of it.")
        return Path(str(try_to_load_from_cache(self.repo, file, revision=self.commit)))

    def missing(self, file: str, next_step: str) -> DistilBertError:
        if self.unreachable:
            return HubError(
                f"The local Hugging Face cache has {self.repo} at revision {self.revision} without {file:.200}, and "
                f"{constants.ENDPOINT} cannot be asked: {_first_line(_reason(self.unreachable))}.",
                "Try again with the network on and HF_HUB_OFFLINE unset.",
            )
        return HubError(
            f"{self.repo} has no {file:.200} at revision {self.revision} ({constants.ENDPOINT}).", next_step
        )


def _cached_commit(repo: str, revision: str) -> str | None:
    """The commit that the revision last meant on this machine, if its config.json is in the cache."""
    config = try_to_load_from_cache(repo, CONFIG, revision=revision)
    return Path(config).parent.name if isinstance(config, str) else None


def _snapshot(repo: str, revision: str, known: str | None) -> _Snapshot:
    """Ask the hub for the revision's commit, unless it is a commit that is known; or else take the known one."""
    if revision == known:
        return _Snapshot(repo, revision, revision)
    try:
        return _Snapshot(repo, revision, _ask_for_commit(repo, revision))
    except (RevisionNotFoundError, RemoteEntryNotFoundError):
        raise
    except Exception as error:  # network, TLS, proxies, captive portals, refused tokens
        if known is None:
            raise
        return _Snapshot(repo, revision, known, failure=error)


def _ask_for_commit(repo: str, revision: str) -> str:
    if constants.HF_HUB_OFFLINE:
        raise OfflineModeIsEnabled("HF_HUB_OFFLINE is set")
    url = hf_hub_url(repo, CONFIG, revision=revision)
    metadata = get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    if metadata.etag is None or not re.fullmatch(r"\w[\w.-]*", metadata.commit_hash or ""):
        raise FileMetadataError
    return str(metadata.commit_hash)


class _Fault(NamedTuple):
    keys: tuple[type[Exception] | int, ...]  # what the library raises, or an HTTP status
    kind: type[DistilBertError]
    fault: str
    next_step: str


# The first row that fits is taken.
_FAULTS = (
    _Fault(
        (HFValidationError,),
        ModelNotFoundError,
        "{repo!r} is no folder here, no embedded model ({embedded}) and no name that a model on the hub can have.",
        "Check the spelling.",
    ),
    _Fault(
        (OfflineModeIsEnabled,),
        ModelNotFoundError,
        "{repo!r} is no folder here, no embedded model ({embedded}) and at revision {revision} not in the local "
        "Hugging Face cache; HF_HUB_OFFLINE keeps it from being downloaded.",
        "Check the spelling, or unset HF_HUB_OFFLINE.",
    ),
    _Fault(
        (RevisionNotFoundError,),
        ModelNotFoundError,
        "{repo} has no revision {revision!r} at {endpoint}.",
        "Name a branch, tag or commit of it, or leave revision out for its main branch.",
    ),
    _Fault(
        (GatedRepoError,),
        HubError,
        "{endpoint} hands {repo} only to those who asked for access.",
        "Ask at {endpoint}/{repo}, then set HF_TOKEN.",
    ),
    _Fault(
        (RemoteEntryNotFoundError,),
        HubError,
        "{repo} has no {file} at revision {revision} ({endpoint}).",
        "Name a model that is saved in Hugging Face's layout.",
    ),
    _Fault(
        (RepositoryNotFoundError, 404),
        ModelNotFoundError,
        "{repo!r} is no folder here, no embedded model ({embedded}), and {endpoint} has no such model at revision "
        "{revision} that may be read {token}.",
        "Check the spelling; a private model needs HF_TOKEN.",
    ),
    _Fault(
        (401, 403),
        HubError,
        "{endpoint} refused {repo} ({status}), which was asked for {token}.",
        "Set HF_TOKEN to a token that may read it, or unset a wrong one if the model is public.",
    ),
    _Fault(
        (FileMetadataError,),
        HubError,
        "{endpoint} did not answer as a hub does when asked for {file} of {repo}: no commit or no ETag.",
        "Check HF_ENDPOINT, and whether a proxy or a login page answers in its place.",
    ),
    _Fault(
        (Exception,),
        HubError,
        "{file} of {repo} cannot be downloaded from {endpoint}: {reason}.",
        "Check the network and HF_ENDPOINT and try again, or name a folder or an embedded model ({embedded}).",
    ),
)


@contextmanager
def _told(repo: str, revision: str, file: str) -> Iterator[None]:
    """Raise what the library raises as an error of ours that names model, file and endpoint."""
    try:
        yield
    except Exception as error:  # the library raises its own kinds, httpx's, OSError, ValueError, ...
        raise _error(error, repo, revision, file) from error


def _error(error: Exception, repo: str, revision: str, file: str) -> DistilBertError:
    reason = _reason(error)
    if isinstance(reason, OSError) and reason.errno is not None:
        return StorageError(
            f"The Hugging Face cache {constants.HF_HUB_CACHE} cannot hold {file} of {repo}: {reason.strerror}.",
            "Free space, or set HF_HUB_CACHE to another folder; nothing was left half-written.",
        )
    status = _status(reason)
    names = {
        "repo": repo,
        "revision": revision,
        "file": file,
        "endpoint": constants.ENDPOINT,
        "embedded": ", ".join(embedded_models()),
        "status": status,
        "token": "with this token" if _sent_token(reason) else "without a token",
        "reason": _first_line(reason),
    }
    row = next(row for row in _FAULTS if any(_fits(key, reason, status) for key in row.keys))
    return row.kind(row.fault.format(**names), row.next_step.format(**names))


def _fits(key: type[Exception] | int, reason: BaseException, status: int | None) -> bool:
    return status == key if isinstance(key, int) else isinstance(reason, key)


def _reason(error: BaseException) -> BaseException:
    """The library wraps what went wrong on the way to the hub in "not in the cache"."""
    return error.__cause__ if isinstance(error, LocalEntryNotFoundError) and error.__cause__ else error


def _status(reason: BaseException) -> int | None:
    return reason.response.status_code if isinstance(reason, HfHubHTTPError) else None


def _sent_token(reason: BaseException) -> bool:
    return isinstance(reason, HfHubHTTPError) and "authorization" in reason.response.request.headers


def _first_line(reason: BaseException) -> str:
    lines = [line.strip() for line in str(reason).splitlines() if line.strip()]
    return (lines[0][:200].rstrip(".") if lines else type(reason).__name__) or type(reason).__name__
