import json
import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hub_server import serve
from huggingface_hub import constants, hf_hub_download, snapshot_download
from shards import sharded
from tiny import tiny_checkpoint

from distilbert import DistilBertForSequenceClassification, DistilBertTokenizer, pipeline
from distilbert.errors import (
    BundleError,
    CheckpointError,
    ConfigError,
    HubError,
    ModelNotFoundError,
    OptionError,
    StorageError,
)
from distilbert.files.bundle import open_bundle
from distilbert.files.cache import sha256
from distilbert.files.hub import resolve

NAME = "tiny/classifier"
TEXT = "a very good movie"
BARE = "distilbert-base-uncased-finetuned-sst-2-english"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub with one classifier's checkpoint and an empty cache; the library's constants are what its variables set."""
    with serve() as hub:
        use(monkeypatch, hub.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        hub.add(NAME, with_more_files(tiny_checkpoint(tmp_path / "checkpoint")))
        yield hub


def use(monkeypatch, endpoint):
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def with_more_files(folder):
    """What else repositories hold, none of which is for us."""
    for name in ("pytorch_model.bin", "tf_model.h5", "README.md", "onnx/model.onnx", "training_args.bin"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"never asked for")
    return folder


def nobody_listens():
    """An endpoint where connections are refused."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def refused(kind=HubError, name=NAME, **options):
    with pytest.raises(kind) as caught:
        resolve(name, **options)
    told = str(caught.value)
    assert len(told.splitlines()) == 2
    assert type(caught.value) is kind
    return told


def half_written(cache):
    """Files in the cache that are not what their names say: blobs are called by their SHA-256 on this hub."""
    blobs = [path for path in Path(cache).rglob("blobs/*") if path.is_file()]
    return [path for path in blobs if sha256(path) != path.name]


def files_of(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


CHECKPOINT = ["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"]


def test_a_model_is_answered_by_its_name_on_the_hub(hub, tmp_path):
    by_path = pipeline(model=tmp_path / "checkpoint")(TEXT)
    assert pipeline(model=NAME)(TEXT) == by_path
    model = DistilBertForSequenceClassification.from_pretrained(NAME)
    tokenizer = DistilBertTokenizer.from_pretrained(NAME)
    assert pipeline("sentiment-analysis", model=model, tokenizer=tokenizer)(TEXT) == by_path


def test_only_the_files_that_run_it_are_downloaded_each_once(hub):
    assert files_of(resolve(NAME)) == CHECKPOINT
    assert sorted(hub.asked("GET")) == CHECKPOINT


def test_a_tokenizer_alone_leaves_the_weights_where_they_are(hub):
    assert DistilBertTokenizer.from_pretrained(NAME).tokenize("learning") == ["learning"]
    assert "model.safetensors" not in hub.asked("HEAD")
    assert files_of(resolve(NAME)) == CHECKPOINT


def test_the_second_call_asks_only_what_the_branch_means(hub):
    first = resolve(NAME)
    hub.log.clear()
    assert resolve(NAME) == first
    assert [(request.method, request.path) for request in hub.log] == [
        ("HEAD", f"/{NAME}/resolve/main/config.json")
    ]


def test_a_commit_that_is_in_the_cache_is_not_asked_for_at_all(hub):
    folder = resolve(NAME)
    resolve(NAME, revision=folder.name)
    hub.log.clear()
    assert resolve(NAME, revision=folder.name) == folder
    assert not hub.log


def test_a_branch_that_moved_is_followed(hub, tmp_path):
    old = resolve(NAME)
    commit = hub.add(NAME, tiny_checkpoint(tmp_path / "new", seed=1))
    hub.log.clear()
    new = resolve(NAME)
    assert new.name == commit != old.name
    assert (new / "model.safetensors").read_bytes() == (tmp_path / "new" / "model.safetensors").read_bytes()
    assert hub.asked("GET") == ["model.safetensors"], "what did not change is not downloaded again"


@pytest.mark.parametrize("by", ["branch", "commit"])
def test_a_revision_is_that_branchs_or_commits_model(hub, tmp_path, by):
    other = tiny_checkpoint(tmp_path / "other", labels=("NO", "PERHAPS", "YES"))
    commit = hub.add(NAME, other, branch="refs/pr/1")
    revision = {"branch": "refs/pr/1", "commit": commit}[by]
    folder = resolve(NAME, revision=revision)
    assert folder.name == commit
    assert pipeline(model=NAME, revision=revision)(TEXT) == pipeline(model=other)(TEXT)
    model = DistilBertForSequenceClassification.from_pretrained(NAME, revision=revision)
    assert model.config.labels == ("NO", "PERHAPS", "YES")
    assert len(DistilBertTokenizer.from_pretrained(NAME, revision=revision)) == model.config.vocab_size
    assert resolve(NAME).name != commit


def go_offline(monkeypatch, hub):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def cut_the_network(monkeypatch, hub):
    use(monkeypatch, nobody_listens())


def let_the_hub_fail(monkeypatch, hub):
    hub.status = 503


def let_the_hub_hang(monkeypatch, hub):
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.2)  # seconds
    hub.hangs = True


