import json
import shutil
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import save_checkpoint, save_tensors, tiny_arrays, tiny_checkpoint, tiny_config, write_safetensors

from distilbert.errors import CheckpointError
from distilbert.files.checkpoint import fold_token_types, read_checkpoint, sinusoidal_positions, stored_names
from distilbert.files.config import DistilBertConfig

BERT_NAMES = {
    "encoder.layer.1.attention.self.query.weight": "transformer.layer.1.attention.q_lin.weight",
    "encoder.layer.1.attention.self.key.bias": "transformer.layer.1.attention.k_lin.bias",
    "encoder.layer.1.attention.self.value.weight": "transformer.layer.1.attention.v_lin.weight",
    "encoder.layer.1.attention.output.dense.weight": "transformer.layer.1.attention.out_lin.weight",
    "encoder.layer.1.attention.output.LayerNorm.bias": "transformer.layer.1.sa_layer_norm.bias",
    "encoder.layer.0.intermediate.dense.weight": "transformer.layer.0.ffn.lin1.weight",
    "encoder.layer.0.output.dense.bias": "transformer.layer.0.ffn.lin2.bias",
    "encoder.layer.0.output.LayerNorm.weight": "transformer.layer.0.output_layer_norm.weight",
    "embeddings.token_type_embeddings.weight": "embeddings.token_type_embeddings.weight",
    "pooler.dense.weight": "pooler.weight",
    "classifier.bias": "classifier.bias",
}


def read(folder):
    return read_checkpoint(folder, DistilBertConfig.from_folder(folder))


def refused(folder):
    with pytest.raises(CheckpointError) as caught:
        read(folder)
    assert caught.value.next_step
    assert "\n" not in caught.value.fault
    return caught.value.fault


def save_renamed(folder, rename, config=None, dtype="F32"):
    """A tiny classifier whose tensors are passed through `rename`: {name: array} -> {name: array}."""
    config = config or tiny_config(architectures=("DistilBertForSequenceClassification",))
    arrays = tiny_arrays(config)
    save_checkpoint(folder, config, arrays)
    save_tensors(folder / "model.safetensors", rename(dict(arrays)), dtype)
    return arrays


@pytest.fixture
def folder(tmp_path):
    return tiny_checkpoint(tmp_path / "model")


SPELLINGS = {
    "bare names": lambda name: name,
    "prefixed names": lambda name: f"distilbert.{name}",
    "DataParallel's names": lambda name: f"module.distilbert.{name}",
    "DataParallel's bare names": lambda name: f"module.{name}",
    "old layer norms": lambda name: name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
        "LayerNorm.bias", "LayerNorm.beta"
    ),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_each_way_to_spell_a_name_gives_the_same_arrays(tmp_path, spell):
    arrays = save_renamed(tmp_path, lambda arrays: {spell(name): array for name, array in arrays.items()})
    checkpoint = read(tmp_path)
    assert checkpoint.head == "sequence-classification"
    assert checkpoint.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(checkpoint.arrays[name], array)
        assert checkpoint.arrays[name].dtype == np.float32
        assert checkpoint.arrays[name].flags.c_contiguous


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_berts_names_become_distilberts(tmp_path, spell):
    config = tiny_config(model_type="bert")
    arrays = tiny_arrays(config)
    spelt = {spell(name).replace("distilbert.", "bert."): array for name, array in arrays.items()}
    save_checkpoint(tmp_path, config, {})
    save_tensors(tmp_path / "model.safetensors", spelt)
    checkpoint = read(tmp_path)
    assert len(checkpoint.arrays) == len(arrays)
    for bert, canonical in BERT_NAMES.items():
        np.testing.assert_array_equal(checkpoint.arrays[canonical], arrays[bert])


@pytest.mark.parametrize(("dtype", "step"), [("F64", 0), ("F32", 0), ("F16", 2**-11), ("BF16", 2**-8)])
def test_each_precision_is_read_as_the_float32_it_stands_for(tmp_path, dtype, step):
    config = tiny_config()
    arrays = tiny_arrays(config)
    save_checkpoint(tmp_path, config, arrays, dtype)
    for name, array in read(tmp_path).arrays.items():
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, arrays[name], rtol=step, atol=2**-24 if dtype == "F16" else 0)


