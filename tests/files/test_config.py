import copy
import dataclasses
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert.errors import ConfigError
from distilbert.files.config import ACTIVATIONS, MAX_CONFIG_BYTES, PROBLEM_TYPES, DistilBertConfig

DISTILBERT = {
    "model_type": "distilbert",
    "architectures": ["DistilBertForSequenceClassification"],
    "activation": "gelu",
    "attention_dropout": 0.1,
    "dim": 384,
    "dropout": 0.1,
    "hidden_dim": 1536,
    "id2label": {"0": "NEGATIVE", "1": "POSITIVE"},
    "initializer_range": 0.02,
    "label2id": {"NEGATIVE": 0, "POSITIVE": 1},
    "max_position_embeddings": 512,
    "n_heads": 12,
    "n_layers": 6,
    "pad_token_id": 0,
    "qa_dropout": 0.1,
    "seq_classif_dropout": 0.2,
    "sinusoidal_pos_embds": False,
    "tie_weights_": True,
    "transformers_version": "4.10.0",
    "vocab_size": 30522,
}
BERT = {
    "model_type": "bert",
    "architectures": ["BertModel"],
    "vocab_size": 30522,
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "type_vocab_size": 2,
}

sizes = st.integers(1, 4096)
rates = st.floats(0, 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def written_configs(draw):
    """What transformers writes, of either family, with keys of somebody's own."""
    bert = draw(st.booleans())
    heads = draw(st.integers(1, 16))
    labels = draw(st.lists(texts, min_size=2, max_size=5, unique=True))
    config = {
        **draw(st.dictionaries(texts.map("my_{}".format), json_values, max_size=3)),
        "architectures": draw(st.lists(st.sampled_from(["BertModel", "Mine"]), min_size=1, max_size=2)),
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
        "initializer_range": draw(st.floats(0, 10)),
        "max_position_embeddings": draw(sizes),
        "model_type": "bert" if bert else "distilbert",
        "pad_token_id": draw(st.none() | st.integers(0, 9)),
        "problem_type": draw(st.none() | st.sampled_from(PROBLEM_TYPES)),
        "transformers_version": "5.0.0",
        "vocab_size": draw(st.integers(10, 10**6)),
    }
    activation = draw(st.sampled_from(sorted(ACTIVATIONS)))
    if bert:
        own = {
            "attention_probs_dropout_prob": draw(rates),
            "classifier_dropout": draw(st.none() | rates),
            "hidden_act": activation,
            "hidden_dropout_prob": draw(rates),
            "hidden_size": heads * draw(st.integers(1, 128)),
            "intermediate_size": draw(sizes),
            "is_decoder": False,
            "layer_norm_eps": draw(rates),
            "num_attention_heads": heads,
            "num_hidden_layers": draw(st.integers(1, 1000)),
            "type_vocab_size": draw(st.integers(0, 4)),
            "use_cache": True,
        }
    else:
        own = {
            "activation": activation,
            "attention_dropout": draw(rates),
            "dim": heads * draw(st.integers(1, 128)),
            "dropout": draw(rates),
            "hidden_dim": draw(sizes),
            "n_heads": heads,
            "n_layers": draw(st.integers(1, 1000)),
            "qa_dropout": draw(rates),
            "seq_classif_dropout": draw(rates),
            "sinusoidal_pos_embds": draw(st.booleans()),
        }
    return config | own


@given(written_configs())
def test_a_round_trip_keeps_every_key_and_value_that_transformers_wrote(written):
    before = copy.deepcopy(written)
    config = DistilBertConfig.from_dict(written)
    back = config.to_dict()
    assert repr({key: back[key] for key in written}) == repr(before)  # repr: nan is nan
    if "nan" not in repr(back):
        assert DistilBertConfig.from_dict(back) == config


@given(st.sampled_from([DISTILBERT, BERT]), st.data())
def test_whatever_a_file_says_it_is_read_or_refused_as_a_config(base, data):
    keys = st.sampled_from(
        sorted({*DISTILBERT, *BERT, "num_labels", "problem_type", "is_decoder", "pruned_heads"})
    )
    values = base | data.draw(st.dictionaries(keys, json_values, max_size=4))
    try:
        config = DistilBertConfig.from_dict(values)
    except ConfigError as error:
        told = str(error)
        assert told.count("\n") == 1
    else:
        assert config.dim % config.n_heads == 0
        assert len(config.labels) == config.num_labels >= 1


@pytest.mark.parametrize("spelled", [DISTILBERT, BERT], ids=["distilbert", "bert"])
def test_both_families_give_the_same_fields(spelled):
    config = DistilBertConfig.from_dict(spelled)
    assert (config.dim, config.n_heads, config.hidden_dim, config.head_dim) == (384, 12, 1536, 32)
    assert config.type_vocab_size == (2 if spelled is BERT else 0)


def test_the_other_familys_spelling_is_read_and_the_own_one_written():
    config = DistilBertConfig.from_dict(
        {"model_type": "distilbert", "hidden_size": 96, "num_hidden_layers": 3}
    )
    assert (config.dim, config.n_layers) == (96, 3)
    assert config.to_dict()["dim"] == 96
    assert "hidden_size" not in config.to_dict()


@pytest.mark.parametrize(
    ("model_type", "layers", "token_types", "dropout"), [("distilbert", 6, 0, 0.2), ("bert", 12, 2, None)]
)
def test_what_a_file_leaves_out_has_transformers_default(model_type, layers, token_types, dropout):
    config = DistilBertConfig.from_dict({"model_type": model_type})
    assert (config.n_layers, config.type_vocab_size, config.seq_classif_dropout) == (
        layers,
        token_types,
        dropout,
    )
    assert config.labels == ("LABEL_0", "LABEL_1")


@pytest.mark.parametrize(
    ("keys", "labels"),
    [
        ({"num_labels": 3}, ("LABEL_0", "LABEL_1", "LABEL_2")),
        ({"id2label": {"1": "b", "0": "a"}}, ("a", "b")),
        ({"id2label": {0: "a", 1: "b"}, "num_labels": 2}, ("a", "b")),
        ({"id2label": {"0": "a", "1": "b"}, "label2id": None}, ("a", "b")),
        ({"id2label": {"0": "a", "1": "b"}, "label2id": {"a": "0", "b": "1"}}, ("a", "b")),
        # transformers leaves this behind when only id2label is set on a config
        (
            {"id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}},
            ("a", "b", "c"),
        ),
    ],
)
def test_labels_come_in_the_order_of_the_logits(keys, labels):
    config = DistilBertConfig.from_dict({"model_type": "distilbert", **keys})
    assert config.labels == labels
    assert config.label2id == {label: i for i, label in enumerate(labels)}
    assert DistilBertConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("key", "value"),
    [("layer_norm_eps", 1e-5), ("type_vocab_size", 2), ("qa_dropout", 2), ("hidden_dropout_prob", 0.5)],
)
def test_a_key_that_transformers_ignores_is_ignored_and_kept(key, value):
    base = BERT if key == "qa_dropout" else DISTILBERT
    config = DistilBertConfig.from_dict(base | {key: value})
    assert dataclasses.replace(config, extra={}) == dataclasses.replace(
        DistilBertConfig.from_dict(base), extra={}
    )
    assert config.to_dict()[key] == value


BAD_VALUES = [
    ({"dim": -1}, "dim must be a whole number from 1 to 2147483647, not -1"),
    ({"dim": True}, "dim must be a whole number from 1 to 2147483647, not True"),
    ({"dim": 384.0}, "dim must be a whole number from 1 to 2147483647, not 384.0"),
    ({"dim": "384"}, "dim must be a whole number from 1 to 2147483647, not '384'"),
    ({"dim": None}, "dim must be a whole number from 1 to 2147483647, not None"),
    ({"dim": 10**12}, "dim must be a whole number from 1 to 2147483647, not 1000000000000"),
    ({"n_layers": 10**6}, "n_layers must be a whole number from 1 to 1000, not 1000000"),
    ({"vocab_size": 0}, "vocab_size must be a whole number from 1 to 2147483647, not 0"),
    ({"n_heads": 7}, "dim 384 cannot be divided into n_heads 7"),
    ({"hidden_size": 768}, "dim is 384 but hidden_size is 768: two names of one thing"),
    ({"pad_token_id": -1}, "pad_token_id must be null or a whole number from 0, not -1"),
    ({"pad_token_id": 30522}, "pad_token_id 30522 lies outside vocab_size 30522"),
    ({"dropout": 1.5}, "dropout must be a number from 0 to 1, not 1.5"),
    ({"dropout": float("nan")}, "dropout must be a number from 0 to 1, not nan"),
    ({"initializer_range": float("inf")}, "initializer_range must be a finite number from 0, not inf"),
    ({"initializer_range": 10**400}, "initializer_range must be a finite number from 0, not 1000"),
    ({"sinusoidal_pos_embds": 1}, "sinusoidal_pos_embds must be true or false, not 1"),
    ({"activation": "gelo"}, "activation must be one of gelu, gelu_python, "),
    ({"activation": ["gelu"]}, "activation must be one of gelu, gelu_python, "),
    (
        {"problem_type": "ranking"},
        "problem_type must be null or one of regression, single_label_classification, ",
    ),
    (
        {"problem_type": "single_label_classification", "id2label": {"0": "a"}, "label2id": None},
        "problem_type 'single_label_classification' needs two labels or more, not 1",
    ),
    (
        {"architectures": "DistilBertModel"},
        "architectures must be a list of class names, not 'DistilBertModel'",
    ),
    ({"architectures": [1]}, "architectures must be a list of class names, not (1,)"),
    ({"id2label": {"0": "a", "2": "b"}}, "id2label must have the ids 0 to 1, not ['0', '2']"),
    ({"id2label": {"1": "a", "2": "b"}}, "id2label must have the ids 0 to 1, not ['1', '2']"),
    ({"id2label": {"00": "a", "1": "b"}}, "id2label must have the ids 0 to 1, not ['00', '1']"),
    ({"id2label": {0: "a", "0": "b"}}, "id2label must have the ids 0 to 1, not ['0']"),
    ({"id2label": {}}, "id2label must map ids to labels, not be {}"),
    ({"id2label": ["a", "b"]}, "id2label must map ids to labels, not be ['a', 'b']"),
    ({"id2label": {"0": "a", "1": 1}}, "labels must be text, not 1"),
    ({"id2label": {"0": "a", "1": "\ud800"}}, r"labels must be text, not '\ud800'"),
    ({"id2label": {"0": "a", "1": "a"}}, "labels must differ, but 'a' is there twice"),
    ({"num_labels": 3}, "num_labels is 3, but id2label has 2 labels"),
    ({"num_labels": 10**9}, "num_labels must be a whole number from 1 to 1000000, not 1000000000"),
    ({"num_labels": True}, "num_labels must be a whole number from 1 to 1000000, not True"),
    (
        {"label2id": {"NEGATIVE": 1, "POSITIVE": 0}},
        "label2id is {'NEGATIVE': 1, 'POSITIVE': 0}, but id2label makes",
    ),
    ({"label2id": [0, 1]}, "label2id must map labels to ids, not be [0, 1]"),
    (
        {"position_embedding_type": "relative_key"},
        "position_embedding_type is 'relative_key': only 'absolute'",
    ),
    ({"is_decoder": True}, "is_decoder is True: only False is supported"),
    ({"add_cross_attention": True}, "add_cross_attention is True: only False is supported"),
    ({"pruned_heads": {"0": [1]}}, "pruned_heads is {'0': [1]}: only {} is supported"),
    ({"quantization_config": {"bits": 4}}, "quantization_config is {'bits': 4}: only None is supported"),
    ({"model_type": "roberta"}, "model_type is 'roberta', and only 'distilbert' and 'bert' are supported"),
    ({"model_type": ["bert"]}, "model_type is ['bert'], and only 'distilbert' and 'bert' are supported"),
    ({"my": 1, "dim": "x" * 10**6}, "not 'xxxxxxxx"),
]


@pytest.mark.parametrize(("keys", "fault"), BAD_VALUES, ids=[str(fault)[:60] for _, fault in BAD_VALUES])
def test_a_value_that_cannot_be_is_named_with_its_rule(keys, fault):
    with pytest.raises(ConfigError) as caught:
        DistilBertConfig.from_dict(DISTILBERT | keys, source="here/config.json")
    assert caught.value.fault.startswith("here/config.json: ")
    assert fault in caught.value.fault
    assert len(caught.value.fault) < 300
    assert caught.value.next_step


def test_all_faults_are_told_in_one_error_under_the_files_own_names():
    with pytest.raises(ConfigError) as caught:
        DistilBertConfig.from_dict(
            BERT | {"hidden_size": 0, "hidden_act": "sine", "is_decoder": True, "num_labels": -1},
            source="config.json",
        )
    first, second = str(caught.value).split("\n")
    assert first.count("; ") == 3
    for name in ("hidden_size", "hidden_act", "is_decoder", "num_labels"):
        assert name in first
    assert second == "Correct the file, or take the config.json that was saved with the weights."


@pytest.mark.parametrize(
    "arguments",
    [
        {"dim": 33},
        {"model_type": "roberta"},
        {"layer_norm_eps": 1e-5},
        {"type_vocab_size": 2},
        {"labels": ()},
    ],
    ids=str,
)
def test_a_config_made_in_python_is_held_to_the_same_rules(arguments):
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        DistilBertConfig(**arguments)


def test_a_config_without_model_type_is_refused():
    with pytest.raises(ConfigError, match="model_type is ''"):
        DistilBertConfig.from_dict({"dim": 768})


BAD_FILES = {
    "cut short": (b'{"model_type": "bert", ', "is not valid JSON: "),
    "empty": (b"", "is not valid JSON: "),
    "a list": (b"[1, 2]", "holds [1, 2], not a JSON object"),
    "null": (b"null", "holds None, not a JSON object"),
    "latin-1": (b'{"model_type": "b\xe9rt"}', "is not UTF-8: byte 17 is 0xe9"),
    "utf-16": ('{"model_type": "bert"}'.encode("utf-16"), "is not UTF-8: byte 0 is 0xff"),
    "a byte order mark": (b'\xef\xbb\xbf{"model_type": "bert"}', "is not valid JSON: "),
    "NaN": (b'{"model_type": "bert", "x": NaN}', "is not valid JSON: NaN is not a finite number"),
    "Infinity": (
        b'{"model_type": "bert", "x": -Infinity}',
        "is not valid JSON: -Infinity is not a finite number",
    ),
    "an overflow": (b'{"model_type": "bert", "x": 1e999}', "is not valid JSON: 1e999 is not a finite number"),
    "a giant number": (b'{"x": ' + b"9" * 10**4 + b"}", "is not valid JSON: "),
    "deep": (b'{"x": ' + b"[" * 10**5, "is nested too deeply"),
    "deep and closed": (b'{"model_type": ' + b"[" * 10**5 + b"]" * 10**5 + b"}", "is nested too deeply"),
    "large": (b" " * (MAX_CONFIG_BYTES + 1), "it has 4,194,305 bytes, and at most 4,194,304 are read"),
}


@pytest.mark.parametrize(("content", "fault"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, content, fault):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        DistilBertConfig.from_folder(tmp_path)
    assert str(tmp_path / "config.json") in caught.value.fault
    assert fault in caught.value.fault
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (Path.exists, "has no config.json"),
        (Path.rmdir, "has no config.json"),
        (lambda folder: (folder / "config.json").mkdir(), "cannot be read: it is not a regular file"),
        (lambda folder: (folder.rmdir(), folder.write_text("x")), "cannot be read: Not a directory"),
    ],
    ids=["no file", "no folder", "a folder of that name", "a file for a folder"],
)
def test_a_file_that_is_not_there_is_named(tmp_path, make, fault):
    folder = tmp_path / "model"
    folder.mkdir()
    make(folder)
    with pytest.raises(ConfigError, match=fault) as caught:
        DistilBertConfig.from_folder(folder)
    assert str(folder) in caught.value.fault