def lose_the_right(monkeypatch, hub):
    hub.tokens[NAME] = "hf_other"


def log_in_at_a_cafe(monkeypatch, hub):
    hub.headers = {"X-Repo-Commit": None, "ETag": None}


OUTAGES = {
    "HF_HUB_OFFLINE": (
        go_offline,
        ModelNotFoundError,
        "and at revision main not in the local Hugging Face cache; HF_HUB_OFFLINE keeps it from",
    ),
    "no network": (
        cut_the_network,
        HubError,
        "cannot be downloaded from {endpoint}: [Errno 111] Connection refused",
    ),
    "a hub that fails": (let_the_hub_fail, HubError, "503"),
    "a hub that hangs": (let_the_hub_hang, HubError, "cannot be downloaded from {endpoint}"),
    "a login page": (log_in_at_a_cafe, HubError, "did not answer as a hub does"),
    "a right that was lost": (
        lose_the_right,
        ModelNotFoundError,
        "no such model at revision main that may be read",
    ),
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_what_is_in_the_cache_goes_on_working(hub, monkeypatch, outage):
    folder = resolve(NAME)
    OUTAGES[outage][0](monkeypatch, hub)
    assert resolve(NAME) == folder
    assert resolve(NAME, weights=False) == folder
    assert pipeline(model=NAME)(TEXT)[0]["label"] in ("NEGATIVE", "POSITIVE")


@pytest.mark.parametrize(("outage", "kind", "fault"), OUTAGES.values(), ids=OUTAGES)
def test_what_is_not_in_the_cache_is_refused_with_the_reason(hub, monkeypatch, outage, kind, fault):
    outage(monkeypatch, hub)
    told = refused(kind)
    assert fault.format(endpoint=constants.ENDPOINT) in told
    assert NAME in told


@pytest.mark.parametrize(
    ("outage", "why"), [(go_offline, "HF_HUB_OFFLINE is set"), (cut_the_network, "Connection refused")]
)
def test_weights_that_the_cache_lacks_are_named_when_the_hub_cannot_be_asked(hub, monkeypatch, outage, why):
    DistilBertTokenizer.from_pretrained(NAME)
    outage(monkeypatch, hub)
    assert DistilBertTokenizer.from_pretrained(NAME).tokenize("movie") == ["movie"]
    told = refused()
    assert f"cache has {NAME} at revision main without model.safetensors, and {constants.ENDPOINT}" in told
    assert why in told


@pytest.mark.parametrize("outage", [go_offline, cut_the_network])
@pytest.mark.parametrize("download_all", [True, False])
def test_a_cache_that_others_filled_serves_too(hub, monkeypatch, download_all, outage):
    if download_all:
        folder = Path(snapshot_download(NAME))
    else:
        folder = {Path(hf_hub_download(NAME, file)).parent for file in CHECKPOINT}.pop()
    outage(monkeypatch, hub)
    begin = time.monotonic()
    assert resolve(NAME) == folder
    assert resolve(NAME, revision=folder.name) == folder
    assert time.monotonic() - begin < 5, (
        "seconds: the library's own attempts at a dead network take 23 a file"
    )


def test_a_name_without_owner_is_followed_to_where_it_moved(hub, monkeypatch, tmp_path):
    hub.moved[BARE] = NAME
    assert pipeline(model=BARE)(TEXT) == pipeline(model=tmp_path / "checkpoint")(TEXT)
    go_offline(monkeypatch, hub)
    assert files_of(resolve(BARE)) == CHECKPOINT


def test_the_token_is_sent_and_opens_what_is_private(hub, monkeypatch):
    hub.tokens[NAME] = "hf_right"
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert files_of(resolve(NAME)) == CHECKPOINT
    assert {request.token for request in hub.log} == {"hf_right"}


def delete(hub, *files):
    for file in files:
        del hub.repos[NAME]["main"][file]


def leave(hub):
    pass


def ask_for_a_token(hub):
    hub.tokens[NAME] = "hf_right"


def gate(hub):
    hub.gated.add(NAME)


REFUSALS = {
    "no such model": (
        lambda hub: hub.repos.clear(),
        {},
        ModelNotFoundError,
        "no such model at revision main",
    ),
    "no such revision": (
        leave,
        {"revision": "v9"},
        ModelNotFoundError,
        f"{NAME} has no revision 'v9' at http://127.0.0.1:",
    ),
    "private, without a token": (ask_for_a_token, {}, ModelNotFoundError, "that may be read without a token"),
    "gated": (gate, {}, HubError, f"hands {NAME} only to those who asked for access"),
    "no config": (
        lambda hub: delete(hub, "config.json"),
        {},
        HubError,
        f"{NAME} has no config.json at revision main (http://127.0.0.1:",
    ),
    "no safetensors": (
        lambda hub: delete(hub, "model.safetensors"),
        {},
        HubError,
        f"{NAME} has no model.safetensors at revision main (http://127.0.0.1:",
    ),
}


@pytest.mark.parametrize(("change", "options", "kind", "fault"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_told_with_model_endpoint_and_next_step(hub, change, options, kind, fault):
    change(hub)
    assert fault in refused(kind, **options)
    assert constants.ENDPOINT in refused(kind, **options)


def test_only_safetensors_are_read_and_it_says_so(hub):
    delete(hub, "model.safetensors")
    assert refused().endswith("Only safetensors are read. Name another model, or save this one as such.")
    assert "pytorch_model.bin" not in hub.asked("HEAD")


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_token_is_told_and_never_shown(hub, monkeypatch, status):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    if status == 401:
        hub.tokens[NAME] = "hf_right"
    else:
        hub.status = status
    told = refused()
    assert f"{constants.ENDPOINT} refused {NAME} ({status}), which was asked for with this token" in told
    assert "Set HF_TOKEN" in told
    assert "hf_wrong" not in told


def test_a_hub_that_does_not_say_what_is_missing_is_understood_all_the_same(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    hub.error_codes = False
    assert files_of(resolve(NAME)) == CHECKPOINT
    assert "no such model at revision v9" in refused(ModelNotFoundError, revision="v9")
    told = refused(ModelNotFoundError, "tiny/unknown")
    assert "no such model at revision main that may be read with this token" in told


@pytest.mark.parametrize(
    "missing", [{"X-Repo-Commit": None}, {"ETag": None}, {"X-Repo-Commit": "../../x"}], ids=str
)
def test_an_answer_that_is_no_hubs_is_refused(hub, missing):
    hub.headers = missing
    assert "did not answer as a hub does when asked for config.json" in refused()


@pytest.mark.parametrize("breakdowns", [["half"], ["nothing"], ["half", "nothing", "half"]], ids=str)
def test_a_connection_that_drops_is_taken_up_again_where_it_broke(hub, monkeypatch, tmp_path, breakdowns):
    impatient(monkeypatch)
    hub.breakdowns["model.safetensors"] = breakdowns
    whole = (tmp_path / "checkpoint" / "model.safetensors").read_bytes()
    assert (resolve(NAME) / "model.safetensors").read_bytes() == whole
    assert not half_written(constants.HF_HUB_CACHE)


def impatient(monkeypatch):
    """Do not wait between the library's attempts."""
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)


@pytest.mark.parametrize("breakdowns", [["half", *["nothing"] * 9], ["nothing"] * 9, ["short"]], ids=str)
def test_a_download_that_stays_broken_leaves_nothing_and_the_next_call_succeeds(hub, monkeypatch, breakdowns):
    impatient(monkeypatch)
    hub.breakdowns["model.safetensors"] = breakdowns
    told = refused()
    assert f"model.safetensors of {NAME} cannot be downloaded from {constants.ENDPOINT}" in told
    assert "try again" in told
    assert not half_written(constants.HF_HUB_CACHE)
    assert not list(Path(constants.HF_HUB_CACHE).rglob("model.safetensors"))
    hub.breakdowns.clear()
    hub.log.clear()
    assert files_of(resolve(NAME)) == CHECKPOINT
    assert hub.asked("GET") == ["model.safetensors"]


def test_a_new_version_that_breaks_off_leaves_the_old_one_for_offline_use(hub, monkeypatch, tmp_path):
    impatient(monkeypatch)
    old = resolve(NAME)
    hub.add(NAME, tiny_checkpoint(tmp_path / "new", seed=1))
    hub.breakdowns["model.safetensors"] = ["nothing"] * 9
    refused()
    go_offline(monkeypatch, hub)
    assert resolve(NAME) == old


JUNK = {"html": b"<!DOCTYPE html>", "cut short": b'{"weight_map": {', "of another kind": b"[1]", "empty": b""}


@pytest.mark.parametrize("content", JUNK.values(), ids=JUNK)
@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("config.json", ConfigError),
        ("bundle.json", BundleError),
        ("model.safetensors.index.json", CheckpointError),
    ],
)
def test_json_that_is_none_is_named(hub, file, kind, content):
    delete(hub, "model.safetensors")
    hub.repos[NAME]["main"]["model.safetensors.index.json"] = b'{"weight_map": {"a": "a.safetensors"}}'
    hub.repos[NAME]["main"]["a.safetensors"] = b""
    hub.repos[NAME]["main"][file] = content
    with pytest.raises(kind, match=file):
        pipeline(model=NAME)


def test_a_sharded_model_is_downloaded_whole(hub, tmp_path):
    sharded(tmp_path / "shards")
    hub.add("tiny/shards", with_more_files(tmp_path / "shards"))
    assert pipeline(model="tiny/shards")(TEXT) == pipeline(model=NAME)(TEXT)
    names = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    assert [name for name in hub.asked("GET") if "-of-" in name] == names


def test_a_shard_that_the_hub_lacks_is_named(hub, tmp_path):
    sharded(tmp_path / "shards")
    (tmp_path / "shards" / "model-00002-of-00003.safetensors").unlink()
    hub.add("tiny/shards", tmp_path / "shards")
    assert "tiny/shards has no model-00002-of-00003.safetensors" in refused(name="tiny/shards")


def test_a_bundle_is_downloaded_as_its_manifest_says_and_nothing_else(hub, tiny_fp32, tmp_path):
    hub.repos["tiny/bundle"] = {}
    bundle = {path: (tiny_fp32 / path).read_bytes() for path in files_of(tiny_fp32)}
    more = {
        "model.safetensors": b"not for us",
        "added_tokens.json": b"nor this",
        "onnx/model_fp16.onnx": b"nor",
    }
    hub.add("tiny/bundle", bundle | more)
    DistilBertTokenizer.from_pretrained("tiny/bundle")
    assert "onnx/model.onnx" not in hub.asked()
    assert pipeline(model="tiny/bundle")(TEXT) == pipeline(model=tiny_fp32)(TEXT)
    assert sorted(hub.asked("GET")) == sorted(bundle)
    assert not set(more) & set(hub.asked("HEAD"))


def test_a_bundles_file_that_was_changed_on_the_hub_is_named(hub, tiny_fp32):
    bundle = {path: (tiny_fp32 / path).read_bytes() for path in files_of(tiny_fp32)}
    bundle["onnx/model.onnx"] = bundle["onnx/model.onnx"][:-1] + b"\0"
    hub.add("tiny/bundle", bundle)
    with pytest.raises(BundleError, match=r"onnx/model.onnx was changed: its SHA-256 is"):
        open_bundle(resolve("tiny/bundle"))


def test_a_bundles_file_that_the_hub_lacks_is_named(hub, tiny_fp32):
    bundle = {path: (tiny_fp32 / path).read_bytes() for path in files_of(tiny_fp32)}
    del bundle["onnx/model.onnx"]
    hub.add("tiny/bundle", bundle)
    assert "tiny/bundle has no onnx/model.onnx at revision main" in refused(name="tiny/bundle")


@pytest.mark.parametrize("file", ["../evil.json", "/etc/passwd", "onnx/../../evil", "a\\b", "a\nb"])
def test_a_bundle_that_names_files_elsewhere_is_refused_before_they_are_asked_for(
    hub, tiny_fp32, tmp_path, file
):
    manifest = json.loads((tiny_fp32 / "bundle.json").read_bytes())
    manifest["files"][file] = {"size": 1, "sha256": "0" * 64}
    hub.add("tiny/bundle", {"bundle.json": json.dumps(manifest).encode(), "config.json": b"{}", file: b"x"})
    assert "names a file that cannot lie in its folder" in refused(BundleError, "tiny/bundle")
    assert set(hub.asked()) == {"bundle.json", "config.json"}


@pytest.mark.parametrize(
    "name", ["no/such/model", "tiny--classifier", "a..b", "models/", "../x", "über/modell", ""]
)
def test_a_name_that_no_model_on_the_hub_can_have_is_refused_without_asking(hub, name):
    assert "no name that a model on the hub can have" in refused(ModelNotFoundError, name)
    assert not hub.log


def test_a_model_that_nobody_has_is_not_replaced_by_another(hub):
    told = refused(ModelNotFoundError, "distilbert-sst")
    assert "distilbert-sst2" in told, "the embedded models are listed"


def test_only_models_on_the_hub_have_revisions(hub, tiny_classifier):
    for name in (tiny_classifier, str(tiny_classifier)):
        with pytest.raises(OptionError, match="revision is 'v1'"):
            resolve(name, revision="v1")
    with pytest.raises(OptionError, match="loaded already"):
        pipeline(model=DistilBertForSequenceClassification.from_pretrained(tiny_classifier), revision="v1")


def test_a_cache_that_cannot_be_written_is_named(hub, monkeypatch, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "cache"))
    told = refused(StorageError)
    assert f"The Hugging Face cache {tmp_path}/file/cache cannot hold config.json" in told
    assert "HF_HUB_CACHE" in told.splitlines()[1]