def test_bfloat16_is_the_upper_half_of_a_float32(tmp_path):
    config = tiny_config()
    arrays = tiny_arrays(config)
    exact = np.array([1.0, -2.5, 3.140625, 1e38, -1e-38, 0.0], np.float32).view("<u4") & 0xFFFF0000
    arrays["classifier.weight"][0, :6] = exact.view("<f4")
    save_checkpoint(tmp_path, config, arrays, "BF16")
    np.testing.assert_array_equal(read(tmp_path).arrays["classifier.weight"][0, :6], exact.view("<f4"))


LANGUAGE_MODEL = {"vocab_transform", "vocab_layer_norm", "vocab_projector"}
HEADS = {
    "none": set(),
    "token-classification": {"classifier"},
    "question-answering": {"qa_outputs"},
    "masked-lm": LANGUAGE_MODEL,
}


@pytest.mark.parametrize("told", [True, False], ids=["told by the config", "shown by the tensors"])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("model_type", ["distilbert", "bert"])
def test_every_head_is_read_under_the_same_names_in_both_families(tmp_path, model_type, head, told):
    settings = {} if told else {"architectures": ()}
    checkpoint = read(tiny_checkpoint(tmp_path, model_type=model_type, head=head, **settings))
    assert checkpoint.head == head
    own = {name for name in checkpoint.arrays if not name.startswith(("embeddings.", "transformer."))}
    spare = {"pooler"} if (model_type, head) == ("bert", "none") else set()  # as BERT's encoders are saved
    assert {name.rsplit(".", 1)[0] for name in own} == HEADS[head] | spare
    assert len(checkpoint.arrays) - len(own) == 4 + 2 * 16 + (model_type == "bert")


def save_language_model(folder, change, **settings):
    """A tiny language model of BERT whose tensors `change` may change; returns them."""
    config = tiny_config(model_type="bert", architectures=("BertForMaskedLM",), **settings)
    arrays = tiny_arrays(config, "masked-lm")
    arrays |= change(arrays)
    save_checkpoint(folder, config, arrays, prefix="bert.")
    return arrays


def test_a_language_model_has_its_word_embeddings_once(tmp_path):
    save_language_model(
        tmp_path,
        lambda arrays: {"cls.predictions.decoder.weight": arrays["embeddings.word_embeddings.weight"]},
    )
    assert "vocab_projector.weight" not in read(tmp_path).arrays


@pytest.mark.parametrize("tied", [True, False])
def test_a_projection_of_its_own_is_kept_whatever_the_config_says(tmp_path, tied):
    own = np.full(tiny_arrays(tiny_config())["embeddings.word_embeddings.weight"].shape, 0.5, np.float32)
    save_language_model(
        tmp_path, lambda _: {"cls.predictions.decoder.weight": own}, extra={"tie_word_embeddings": tied}
    )
    np.testing.assert_array_equal(read(tmp_path).arrays["vocab_projector.weight"], own)


def test_a_projection_that_the_config_does_not_tie_may_not_be_missing(tmp_path):
    save_language_model(tmp_path, lambda _: {}, extra={"tie_word_embeddings": False})
    assert "cls.predictions.decoder.weight is missing" in refused(tmp_path)


def test_the_decoders_bias_goes_before_the_other_spelling(tmp_path):
    arrays = save_language_model(tmp_path / "one", lambda _: {})
    one = read(tmp_path / "one").arrays["vocab_projector.bias"]
    np.testing.assert_array_equal(one, arrays["cls.predictions.bias"])
    save_language_model(tmp_path / "two", lambda _: {"cls.predictions.decoder.bias": one + 1})
    np.testing.assert_array_equal(read(tmp_path / "two").arrays["vocab_projector.bias"], one + 1)


@pytest.mark.parametrize("head", ["token-classification", "question-answering", "masked-lm"])
def test_a_pooler_that_nothing_reads_may_be_left_over_in_a_bert(tmp_path, head):
    folder = tiny_checkpoint(tmp_path, model_type="bert", head=head)
    config = DistilBertConfig.from_folder(folder)
    pooler = {"pooler.dense.weight": np.zeros((32, 32)), "pooler.dense.bias": np.zeros(32)}
    save_checkpoint(folder, config, tiny_arrays(config, head) | pooler, prefix="bert.")
    assert read(folder).head == head


