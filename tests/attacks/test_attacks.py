"""Damaged and hostile models: each attack ends in a named error or the right answer, and in nothing else.

Nothing else means: no other exception, no crash, no hang, no more than 200 MB allocated, no file read or written
outside the model's folder and the caches, no program started. `make test-full` makes 4,000 attacks by seed and
1,000 by hypothesis. A failure names the seed: `Attack.of(seed)` is the attack again, `attack.commit` makes its folder.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from attacks.attack import BUNDLES, DOORS, KINDS, Attack, sign
from attacks.judge import MOST, Court, faults
from attacks.on_files import places, replace
from bundles import open_gate, sentences
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shards import sharded
from tiny import tiny_checkpoint

from distilbert.compile import Int8, compile_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUICK = range(100)
BLOCKS = [range(start, start + 500) for start in range(0, 4_000, 500)]
JSON_FILES = (
    "config.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "bundle.json",
    "model.safetensors.index.json",
)


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court]:
    place = tmp_path_factory.mktemp("attacks")
    whole = place / "whole"
    victims = {name: whole / name for name in ("checkpoint", "sharded", *BUNDLES)}
    tiny_checkpoint(victims["checkpoint"])
    sharded(victims["sharded"])
    compile_checkpoint(victims["checkpoint"], victims["fp32"])
    compile_checkpoint(victims["checkpoint"], victims["int8"], int8=Int8(sentences(32), open_gate))
    court = Court(victims, place)
    yield court
    court.close()


def convicted(court: Court, attacks: Iterator[Attack]) -> list[str]:
    return [f"{attack}: {fault}" for attack in attacks if (fault := court.try_attack(attack))]


def test_the_watch_sees_what_it_is_there_for(court: Court, tmp_path: Path) -> None:
    folder, out = court.victims["int8"], tmp_path / "out"
    out.mkdir()
    assert faults(court.worker.ask("pipeline", folder, out)) is None
    assert "MB were allocated" in str(faults(court.worker.ask("hold", folder, out)))
    assert "strayed" in str(faults(court.worker.ask("stray", folder, out)))
    assert "ZeroDivisionError" in str(faults(court.worker.ask("raise", folder, out)))
    assert "the process ended with -6" in str(faults(court.worker.ask("end", folder, out)))
    assert faults(court.worker.ask("pipeline", folder, out)) is None, "a new process took its place"
    assert court.worker.ask("pipeline", folder, out)["allocated"] < MOST / 4
    (court.victims["int8"].parent / "secret").unlink()


def test_an_attack_is_the_same_each_time(court: Court, tmp_path: Path) -> None:
    for seed in range(40):
        attack = Attack.of(seed)
        assert attack == Attack.of(seed)
        both = [tmp_path / name / "model" for name in ("one", "other")]
        damaged = [attack.commit(court.victims, folder) for folder in both]
        one, other = (
            {
                str(path.relative_to(folder)): path.read_bytes()
                for path in sorted(folder.rglob("*"))
                if path.is_file() and not path.is_symlink() and path.name != "bundle.json"
            }
            for folder in both
        )
        assert damaged[0].relative_to(both[0]) == damaged[1].relative_to(both[1])
        assert one.keys() == other.keys()
        assert one == other or attack.kind in ("index", "graph"), attack  # those that name a folder
        for folder in both:
            shutil.rmtree(folder.parent)


def test_every_way_of_attack_is_met(court: Court) -> None:
    """Each once where it bites best, which the seeds reach only together."""
    ways = [(kind, way) for kind, row in KINDS.items() for way in row.table]
    attacks = []
    for number, (kind, way) in enumerate(ways):
        victim = KINDS[kind].victims[number % len(KINDS[kind].victims)]
        door = (
            KINDS[kind].door
            if KINDS[kind].door in DOORS[victim]
            else DOORS[victim][number % len(DOORS[victim])]
        )
        attacks.append(Attack(number, victim, kind, way, door, signed=victim in BUNDLES))
    assert not convicted(court, iter(attacks))


def test_attacks_by_seed(court: Court) -> None:
    assert not convicted(court, map(Attack.of, QUICK))


@pytest.mark.full
@pytest.mark.parametrize("seeds", BLOCKS, ids=str)
def test_many_attacks_by_seed(court: Court, seeds: range) -> None:
    assert not convicted(court, map(Attack.of, seeds))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([10**400, 2**32, 2**63, "\ud800", "[CLS]", "../x", ""]),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=8), inside, max_size=4),
    max_leaves=8,
)


def check_any_value(court: Court, data: st.DataObject) -> None:
    """Any JSON value, at any place of any JSON file of any model, by any door."""
    victim = data.draw(st.sampled_from(sorted(court.victims)))
    files = [name for name in JSON_FILES if (court.victims[victim] / name).is_file()]
    name, door = data.draw(st.sampled_from(files)), data.draw(st.sampled_from(DOORS[victim]))
    value: Any = json.loads((court.victims[victim] / name).read_bytes())
    changed = replace(value, data.draw(st.sampled_from(places(value))), data.draw(VALUES))
    folder, out = court.place / "any", court.place / "any-out"
    try:
        shutil.copytree(court.victims[victim], folder)
        out.mkdir()
        (folder / name).write_text(json.dumps(changed))
        if name != "bundle.json" and victim in BUNDLES:
            sign(folder)
        assert faults(court.worker.ask(door, folder, out)) is None
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(out)


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_any_value_at_any_place(court: Court, data: st.DataObject) -> None:
    check_any_value(court, data)


@pytest.mark.full
@given(data=st.data())
@settings(max_examples=1_000, suppress_health_check=list(HealthCheck))
def test_any_value_at_any_place_a_thousand_times(court: Court, data: st.DataObject) -> None:
    check_any_value(court, data)