def test_a_saved_config_is_read_back_as_it_was(tmp_path):
    config = DistilBertConfig.from_dict(
        DISTILBERT | {"id2label": {"0": "schön", "1": "😀"}, "label2id": None}
    )
    config.save(tmp_path)
    assert DistilBertConfig.from_folder(tmp_path) == config
    assert json.loads((tmp_path / "config.json").read_text())["label2id"] == {"schön": 0, "😀": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_config_can_be_hashed_and_sent_to_another_process():
    config = DistilBertConfig.from_dict(DISTILBERT)
    assert pickle.loads(pickle.dumps(config)) == config
    assert hash(config) == hash(DistilBertConfig.from_dict(DISTILBERT))


def test_what_a_config_gives_out_cannot_change_it():
    config = DistilBertConfig.from_dict(DISTILBERT | {"task_specific_params": {"a": [1]}})
    config.to_dict()["task_specific_params"]["a"].append(2)
    assert config.to_dict()["task_specific_params"] == {"a": [1]}


def test_the_type_of_the_weights_is_told_under_the_name_that_transformers_reads_now():
    config = DistilBertConfig.from_dict({**DISTILBERT, "torch_dtype": "float16", "mine": 1})
    saved = config.saved_as("float32").to_dict()
    assert saved["dtype"] == "float32"
    assert "torch_dtype" not in saved
    assert {**saved, "torch_dtype": "float16"} == {**config.to_dict(), "dtype": "float32"}


@pytest.mark.parametrize(("told", "ties"), [({}, True), (True, True), (False, False)])
def test_words_are_tied_unless_the_config_denies_it(told, ties):
    extra = {"tie_word_embeddings": told} if told != {} else {}
    assert DistilBertConfig.from_dict({**DISTILBERT, **extra}).ties_words is ties