@pytest.mark.parametrize("architecture", ["Model", "ForMaskedLM", "ForPreTraining"])
@pytest.mark.parametrize("family", ["DistilBert", "Bert"])
def test_an_encoder_is_read_whatever_language_model_its_config_remembers(tmp_path, family, architecture):
    model_type = family.lower()
    folder = tiny_checkpoint(
        tmp_path, model_type=model_type, head="none", architectures=(family + architecture,)
    )
    assert read(folder).head == "none"


@pytest.mark.parametrize("model_type", ["distilbert", "bert"])
def test_an_encoder_is_read_without_its_language_model_where_the_config_says_so(tmp_path, model_type):
    architecture = {"distilbert": "DistilBertModel", "bert": "BertModel"}[model_type]
    folder = tiny_checkpoint(tmp_path, model_type=model_type, head="masked-lm", architectures=(architecture,))
    checkpoint = read(folder)
    assert checkpoint.head == "none"
    assert len(checkpoint.arrays) == 4 + 2 * 16 + (model_type == "bert")
    assert all(name.startswith(("embeddings.", "transformer.")) for name in checkpoint.arrays)


def test_position_ids_may_be_left_over(tmp_path):
    save_renamed(tmp_path, lambda arrays: arrays | {"distilbert.embeddings.position_ids": np.zeros((1, 64))})
    assert "embeddings.position_ids" not in read(tmp_path).arrays


def test_sinusoidal_positions_are_computed_when_the_file_has_none(tmp_path):
    config = tiny_config(sinusoidal_pos_embds=True)
    name = "embeddings.position_embeddings.weight"
    save_renamed(tmp_path, lambda arrays: {k: v for k, v in arrays.items() if k != name}, config)
    positions = read(tmp_path).arrays[name]
    angles = 3 / 10000 ** (2 * 5 / 32)  # position 3, columns 10 and 11
    np.testing.assert_allclose(positions[3, 10:12], [np.sin(angles), np.cos(angles)], rtol=1e-6)
    np.testing.assert_array_equal(positions, sinusoidal_positions(64, 32))


def test_sinusoidal_positions_are_taken_from_the_file_that_has_them(tmp_path):
    arrays = save_renamed(tmp_path, dict, tiny_config(sinusoidal_pos_embds=True))
    name = "embeddings.position_embeddings.weight"
    np.testing.assert_array_equal(read(tmp_path).arrays[name], arrays[name])


def test_token_type_row_zero_is_folded_into_every_position(tmp_path):
    arrays = read(tiny_checkpoint(tmp_path, model_type="bert")).arrays
    before = {name: array.copy() for name, array in arrays.items()}
    folded = fold_token_types(arrays)
    token_types = "embeddings.token_type_embeddings.weight"
    positions = "embeddings.position_embeddings.weight"
    assert arrays.keys() - folded.keys() == {token_types}
    np.testing.assert_array_equal(folded[positions], before[positions] + before[token_types][0])
    for name, array in before.items():
        np.testing.assert_array_equal(arrays[name], array)
    assert fold_token_types(folded).keys() == folded.keys()


def without(name):
    return lambda arrays: {k: v for k, v in arrays.items() if k != name}


def instead(name, array):
    return lambda arrays: arrays | {name: np.asarray(array, np.float32)}


def spoilt(name, value):
    def spoil(arrays):
        arrays[name].flat[-1] = value
        return arrays

    return spoil


