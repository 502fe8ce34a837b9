"""A bundle is what its maker wrote: every byte of every file, or an error that names the file."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from distilbert.errors import BundleError
from distilbert.files.bundle import (
    FileRecord,
    Manifest,
    Probe,
    is_bundle,
    open_bundle,
    verify_files,
    write_manifest,
)
from distilbert.files.cache import sha256

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = {
    "config.json": b'{"model_type": "distilbert"}',
    "tokenizer.json": b'{"model": {}}',
    "onnx/model_quantized.onnx": b"a graph " * 1000,
    "README.md": "# Ein Bündel\n".encode(),
    "empty.txt": b"",
}
MANIFEST = Manifest(
    task="text-classification",
    precision="int8",
    made_by={"distilbert": "0.1.0"},
    probes=[Probe("great 👍", [0.25, -1.5], [0.5, -1.0]), Probe("", [0.0, 1e-30], [1.0, 2.0])],
    gate={"onnxruntime": {"flips": 3, "said": "3 of 2,000 labels flipped"}},
    int8={"percentile": 99.99, "linears_in_float": ["transformer.layer.0.ffn.lin2"]},
)


def bundle_in(folder: Path) -> Path:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    write_manifest(folder, MANIFEST)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return bundle_in(tmp_path / "bundle")


def stored(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "bundle.json").read_bytes())


def store(folder: Path, manifest: object) -> None:
    (folder / "bundle.json").write_text(json.dumps(manifest))


READERS = pytest.mark.parametrize("read", [open_bundle, verify_files])


@READERS
def test_what_was_written_is_read_back(read: Callable[[Path], Any], folder: Path) -> None:
    bundle = read(folder)
    found = bundle.manifest
    assert (found.task, found.precision, found.made_by) == (MANIFEST.task, "int8", MANIFEST.made_by)
    assert (found.probes, found.gate, found.int8) == (MANIFEST.probes, MANIFEST.gate, MANIFEST.int8)
    assert found.files == {
        name: FileRecord(len(content), sha256(folder / name)) for name, content in FILES.items()
    }
    assert bundle.graph == folder / "onnx" / "model_quantized.onnx"


def test_the_manifest_is_json_that_people_can_read(folder: Path) -> None:
    text = (folder / "bundle.json").read_text(encoding="utf-8")
    assert "great 👍" in text
    assert text.endswith("}\n")
    assert list(json.loads(text)["files"]) == sorted(FILES)
    assert "bundle.json" not in json.loads(text)["files"]


def test_writing_again_takes_stock_again(folder: Path) -> None:
    (folder / "README.md").write_text("# Another")
    with pytest.raises(BundleError):
        open_bundle(folder)
    write_manifest(folder, MANIFEST)
    assert open_bundle(folder).manifest.files["README.md"].size == len("# Another")


def test_a_float32_bundle_needs_a_float32_graph(folder: Path) -> None:
    store(folder, stored(folder) | {"precision": "fp32"})
    with pytest.raises(BundleError, match=r"does not vouch for onnx/model\.onnx"):
        open_bundle(folder)
    (folder / "onnx" / "model_quantized.onnx").rename(folder / "onnx" / "model.onnx")
    write_manifest(folder, Manifest("text-classification", "fp32", {}, [Probe("a", [1.0])]))
    assert open_bundle(folder).graph == folder / "onnx" / "model.onnx"
    assert open_bundle(folder).manifest.probes == [Probe("a", [1.0], None)]


def test_only_a_folder_with_a_manifest_is_a_bundle(folder: Path, tmp_path: Path) -> None:
    assert is_bundle(folder)
    assert not is_bundle(tmp_path)
    assert not is_bundle(tmp_path / "gone")
    (tmp_path / "bundle.json").mkdir()
    assert not is_bundle(tmp_path)


@READERS
@pytest.mark.parametrize("name", [name for name in FILES if FILES[name]])
@given(data=st.data())
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_bit_of_any_file_is_named(
    name: str, read: Callable[[Path], Any], data: st.DataObject, folder: Path
) -> None:
    content = bytearray(FILES[name])
    place = data.draw(st.integers(0, len(content) * 8 - 1))
    content[place // 8] ^= 1 << place % 8
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match="was changed: its SHA-256 is") as raised:
        read(folder)
    assert raised.value.fault.startswith(f"{folder / name} ")
    (folder / name).write_bytes(FILES[name])
    read(folder)


@READERS
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_grew_or_shrank_or_went_is_named(
    name: str, read: Callable[[Path], Any], folder: Path
) -> None:
    (folder / name).write_bytes(FILES[name] + b"x")
    with pytest.raises(
        BundleError, match=f"has {len(FILES[name]) + 1} bytes; bundle.json says {len(FILES[name])}"
    ):
        read(folder)
    (folder / name).unlink()
    with pytest.raises(BundleError, match="cannot be read: No such file"):
        read(folder)
    (folder / name).mkdir()
    with pytest.raises(BundleError):
        read(folder)


def test_opening_trusts_a_file_of_known_size_and_time_and_verifying_does_not(folder: Path) -> None:
    graph = folder / "onnx" / "model_quantized.onnx"
    open_bundle(folder)
    before = graph.stat()
    graph.write_bytes(FILES["onnx/model_quantized.onnx"].replace(b"a", b"b", 1))
    os.utime(graph, ns=(before.st_atime_ns, before.st_mtime_ns))
    open_bundle(folder)
    with pytest.raises(BundleError, match="was changed"):
        verify_files(folder)
    graph.touch()
    with pytest.raises(BundleError, match="was changed"):
        open_bundle(folder)


def test_a_bundle_of_links_is_read_as_the_hugging_face_cache_keeps_it(folder: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models--someone--model"
    linked, blobs = repository / "snapshots" / "0a1b2c", repository / "blobs"
    blobs.mkdir(parents=True)
    for name in [*FILES, "bundle.json"]:
        blob = shutil.copy(folder / name, blobs / sha256(folder / name))
        (linked / name).parent.mkdir(parents=True, exist_ok=True)
        (linked / name).symlink_to(os.path.relpath(blob, (linked / name).parent))
    assert open_bundle(linked).manifest == open_bundle(folder).manifest
    (linked / "README.md").write_bytes(b"changed where the link leads")
    with pytest.raises(BundleError, match=r"README\.md has"):
        open_bundle(linked)


@READERS
def test_a_link_out_of_the_folder_is_refused_by_name_though_its_bytes_are_right(
    read: Callable[[Path], Any], folder: Path, tmp_path: Path
) -> None:
    shutil.move(folder / "README.md", tmp_path / "elsewhere")
    (folder / "README.md").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=r"README\.md cannot be read: it is a link that leads out of"):
        read(folder)


@READERS
@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "../../outside",
        "onnx/../../outside",
        "..",
        "/etc/passwd",
        "//etc/passwd",
        "..\\outside",
        "C:\\outside",
        "a\0b",
        "a\nb",
        "\ud800",
    ],
)
def test_a_name_that_leads_out_of_the_folder_is_never_followed(
    name: str, read: Callable[[Path], Any], folder: Path
) -> None:
    outside = folder.parent / "outside"
    outside.write_bytes(b"secret")
    manifest = stored(folder)
    manifest["files"][name] = {"size": 6, "sha256": sha256(outside)}
    store(folder, manifest)
    with pytest.raises(BundleError, match="names a file that cannot lie in its folder") as raised:
        read(folder)
    assert repr(name) in raised.value.fault
    assert raised.value.next_step == "Do not use this bundle."


BAD_MANIFESTS = {
    "no bytes": (b"", "is not valid JSON"),
    "cut short": (b'{"format_version": 1', "is not valid JSON"),
    "not UTF-8": (b'{"format_version": "\xff"}', "is not valid JSON"),
    "nested too deeply": (b"[" * 100_000, "is not valid JSON"),
    "a list": (b"[]", "has format_version None; this release reads 1"),
    "null": (b"null", "has format_version None"),
    "an older format": (b'{"format_version": 0}', "has format_version 0; this release reads 1"),
    "a newer format": (b'{"format_version": 2}', "has format_version 2"),
    "a long version": (json.dumps({"format_version": "x" * 9999}).encode(), "has format_version 'xxxx"),
    "nothing but the version": (b'{"format_version": 1}', "is not a bundle's manifest: KeyError('files')"),
}


@READERS
@pytest.mark.parametrize("name", BAD_MANIFESTS)
def test_a_manifest_that_is_none_is_named_with_the_reason(
    name: str, read: Callable[[Path], Any], folder: Path
) -> None:
    content, reason = BAD_MANIFESTS[name]
    (folder / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError) as raised:
        read(folder)
    assert f"{folder / 'bundle.json'} {reason}" in raised.value.fault
    assert len(raised.value.fault) < 400
    assert raised.value.next_step


def test_a_folder_without_a_manifest_is_told_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"bundle\.json cannot be read: No such file"):
        open_bundle(tmp_path)


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every way from the top of a JSON value to something inside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above, *(place for key, item in inside for place in places(item, (*above, key)))]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_in(tmp_path_factory.mktemp("spoilt") / "bundle")


def is_valid(manifest: Manifest) -> bool:
    return (
        manifest.precision in ("fp32", "int8")
        and all(type(record.size) is int and len(record.sha256) == 64 for record in manifest.files.values())
        and all(isinstance(probe.text, str) for probe in manifest.probes)
        and all(type(number) is float for probe in manifest.probes for number in probe.float32)
        and all(type(number) is float for probe in manifest.probes for number in probe.int8 or [])
    )


@given(data=st.data(), value=JSON)
@settings(max_examples=400)
def test_any_value_at_any_place_is_a_manifest_or_a_bundle_error(
    data: st.DataObject, value: Any, spoilt: Path
) -> None:
    write_manifest(spoilt, MANIFEST)
    manifest = stored(spoilt)
    way = data.draw(st.sampled_from(places(manifest)))
    target: Any = manifest
    for key in way[:-1]:
        target = target[key]
    if way:
        target[way[-1]] = value
    store(spoilt, manifest if way else value)
    try:
        assert is_valid(open_bundle(spoilt).manifest)
    except BundleError as error:
        assert len(str(error).splitlines()) <= 2  # noqa: PT017


@given(data=st.data(), key=st.text())
@example(data=None, key="")
def test_a_key_too_many_or_too_few_is_a_manifest_or_a_bundle_error(data: Any, key: str, spoilt: Path) -> None:
    write_manifest(spoilt, MANIFEST)
    manifest = stored(spoilt)
    if data is None:
        manifest["files"][key] = {"size": 0, "sha256": "0" * 64}  # the folder itself
    else:
        manifest.pop(data.draw(st.sampled_from(list(manifest))))
        manifest[f"{key}!"] = 1
    store(spoilt, manifest)
    with pytest.raises(BundleError):
        open_bundle(spoilt)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_bundle_error(spoilt: Path, content: bytes) -> None:
    (spoilt / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError):
        open_bundle(spoilt)


def test_a_copy_elsewhere_is_the_same_bundle(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    assert open_bundle(tmp_path / "copy").manifest == open_bundle(folder).manifest


def test_a_file_that_loading_would_pick_up_but_the_manifest_does_not_vouch_for_is_refused(
    folder: Path,
) -> None:
    (folder / "added_tokens.json").write_text("{}")
    with pytest.raises(BundleError, match=r"does not vouch for: added_tokens\.json"):
        open_bundle(folder)
