"""A way in a process of its own: `python -m distilbert.bench.worker` loads one, then answers until its input ends.

Requests and replies are JSON, one a line, on standard input and what was standard output; whatever libraries print
goes to standard error.

| request                                       | reply                                                             |
| --------------------------------------------- | ----------------------------------------------------------------- |
| {"do": "load", "loader": …, "source": {…},    | {"versions": {…}}                                                 |
|  "setting": name}                             | of its settings it keeps this one alone; "": all                  |
| {"do": "texts", "name": …, "texts": […]}      | {}                                                                |
| {"do": "choose", "texts": name}               | {"setting": …, "padding": …}: the fastest for these, from now on  |
| {"do": "answer", "texts": name, "alone": …}   | {"labels": […], "scores": […]}                                    |
| {"do": "many", "texts": name}                 | {"seconds": …}: all texts in one call                             |
| {"do": "alone", "texts": name}                | {"milliseconds": […]}: a text a call, in their order              |
| {"do": "memory"}                              | {"bytes": …}: VmHWM, the peak of this process's resident memory   |

A request that fails is answered with {"fault": …}.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from dataclasses import replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distilbert.bench.peers.batches import tokeniser
from distilbert.bench.statistics import padding
from distilbert.bench.ways import Source
from distilbert.errors import DistilBertError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distilbert.bench.ways import Answers, Loaded, Setting

CHOOSING = 64  # texts, a batch of the largest size: a setting costs three passes over them
_PACKAGES = ("torch", "transformers", "onnxruntime", "openvino", "nncf", "ctranslate2", "tokenizers")


class Worker:
    """What was loaded, the texts by name, and for each of them the setting that was fastest."""

    def __init__(self) -> None:
        self.source: Source
        self.loaded: Loaded
        self.texts: dict[str, list[str]] = {}
        self.chosen: dict[str, Setting] = {}

    def load(self, loader: str, source: Mapping[str, Any], setting: str = "") -> dict[str, Any]:
        """Import the loader's module (`Way.loader`) and let it load."""
        folders = {name: Path(source[name]) for name in ("bundle", "checkpoint", "made")}
        self.source = Source(**{**source, **folders})
        module, _, function = loader.partition(":")
        loaded: Loaded = getattr(import_module(module), function)(self.source)
        self.loaded = replace(loaded, many=[each for each in loaded.many if setting in ("", each.name)])
        return {"versions": _versions()}

    def keep(self, name: str, texts: list[str]) -> dict[str, Any]:
        """Keep texts, which are sent once."""
        self.texts[name] = texts
        return {}

    def choose(self, texts: str) -> dict[str, Any]:
        """Keep the fastest setting for the first of these texts: the better of two turns, each setting warmed up."""
        given, settings = self.texts[texts], self.loaded.many
        chosen = settings[0]
        if len(settings) > 1:
            chosen = min(settings, key=lambda setting: _best_seconds(setting.answer, given[:CHOOSING]))
        self.chosen[texts] = chosen
        lengths = [len(row) for row in tokeniser(self.source)(given)]
        return {"setting": chosen.name, "padding": padding(lengths, chosen.cut(lengths))}

    def answer(self, texts: str, alone: bool = False) -> dict[str, Any]:
        """Labels and scores, all texts in one call or each alone."""
        given = self.texts[texts]
        if alone:
            answers = [answer for text in given for answer in self.loaded.alone([text])]
        else:
            answers = list(self._setting(texts).answer(given))
        return {
            "labels": [answer["label"] for answer in answers],
            "scores": [answer["score"] for answer in answers],
        }

    def many(self, texts: str) -> dict[str, Any]:
        """Time all texts in one call."""
        gc.collect()  # so that what one call left behind is not paid for by the next
        return {"seconds": _seconds(self._setting(texts).answer, self.texts[texts])}

    def alone(self, texts: str) -> dict[str, Any]:
        """Time each text alone."""
        gc.collect()  # once: before each text it takes many times as long as the text where torch is loaded
        return {"milliseconds": [1000 * _seconds(self.loaded.alone, [text]) for text in self.texts[texts]]}

    def memory(self) -> dict[str, Any]:
        """Read the peak of memory; 0 where the system does not tell."""
        try:
            status = Path("/proc/self/status").read_text(encoding="utf-8")
        except OSError:
            return {"bytes": 0}
        return {"bytes": 1024 * int(status.split("VmHWM:")[1].split()[0])}

    def _setting(self, texts: str) -> Setting:
        return self.chosen.get(texts, self.loaded.many[0])


def _seconds(answer: Answers, texts: list[str]) -> float:
    start = time.perf_counter()
    answer(texts)
    return time.perf_counter() - start


def _best_seconds(answer: Answers, texts: list[str]) -> float:
    answer(texts)
    return min(_seconds(answer, texts) for _ in range(2))


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        if name in sys.modules:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                continue
    return found


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and closes the input
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # ONNX Runtime, OpenVINO and NNCF tell their makers of their use, unless they are kept from it before their import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        do = request.pop("do")
        try:
            reply = getattr(worker, {"texts": "keep"}.get(do, do))(**request)
        except Exception as error:  # a peer's library may raise anything; the parent tells of it
            name = "" if isinstance(error, DistilBertError) else f"{type(error).__name__}: "
            reply = {"fault": f"{name}{error}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