def run(hub, tmp_path, *arguments, limit=None, **variables):
    """Run the command as a user does, told of the hub by environment variables alone."""
    keep = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    home = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.endpoint}
    return subprocess.run(
        [sys.executable, "-m", "distilbert", *arguments],
        env=keep | home | variables,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit and (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))),
    )


def test_the_command_obeys_the_hubs_environment_variables(hub, tmp_path):
    commit = hub.add(NAME, tiny_checkpoint(tmp_path / "other", labels=("BAD", "GOOD")), branch="v2")
    hub.tokens[NAME] = "hf_right"
    command = ["classify", TEXT, "--json", "--model", NAME, "--revision", "v2"]
    first = run(hub, tmp_path, *command, HF_TOKEN="hf_right")
    assert json.loads(first.stdout)["label"] in ("BAD", "GOOD"), first.stderr
    assert (tmp_path / "home" / "hub" / "models--tiny--classifier" / "snapshots" / commit).is_dir()
    hub.log.clear()
    offline = run(hub, tmp_path, *command, HF_HUB_OFFLINE="1")
    assert (offline.stdout, offline.stderr, offline.returncode) == (first.stdout, "", 0)
    assert not hub.log
    wrong = run(hub, tmp_path, "verify", NAME, HF_TOKEN="hf_wrong")
    assert wrong.returncode == 1
    assert f"error: {hub.endpoint} refused {NAME} (401)" in wrong.stderr
    assert "hf_wrong" not in wrong.stderr


def test_a_full_disk_is_named_and_nothing_is_left_half_written(hub, tmp_path):
    limit = 100_000  # bytes a file, less than the weights have
    assert (tmp_path / "checkpoint" / "model.safetensors").stat().st_size > limit
    full = run(hub, tmp_path, "classify", TEXT, "--model", NAME, limit=limit, PYTHONDONTWRITEBYTECODE="1")
    assert full.returncode == 1
    assert (
        f"error: The Hugging Face cache {tmp_path}/home/hub cannot hold model.safetensors of {NAME}"
        in full.stderr
    )
    assert "Traceback" not in full.stderr
    assert not half_written(tmp_path / "home")
    assert not list((tmp_path / "home").rglob("model.safetensors"))


def test_paths_and_embedded_names_never_load_the_hubs_library(tiny_classifier, tmp_path):
    program = (
        "import sys; from distilbert import pipeline; from distilbert.files.hub import resolve, embedded_models; "
        "pipeline(model=sys.argv[1])('good'); [resolve(name) for name in embedded_models()]; "
        "print('huggingface_hub' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, tiny_classifier], check=True, capture_output=True, text=True
    )
    assert ran.stdout == "False\n"
