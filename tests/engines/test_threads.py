"""The number of threads follows the argument, the variable, or what the container really allows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert.engines.threads import available_threads, choose_threads, cpu_quota
from distilbert.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path

V1 = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")


def cgroup(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        pytest.param({"cpu.max": "150000 100000\n"}, 1.5, id="v2"),
        pytest.param({"cpu.max": "max 100000\n"}, None, id="v2 without limit"),
        pytest.param({V1[0]: "400000\n", V1[1]: "100000\n"}, 4.0, id="v1"),
        pytest.param({V1[0]: "-1\n", V1[1]: "100000\n"}, None, id="v1 without limit"),
        pytest.param({"cpu.max": "50000 100000\n", V1[0]: "-1", V1[1]: "1"}, 0.5, id="v2 before v1"),
        pytest.param({}, None, id="no cgroup"),
        pytest.param({"cpu.max": "plenty\n"}, None, id="nonsense"),
        pytest.param({"cpu.max": ""}, None, id="empty"),
        pytest.param({"cpu.max": "100000 0\n"}, None, id="a period of nothing"),
        pytest.param({V1[0]: "400000\n", V1[1]: "0\n"}, None, id="v1 with a period of nothing"),
    ],
)
def test_the_containers_quota_is_read(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    assert cpu_quota(cgroup(tmp_path, files)) == quota


@pytest.mark.parametrize(
    ("microseconds", "threads"), [(100_000, 1), (150_000, 2), (200_000, 2), (1_000, 1), (6_400_000, 3)]
)
def test_a_quota_is_rounded_up_but_never_above_the_processors_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, microseconds: int, threads: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 5}, raising=False)
    assert available_threads(cgroup(tmp_path, {"cpu.max": f"{microseconds} 100000"})) == threads


def test_without_a_quota_every_processor_this_process_may_run_on_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 5}, raising=False)
    assert available_threads(tmp_path) == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert available_threads(tmp_path) == 7


@given(st.integers(1, 512), st.integers(1, 512))
def test_the_argument_wins_over_the_variable(argument: int, variable: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTILBERT_THREADS", str(variable))
        assert choose_threads(argument) == argument
        assert choose_threads() == variable


@pytest.mark.parametrize("unset", [None, ""])
def test_without_either_everything_allowed_is_used(
    monkeypatch: pytest.MonkeyPatch, unset: str | None
) -> None:
    monkeypatch.delenv("DISTILBERT_THREADS", raising=False)
    if unset is not None:
        monkeypatch.setenv("DISTILBERT_THREADS", unset)
    assert choose_threads() == available_threads()


@pytest.mark.parametrize("nonsense", [0, -1, 1.5, True, "two", "0", "1.5", " "])
def test_nonsense_is_refused_with_the_value_seen(monkeypatch: pytest.MonkeyPatch, nonsense: object) -> None:
    rule = "must be a whole number of at least 1, not"
    with pytest.raises(OptionError) as refusal:
        choose_threads(nonsense)  # type: ignore[arg-type]
    assert refusal.value.fault == f"threads {rule} {nonsense!r}."
    if isinstance(nonsense, str):
        monkeypatch.setenv("DISTILBERT_THREADS", nonsense)
        with pytest.raises(OptionError) as refusal:
            choose_threads()
        assert refusal.value.fault == f"DISTILBERT_THREADS {rule} {nonsense!r}."
