"""Damage to any file: to its bytes, to its place on the disk, to the values of its JSON."""

from __future__ import annotations

import copy
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

# ---------------------------------------------------------------- bytes


def _edited(
    edit: Callable[[random.Random, bytearray], bytes | bytearray],
) -> Callable[[random.Random, Path], None]:
    def attack(rng: random.Random, path: Path) -> None:
        path.write_bytes(edit(rng, bytearray(path.read_bytes())))

    return attack


def _place(rng: random.Random, content: bytearray) -> int:
    """A place in a file, as often near its beginning, where formats keep what describes the rest, as anywhere."""
    size = max(len(content), 1)
    return rng.randrange(min(size, rng.choice([16, 256, 4096, size])))


def _flip(rng: random.Random, content: bytearray, most: int) -> bytearray:
    for _ in range(rng.randint(1, most)):
        if content:
            content[_place(rng, content)] ^= 1 << rng.randrange(8)
    return content


def _insert(rng: random.Random, content: bytearray) -> bytearray:
    place = _place(rng, content)
    content[place:place] = rng.randbytes(rng.randint(1, 64))
    return content


def _repeat(rng: random.Random, content: bytearray) -> bytearray:
    start = _place(rng, content)
    piece = content[start : start + rng.randint(1, 4096)]
    content[start:start] = piece * rng.randint(1, 20)
    return content


def _wipe(rng: random.Random, content: bytearray) -> bytearray:
    start = _place(rng, content)
    stop = min(len(content), start + rng.randint(1, 512))
    content[start:stop] = rng.choice([b"\0", b"\xff"]) * (stop - start)
    return content


def _swap(rng: random.Random, content: bytearray) -> bytearray:
    place = _place(rng, content)
    return content[place:] + content[:place]


def _sparse(rng: random.Random, path: Path) -> None:
    """A file of 256 MB that takes no room on the disk."""
    with path.open("r+b") as file:
        file.truncate(256 << 20)


BYTES = {
    "cut short": _edited(lambda rng, content: content[: _place(rng, content)]),
    "one bit flipped": _edited(lambda rng, content: _flip(rng, content, 1)),
    "bits flipped": _edited(lambda rng, content: _flip(rng, content, 64)),
    "bytes put in": _edited(_insert),
    "bytes repeated": _edited(_repeat),
    "bytes wiped": _edited(_wipe),
    "halves swapped": _edited(_swap),
    "emptied": _edited(lambda rng, content: b""),
    "noise": _edited(lambda rng, content: rng.randbytes(rng.randint(1, 4096))),
    "a web page": _edited(lambda rng, content: b"<!DOCTYPE html><html><body>404</body></html>"),
    "a byte order mark": _edited(lambda rng, content: rng.choice([b"\xef\xbb\xbf", b"\xff\xfe"]) + content),
    "brackets": _edited(
        lambda rng, content: rng.choice([b"[", b'{"a":', b"[[],"]) * rng.choice([500, 100_000])
    ),
    "empty lists": _edited(lambda rng, content: b"[" + b"[]," * 1_000_000 + b"[]]"),
    "zeros to 256 MB": _sparse,
}

# ---------------------------------------------------------------- places


def _outside(path: Path) -> Path:
    """A whole copy of the file, outside the model's folder: beside it is the folder of all that nobody may read."""
    folder = path.parent if path.parent.name != "onnx" else path.parent.parent
    outside = folder.parent / f"{folder.name}-outside" / path.name
    outside.parent.mkdir(exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, outside)
    else:
        shutil.copy(path, outside)
    return outside


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _link(target: Callable[[Path], Any]) -> Callable[[random.Random, Path], None]:
    def attack(rng: random.Random, path: Path) -> None:
        aim = target(path)
        _remove(path)
        path.symlink_to(aim)

    return attack


def _replaced(make: Callable[[Path], Any]) -> Callable[[random.Random, Path], None]:
    def attack(rng: random.Random, path: Path) -> None:
        _remove(path)
        make(path)

    return attack


def _link_chain(path: Path) -> Path:
    inner = path.with_name(f"{path.name}.inner")
    inner.symlink_to(_outside(path))
    return inner