WRONG_TENSORS = {
    "missing": (
        without("transformer.layer.1.ffn.lin1.bias"),
        "transformer.layer.1.ffn.lin1.bias is missing",
    ),
    "left over": (
        instead("transformer.layer.2.ffn.lin1.bias", np.zeros(64)),
        "transformer.layer.2.ffn.lin1.bias is left over: the config asks for no such tensor",
    ),
    "of nobody": (instead("adapter.weight", np.zeros(3)), "adapter.weight is left over"),
    "of the other family": (
        instead("bert.pooler.dense.weight", np.zeros((32, 32))),
        "bert.pooler.dense.weight is left over",
    ),
    "another number of labels": (
        instead("classifier.weight", np.zeros((3, 32))),
        "classifier.weight has shape [3, 32], but config.json says [2, 32] (num_labels 2, dim 32)",
    ),
    "another vocabulary": (
        instead("embeddings.word_embeddings.weight", np.zeros((7, 32))),
        "embeddings.word_embeddings.weight has shape [7, 32], but config.json says ",
    ),
    "transposed": (
        instead("transformer.layer.0.ffn.lin2.weight", np.zeros((64, 32))),
        "ffn.lin2.weight has shape [64, 32], but config.json says [32, 64] (dim 32, hidden_dim 64)",
    ),
    "flat": (instead("classifier.bias", np.zeros((1, 2))), "classifier.bias has shape [1, 2]"),
    "under two names": (
        instead("distilbert.embeddings.LayerNorm.gamma", np.zeros(32)),
        "embeddings.LayerNorm.weight and distilbert.embeddings.LayerNorm.gamma are two names of one tensor",
    ),
    "not a number": (
        spoilt("transformer.layer.1.attention.k_lin.weight", np.nan),
        "transformer.layer.1.attention.k_lin.weight is not finite: element [31, 31] is nan",
    ),
    "infinite": (spoilt("classifier.bias", -np.inf), "classifier.bias is not finite: element [1] is -inf"),
    "a span head": (
        lambda arrays: (
            without("classifier.weight")(arrays) | {"qa_outputs.weight": np.zeros((2, 32), np.float32)}
        ),
        "holds qa_outputs.weight, but config.json's architectures says DistilBertForSequenceClassification",
    ),
    "no head where one is told": (
        without("classifier.weight"),
        "no classifier.weight, but config.json's architectures says DistilBertForSequenceClassification",
    ),
    "nothing": (lambda _: {}, "holds no classifier.weight, but config.json's architectures says"),
}


@pytest.mark.parametrize(("change", "fault"), WRONG_TENSORS.values(), ids=WRONG_TENSORS)
def test_a_tensor_that_is_wrong_is_named(tmp_path, change, fault):
    save_renamed(tmp_path, change)
    told = refused(tmp_path)
    assert fault in told
    assert str(tmp_path / "model.safetensors") in told


def test_of_many_wrong_tensors_five_are_named_and_the_rest_counted(tmp_path):
    save_renamed(tmp_path, lambda arrays: {"classifier.weight": arrays["classifier.weight"]})
    told = refused(tmp_path)
    assert told.count(" is missing") == 5
    assert told.endswith("; and 34 more.")


def test_berts_missing_tensor_is_named_as_bert_calls_it(tmp_path):
    save_renamed(tmp_path, without("encoder.layer.0.output.dense.bias"), tiny_config(model_type="bert"))
    assert "encoder.layer.0.output.dense.bias is missing" in refused(tmp_path)


@pytest.mark.parametrize(
    ("architecture", "fault"),
    [
        ("DistilBertModel", "holds classifier.weight, but config.json's architectures says DistilBertModel"),
        (
            "DistilBertForTokenClassification",
            "holds pre_classifier.weight, but config.json's architectures says DistilBertForTokenClassification",
        ),
        ("DistilBertForMultipleChoice", "classifier.weight has shape [2, 32], but config.json says [1, 32]"),
        (
            "BertForNextSentencePrediction",
            "is a model for next-sentence prediction, which is not supported yet",
        ),
        (
            "DistilBertForQuestionAnswering",
            "holds classifier.weight, but config.json's architectures says Dis",
        ),
        ("DistilBertForMaskedLM", "holds classifier.weight, but config.json's architectures says Dis"),
    ],
)
def test_a_head_that_the_config_calls_otherwise_is_refused(tmp_path, architecture, fault):
    assert fault in refused(tiny_checkpoint(tmp_path, architectures=(architecture,)))


@pytest.mark.parametrize("model_type", ["distilbert", "bert"])
def test_multiple_choice_is_told_by_the_config_alone(tmp_path, model_type):
    told = tiny_checkpoint(tmp_path / "a", model_type=model_type, head="multiple-choice", labels=("one",))
    checkpoint = read(told)
    assert checkpoint.head == "multiple-choice"
    assert checkpoint.arrays["classifier.weight"].shape == (1, 32)
    settings = {"model_type": model_type, "labels": ("one",), "architectures": ()}
    untold = tiny_checkpoint(tmp_path / "b", head="multiple-choice", **settings)
    assert read(untold).head == "sequence-classification"


