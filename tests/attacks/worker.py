"""A process that loads what it is told to load and says what became of it: one line of JSON in, one out.

It serves many attacks, so that each costs milliseconds. Three watches make sure that nobody has to trust the code
under attack: memory by the kernel's high-water mark, which counts native allocations too; a limit on the address
space, so that a bomb ends this process and not the machine; and an audit hook for files and processes.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEXT = "I love learning about this movie, and the acting!"
ADDRESS_SPACE = 1 << 30  # bytes beyond those of the warm process
_READABLE = tuple(
    os.path.realpath(path)
    for path in (sys.prefix, sys.base_prefix, *sys.path, "/proc", "/sys", "/dev/null")
    if path
)
_CHANGES = (
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.truncate",
)
_FORBIDDEN = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "socket.connect",
    "exec",
)

_watched: list[str] | None = None  # while an attack runs: what it did that it must not
_own: tuple[str, ...] = ()  # where it may read
_writable: tuple[str, ...] = ()  # where it may write


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if _watched is None:
        return
    if event == "open":
        path, mode, flags = args
        if isinstance(path, int):
            return
        writes = bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or any(
            c in (mode or "") for c in "wax+"
        )
        if not _inside(path, _writable if writes else _own):
            _watched.append(f"{'wrote' if writes else 'read'} {os.fsdecode(path)}")
    elif event in _CHANGES:
        _watched.extend(
            f"{event} {os.fsdecode(path)}"
            for path in args
            if isinstance(path, str | bytes | os.PathLike) and not _inside(path, _writable)
        )
    elif event in _FORBIDDEN and not (event == "exec" and _is_code_of_ours(args[0])):
        _watched.append(f"{event} {args!r:.200}")


def _inside(path: str | bytes | os.PathLike[str], roots: tuple[str, ...]) -> bool:
    real = os.path.realpath(os.fsdecode(path))
    return any(real == root or real.startswith(root + os.sep) for root in roots)


def _is_code_of_ours(code: Any) -> bool:
    """Imports and dataclasses execute code; nothing else has a reason to."""
    name = getattr(code, "co_filename", "")
    return name.startswith("<") or _inside(name, _READABLE)


@contextmanager
def _watching(folder: str, out: str, cache: str) -> Iterator[list[str]]:
    global _watched, _own, _writable
    _writable = (os.path.realpath(out), os.path.realpath(cache))
    _own = (*_READABLE, *_writable, os.path.realpath(folder))
    _watched = seen = []
    try:
        yield seen
    finally:
        _watched = None


def _pipeline(folder: Path, out: Path) -> Any:
    from distilbert import pipeline

    return pipeline("text-classification", model=folder, threads=1)(TEXT)


def _class(folder: Path, out: Path) -> Any:
    from distilbert import DistilBertForSequenceClassification, DistilBertTokenizer

    tokenizer = DistilBertTokenizer.from_pretrained(folder)
    model = DistilBertForSequenceClassification.from_pretrained(folder, threads=1)
    return model(**tokenizer(TEXT, return_tensors="np", truncation=True, max_length=64)).logits.tolist()


def _encoder(folder: Path, out: Path) -> Any:
    from distilbert import DistilBertModel

    return list(DistilBertModel.from_pretrained(folder, threads=1)([[2, 5, 3]]).last_hidden_state.shape)


def _tokenizer(folder: Path, out: Path) -> Any:
    from distilbert import DistilBertTokenizer

    tokenizer = DistilBertTokenizer.from_pretrained(folder)
    ids = tokenizer(TEXT, "and a second text", truncation=True, max_length=64)["input_ids"]
    tokenizer.encode_texts([TEXT, (TEXT, TEXT)], max_length=64)
    tokenizer.decode(ids)
    tokenizer.convert_ids_to_tokens(ids)
    tokenizer.save_pretrained(out)
    return ids


def _verify(folder: Path, out: Path) -> Any:
    from distilbert.compile import verify

    return verify(folder)


def _compile(folder: Path, out: Path) -> Any:
    from distilbert.compile import compile_checkpoint, verify

    compile_checkpoint(folder, out / "compiled")
    return verify(out / "compiled")


def _checkpoint(folder: Path, out: Path) -> Any:
    """Whether we read what the safetensors library reads: the same numbers, tensor by tensor."""
    from safetensors.numpy import load_file

    from distilbert.files.checkpoint import read_checkpoint
    from distilbert.files.config import DistilBertConfig

    arrays = read_checkpoint(folder, DistilBertConfig.from_folder(folder)).arrays
    library = [array for path in folder.glob("*.safetensors") for array in load_file(path).values()]
    sums = sorted(float(array.astype("f8").sum()) for array in arrays.values())
    assert sums == sorted(float(array.astype("f4").astype("f8").sum()) for array in library)
    return sums


def _hold(folder: Path, out: Path) -> Any:
    """Not an attack: so much memory, to see that the watch sees it."""
    return len(b"x" * (300 << 20))


def _stray(folder: Path, out: Path) -> Any:
    """Not an attack: a file beside the folder is read and another one written."""
    secret = folder.parent / "secret"
    secret.write_text("told")
    return secret.read_text()


def _raise(folder: Path, out: Path) -> Any:
    """Not an attack: an exception that is none of ours."""
    raise ZeroDivisionError


def _wait(folder: Path, out: Path) -> Any:
    """Not an attack: it never comes back."""
    import time

    time.sleep(3600)


def _end(folder: Path, out: Path) -> Any:
    """Not an attack: the process dies."""
    os.abort()


DOORS: dict[str, Callable[[Path, Path], Any]] = {
    name: globals()[f"_{name}"]
    for name in (
        *("pipeline", "class", "encoder", "tokenizer", "verify", "compile", "checkpoint"),
        *("hold", "stray", "raise", "end", "wait"),
    )
}


def _status(key: str) -> int:
    """A line of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) << 10


def _attempt(door: str, folder: str, out: str, cache: str) -> dict[str, Any]:
    from distilbert.errors import DistilBertError

    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins again
    before = _status("VmRSS")
    said: dict[str, Any] = {}
    with _watching(folder, out, cache) as seen:
        try:
            said["answer"] = DOORS[door](Path(folder), Path(out))
        except DistilBertError as error:
            said["error"], said["kind"] = str(error), type(error).__name__
        except BaseException as error:  # a panic of a Rust library is no Exception
            said["other"] = f"{type(error).__module__}.{type(error).__name__}: {error!s:.300}"
    return {**said, "allocated": _status("VmHWM") - before, "strayed": seen}


def main() -> None:
    """Warm up on the whole folders that are named, then answer line by line."""
    warnings.simplefilter("ignore")
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody else writes between the replies
    for warm in json.loads(sys.stdin.readline()):
        said = _attempt(**warm)
        assert "answer" in said, said
    sys.addaudithook(_watch)
    limit = _status("VmSize") + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for line in sys.stdin:
        replies.write(json.dumps(_attempt(**json.loads(line))) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