PLACES = {
    "absent": _replaced(lambda path: None),
    "a folder": _replaced(Path.mkdir),
    "a pipe that nobody writes to": _replaced(os.mkfifo),
    "a link to /dev/zero": _link(lambda path: "/dev/zero"),
    "a link to /dev/stdin": _link(lambda path: "/dev/stdin"),
    "a link to /etc/passwd": _link(lambda path: "/etc/passwd"),
    "a link to nothing": _link(lambda path: "nothing"),
    "a link to itself": _link(lambda path: path.name),
    "a link out of the folder": _link(_outside),
    "a relative link out of the folder": _link(lambda path: os.path.relpath(_outside(path), path.parent)),
    "a link to a link out of the folder": _link(_link_chain),
}

# ---------------------------------------------------------------- JSON

DEEP = "deep\0nesting"  # stands for what json.dumps cannot write

_VALUES = (
    2**60,
    2**63,
    -1,
    0,
    10**9,
    10**400,
    -(2**31),
    4294967295,
    4294967296,
    1.5,
    1e308,
    float("nan"),
    float("inf"),
    None,
    True,
    False,
    "",
    "x" * 1_000_000,
    "\ud800",
    "a\0b",
    "a\nb",
    "[CLS]",
    "../../secret",
    "/etc/passwd",
    [],
    {},
    [[]],
    [0] * 100_000,
    {"content": "[UNK]"},
    {"a": {"b": [None]}},
    DEEP,
)


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every way from the top of a JSON value to something inside; of long lists and objects, the first few."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    few = list(inside)[:20]
    return [above, *(place for key, item in few for place in places(item, (*above, key)))]


def write_json(path: Path, value: Any) -> None:
    text = json.dumps(value)
    path.write_text(text.replace(json.dumps(DEEP), "[" * 50_000 + "]" * 50_000))


def replace(value: Any, way: tuple[Any, ...], new: Any) -> Any:
    """The value with something else at the end of the way, changed in place where there is a way."""
    if not way:
        return new
    target = value
    for key in way[:-1]:
        target = target[key]
    target[way[-1]] = new
    return value


def _replace_value(rng: random.Random, path: Path) -> None:
    value = json.loads(path.read_bytes())
    for _ in range(rng.choice([1, 1, 1, 5])):
        value = replace(value, rng.choice(places(value)), copy.deepcopy(rng.choice(_VALUES)))
    write_json(path, value)


def _objects(value: Any) -> list[dict[str, Any]]:
    inside = list(value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())[
        :20
    ]
    own = [value] if isinstance(value, dict) and value else []
    return [*own, *(found for item in inside for found in _objects(item))]


def _rename_key(rng: random.Random, path: Path) -> None:
    value = json.loads(path.read_bytes())
    target = rng.choice(_objects(value))
    key = rng.choice(list(target)[:50])
    target[rng.choice(["", key.upper(), "../x", "\ud800", "x" * 10_000, "9" * 5_000])] = target.pop(key)
    write_json(path, value)


def _remove_key(rng: random.Random, path: Path) -> None:
    value = json.loads(path.read_bytes())
    target = rng.choice(_objects(value))
    target.pop(rng.choice(list(target)[:50]))
    write_json(path, value)


def _swap_values(rng: random.Random, path: Path) -> None:
    value = json.loads(path.read_bytes())
    target = rng.choice(_objects(value))
    one, other = (rng.choice(list(target)[:50]) for _ in "ab")
    target[one], target[other] = target[other], target[one]
    write_json(path, value)


def _repeat_key(rng: random.Random, path: Path) -> None:
    text = path.read_text().strip()
    key = rng.choice(list(json.loads(text)))
    path.write_text(text[:-1] + f", {json.dumps(key)}: {json.dumps(rng.choice(_VALUES[:-1]))}}}")


JSON = {
    "another value": _replace_value,
    "another value again": _replace_value,  # the most fruitful one
    "another key": _rename_key,
    "a key less": _remove_key,
    "values swapped": _swap_values,
    "a key twice": _repeat_key,
    "many small objects": lambda rng, path: path.write_text("[" + '{"":0},' * 500_000 + "0]") and None,
}