@pytest.mark.parametrize("model_type", ["distilbert", "bert"])
@pytest.mark.parametrize("head", [*HEADS, "sequence-classification", "multiple-choice"])
def test_the_names_to_save_under_are_those_it_is_read_from(tmp_path, model_type, head):
    folder = tiny_checkpoint(tmp_path, model_type=model_type, head=head)
    checkpoint = read(folder)
    names = stored_names(checkpoint.config, head)
    save_tensors(
        folder / "model.safetensors", {names[name]: array for name, array in checkpoint.arrays.items()}
    )
    again = read(folder)
    assert again.head == head
    assert again.arrays.keys() == checkpoint.arrays.keys()
    for name, array in again.arrays.items():
        np.testing.assert_array_equal(array, checkpoint.arrays[name])


@pytest.mark.parametrize("architectures", [(), ("MyOwnModel",)], ids=["none told", "one of somebody's own"])
def test_without_a_known_architecture_the_tensors_say_which_head_it_is(tmp_path, architectures):
    assert (
        read(tiny_checkpoint(tmp_path / "a", architectures=architectures)).head == "sequence-classification"
    )
    assert read(tiny_checkpoint(tmp_path / "b", head="none", architectures=architectures)).head == "none"


def entry(dtype, shape, start, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


WRONG_TYPES = {
    "I64": 8,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
}


@pytest.mark.parametrize(("dtype", "size"), WRONG_TYPES.items())
def test_a_tensor_of_a_type_that_is_no_plain_float_is_named(folder, dtype, size):
    write_safetensors(
        folder / "model.safetensors",
        {"classifier.weight": entry(dtype, [2, 32], 0, 64 * size)},
        bytes(64 * size),
    )
    told = refused_classifier(folder)
    assert f"classifier.weight is stored as {dtype}, and only F32, F16, BF16, F64 can be read" in told


def refused_classifier(folder):
    """The refusal with its list of missing tensors set aside: a file of one tensor lacks all others."""
    path = folder / "model.safetensors"
    size = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + size])
    body = path.read_bytes()[8 + size :]
    for name, array in tiny_arrays(tiny_config()).items():
        if name not in header:
            header[name] = entry("F32", list(array.shape), len(body), len(body) + array.nbytes)
            body += array.tobytes()
    write_safetensors(path, header, body)
    return refused(folder)


F32 = entry("F32", [2], 0, 8)
BROKEN_FILES = {
    "empty": (b"", "(0 bytes) claims a header of 0 bytes"),
    "seven bytes": (b"1234567", "(7 bytes) claims a header of"),
    "a header larger than the file": (
        struct.pack("<Q", 500) + b"{}",
        "(10 bytes) claims a header of 500 bytes",
    ),
    "a header of an exabyte": (
        struct.pack("<Q", 2**60) + b"{}",
        "claims a header of 1152921504606846976 bytes",
    ),
    "cut short": ({"a": F32}, bytes(4), "is cut short or has bytes too many"),
    "bytes too many": ({"a": F32}, bytes(12), "is cut short or has bytes too many"),
    "more than the file holds": (
        {"a": entry("F32", [2**40], 0, 2**42)},
        bytes(8),
        "is cut short or has bytes too many",
    ),
    "an overflow": (
        {"a": entry("F32", [2**40, 2**40], 0, 8)},
        bytes(8),
        "whose shape does not fit its bytes",
    ),
    "another shape than bytes": (
        {"a": entry("F32", [3], 0, 8)},
        bytes(8),
        "whose shape does not fit its bytes",
    ),
    "an overlap": ({"a": F32, "b": entry("F32", [2], 4, 12)}, bytes(12), "that overlap or leave a hole"),
    "a hole": ({"a": F32, "b": entry("F32", [2], 12, 20)}, bytes(20), "that overlap or leave a hole"),
    "no JSON": (struct.pack("<Q", 4) + b"abcd", "has a header that cannot be read"),
    "not UTF-8": (struct.pack("<Q", 4) + b'"\xff" ', "has a header that cannot be read"),
    "a list": (struct.pack("<Q", 2) + b"[]", "has a header that cannot be read"),
    "a type unheard of": ({"a": entry("F99", [2], 0, 8)}, bytes(8), "has a header that cannot be read"),
    "a page of HTML": (b"<!DOCTYPE html><html>Not found</html>", "claims a header of"),
    "a git-lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid", "claims a header of"),
}


