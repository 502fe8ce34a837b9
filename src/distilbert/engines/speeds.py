"""How fast each engine runs a bundle here: measured once per machine, bundle, threads and versions, in a second."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from distilbert.engines.choice import ENGINES, installed, open_graph
from distilbert.engines.threads import choose_threads
from distilbert.errors import StorageError
from distilbert.files.atomic import atomic_file
from distilbert.files.bundle import manifest_sha256
from distilbert.files.cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from distilbert.engines.base import Engine, TokenIds
    from distilbert.files.bundle import Bundle
    from distilbert.files.config import DistilBertConfig

    Speeds: TypeAlias = Mapping[str, float]  # seconds by engine, for the same work

_TEXTS, _TOKENS = 16, 24  # of a batch: sentences
_ROUNDS = 5
_ENOUGH = 0.5  # seconds of measuring, after which no round is begun


def measure_speeds(bundle: Bundle, config: DistilBertConfig, threads: int | None = None) -> Speeds:
    """Seconds that each engine takes for the same few batches, with all workers: the best of a few rounds in turn."""
    draw = np.random.default_rng(0)
    shape = (_TEXTS, min(_TOKENS, config.max_position_embeddings))
    ids = draw.integers(0, config.vocab_size, shape)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    engines = {name: open_graph(name, bundle.graph, threads) for name in ENGINES}
    best = dict.fromkeys(ENGINES, float("inf"))
    start = time.perf_counter()
    for round_ in range(1 + _ROUNDS):
        for name, engine in engines.items():
            seconds = _seconds(engine, inputs)
            if round_:  # the first warms up
                best[name] = min(best[name], seconds)
        if round_ and time.perf_counter() - start > _ENOUGH:
            break
    return best


def _seconds(engine: Engine, inputs: Mapping[str, TokenIds]) -> float:
    start = time.perf_counter()
    with ThreadPoolExecutor(engine.workers) as pool:
        list(pool.map(engine.run, [inputs] * engine.workers))
    return time.perf_counter() - start


def known_speeds(bundle: Bundle, threads: int | None = None) -> Speeds | None:
    """What was measured before on this machine with so many threads; None where nothing was."""
    with suppress(OSError, ValueError, TypeError, KeyError, StorageError):
        stored = json.loads(_stored_at(bundle, threads).read_bytes())
        return {name: float(stored[name]) for name in ENGINES}
    return None


def remember_speeds(bundle: Bundle, speeds: Speeds, threads: int | None = None) -> None:
    """Keep what was measured. A cache that cannot be written only costs the measuring."""
    with suppress(OSError, StorageError):
        path = _stored_at(bundle, threads)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps(speeds))


def _stored_at(bundle: Bundle, threads: int | None) -> Path:
    """A home folder may be shared by machines, so the processor counts too; and our version, which sets the options."""
    versions = [f"{name} {installed(name)}" for name in ("distilbert", *ENGINES)]
    of_what = [manifest_sha256(bundle.folder), processor(), choose_threads(threads), *versions]
    return cache_folder() / "speeds" / f"{hashlib.sha256(repr(of_what).encode()).hexdigest()[:32]}.json"


def processor() -> str:
    """The processor's name."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()