@pytest.mark.parametrize("case", BROKEN_FILES.values(), ids=BROKEN_FILES)
def test_a_file_that_is_not_whole_is_refused_before_it_is_read(folder, case):
    path = folder / "model.safetensors"
    if len(case) == 2:
        path.write_bytes(case[0])
    else:
        write_safetensors(path, *case[:2])
    told = refused(folder)
    assert case[-1] in told
    assert str(path) in told


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory):
    folder = tiny_checkpoint(tmp_path_factory.mktemp("whole"), n_layers=1)
    return folder, (folder / "model.safetensors").read_bytes()


@given(st.data())
def test_a_damaged_file_is_read_as_it_stands_or_refused(whole_file, data):
    folder, content = whole_file
    header = 8 + int.from_bytes(content[:8], "little")
    kept = data.draw(st.just(len(content)) | st.integers(0, len(content)))
    damaged = bytearray(content[:kept])
    places = st.integers(0, header) | st.integers(0, len(content) - 1)
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=4)):
        if place < kept:
            damaged[place] = byte
    (folder / "model.safetensors").write_bytes(damaged)
    try:
        checkpoint = read(folder)
    except CheckpointError as error:
        told = error.fault
        assert str(folder) in told
    else:
        assert all(np.isfinite(array).all() for array in checkpoint.arrays.values())


@pytest.mark.parametrize(
    ("file", "fault", "next_step"),
    [
        ("", "has no model.safetensors", "save_pretrained"),
        ("pytorch_model.bin", "a pickle can hold code", "distilbert convert pytorch_model.bin"),
        (
            "model.safetensors.index.json",
            "is not an index of shards: JSONDecodeError",
            "save the model again",
        ),
    ],
)
def test_weights_in_another_form_are_refused_with_the_way_to_get_them(folder, file, fault, next_step):
    (folder / "model.safetensors").unlink()
    if file:
        (folder / file).write_bytes(b"x")
    with pytest.raises(CheckpointError) as caught:
        read(folder)
    assert fault in caught.value.fault
    assert next_step in caught.value.next_step


def test_a_folder_of_the_files_name_is_refused(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").mkdir()
    assert "is not a file" in refused(folder)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_reading_takes_the_arrays_memory_and_that_of_one_tensor_more(tmp_path, dtype):
    folder = tiny_checkpoint(tmp_path, dtype=dtype, dim=128, n_layers=8, hidden_dim=512)
    read(folder)  # what is imported and cached on the first call does not count
    tracemalloc.start()
    arrays = read(folder).arrays.values()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < sum(array.nbytes for array in arrays) + 2.5 * max(array.nbytes for array in arrays)


def test_a_symlink_is_followed_as_the_hubs_cache_has_them(tmp_path, folder):
    snapshot, blobs = tmp_path / "snapshots" / "0a1b2c", tmp_path / "blobs"
    blobs.mkdir()
    shutil.copytree(folder, snapshot)
    shutil.move(snapshot / "model.safetensors", blobs / "hash")
    (snapshot / "model.safetensors").symlink_to("../../blobs/hash")
    assert read(snapshot).head == "sequence-classification"


def test_a_link_out_of_the_folder_is_refused(tmp_path, folder):
    shutil.move(folder / "model.safetensors", tmp_path / "blob")
    (folder / "model.safetensors").symlink_to(tmp_path / "blob")
    with pytest.raises(CheckpointError, match="it is a link that leads out of the model's folder"):
        read(folder)


def test_the_starter_is_read_whole(shared):
    checkpoint = read(shared / "weights" / "distilbert-sst2-starter")
    assert checkpoint.head == "sequence-classification"
    assert sum(array.size for array in checkpoint.arrays.values()) == 22_713_218
    assert checkpoint.config.labels == ("NEGATIVE", "POSITIVE")
