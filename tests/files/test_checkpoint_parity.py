import numpy as np
import pytest
from shards import sharded
from tiny import VOCABULARY, tiny_checkpoint, tiny_config

from distilbert.files.checkpoint import read_checkpoint, sinusoidal_positions
from distilbert.files.config import DistilBertConfig

pytestmark = pytest.mark.parity

SIZES = {
    "distilbert": {"dim": 32, "n_heads": 4, "n_layers": 2, "hidden_dim": 64},
    "bert": {
        "hidden_size": 32,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "intermediate_size": 64,
        "type_vocab_size": 2,
    },
}
FAMILIES = {"distilbert": "DistilBert", "bert": "Bert"}
CLASSES = {
    f"{family}{kind}": head
    for family in FAMILIES.values()
    for kind, head in {
        "Model": "none",
        "ForMaskedLM": "masked-lm",
        "ForSequenceClassification": "sequence-classification",
        "ForTokenClassification": "token-classification",
        "ForQuestionAnswering": "question-answering",
    }.items()
} | {"BertForPreTraining": "masked-lm"}


def tiny_model(name, **settings):
    import torch
    import transformers

    torch.manual_seed(0)
    model_type = "bert" if name.startswith("Bert") else "distilbert"
    sizes = SIZES[model_type] | {"vocab_size": 100, "max_position_embeddings": 16}
    config = getattr(transformers, f"{FAMILIES[model_type]}Config")(**sizes | settings)
    return getattr(transformers, name)(config)


def read(folder):
    return read_checkpoint(folder, DistilBertConfig.from_folder(folder))


def modules(model, config):
    """{our canonical name: transformers' module}, by attribute and not by our table of names."""
    base = model.base_model
    found = {
        "embeddings.word_embeddings": base.embeddings.word_embeddings,
        "embeddings.position_embeddings": base.embeddings.position_embeddings,
        "embeddings.LayerNorm": base.embeddings.LayerNorm,
    }
    if config.model_type == "bert":
        found["embeddings.token_type_embeddings"] = base.embeddings.token_type_embeddings
    for i in range(config.n_layers):
        name = f"transformer.layer.{i}"
        if config.model_type == "bert":
            layer = base.encoder.layer[i]
            attention, feed_forward = layer.attention, (layer.intermediate.dense, layer.output.dense)
            inner = (attention.self.query, attention.self.key, attention.self.value, attention.output.dense)
            norms = (attention.output.LayerNorm, layer.output.LayerNorm)
        else:
            layer = base.transformer.layer[i]
            attention, feed_forward = layer.attention, (layer.ffn.lin1, layer.ffn.lin2)
            inner = (attention.q_lin, attention.k_lin, attention.v_lin, attention.out_lin)
            norms = (layer.sa_layer_norm, layer.output_layer_norm)
        found |= dict(zip([f"{name}.attention.{x}_lin" for x in ("q", "k", "v", "out")], inner, strict=True))
        found |= dict(zip([f"{name}.ffn.lin1", f"{name}.ffn.lin2"], feed_forward, strict=True))
        found |= dict(zip([f"{name}.sa_layer_norm", f"{name}.output_layer_norm"], norms, strict=True))
    kind = type(model).__name__.removeprefix(FAMILIES[config.model_type])
    if kind in ("ForSequenceClassification", "ForTokenClassification"):
        found["classifier"] = model.classifier
    if getattr(base, "pooler", None) is not None:
        found["pooler"] = base.pooler.dense
    if type(model).__name__ == "DistilBertForSequenceClassification":
        found["pre_classifier"] = model.pre_classifier
    if kind == "ForQuestionAnswering":
        found["qa_outputs"] = model.qa_outputs
    if kind in ("ForMaskedLM", "ForPreTraining"):
        found |= language_model(model, config)
    return found


def language_model(model, config):
    if config.model_type == "distilbert":
        parts = (model.vocab_transform, model.vocab_layer_norm, model.vocab_projector)
    else:
        head = model.cls.predictions
        parts = (head.transform.dense, head.transform.LayerNorm, head.decoder)
    return dict(zip(("vocab_transform", "vocab_layer_norm", "vocab_projector"), parts, strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("name", "head"), CLASSES.items())
def test_what_transformers_saves_is_read_to_the_bit(tmp_path, name, head, dtype):
    import torch

    labels = {} if head == "question-answering" else {"num_labels": 3}
    model = tiny_model(name, **labels).to(getattr(torch, dtype))
    model.save_pretrained(tmp_path)
    checkpoint = read(tmp_path)
    assert checkpoint.head == head
    expected = {
        f"{module}.{kind}": parameter.detach().float().numpy()
        for module, layer in modules(model, checkpoint.config).items()
        for kind, parameter in layer.named_parameters()
    }
    if head == "masked-lm":  # once, for it is the word embeddings
        shared = expected.pop("vocab_projector.weight")
        np.testing.assert_array_equal(shared, expected["embeddings.word_embeddings.weight"])
    assert checkpoint.arrays.keys() == expected.keys()
    for tensor, array in expected.items():
        assert checkpoint.arrays[tensor].dtype == np.float32
        np.testing.assert_array_equal(checkpoint.arrays[tensor], array, err_msg=tensor)


@pytest.mark.parametrize("name", ["DistilBertForMaskedLM", "BertForMaskedLM"])
def test_a_projection_that_is_not_tied_is_read_too(tmp_path, name):
    import torch

    model = tiny_model(name, tie_word_embeddings=False)
    projector = model.get_output_embeddings()
    torch.nn.init.normal_(projector.bias)
    model.save_pretrained(tmp_path)
    arrays = read(tmp_path).arrays
    np.testing.assert_array_equal(arrays["vocab_projector.weight"], projector.weight.detach().numpy())
    np.testing.assert_array_equal(arrays["vocab_projector.bias"], projector.bias.detach().numpy())
    assert not np.array_equal(arrays["vocab_projector.weight"], arrays["embeddings.word_embeddings.weight"])


@pytest.mark.parametrize("size", ["10KB", "60KB"])
@pytest.mark.parametrize("name", ["DistilBertForSequenceClassification", "BertForSequenceClassification"])
def test_the_shards_that_transformers_saves_hold_what_its_one_file_holds(tmp_path, name, size):
    model = tiny_model(name, num_labels=3)
    model.save_pretrained(tmp_path / "whole")
    model.save_pretrained(tmp_path / "shards", max_shard_size=size)
    assert len(list((tmp_path / "shards").glob("model-*-of-*.safetensors"))) > 1
    whole, parts = read(tmp_path / "whole").arrays, read(tmp_path / "shards").arrays
    assert parts.keys() == whole.keys()
    for tensor, array in whole.items():
        np.testing.assert_array_equal(parts[tensor], array, err_msg=tensor)


@pytest.mark.parametrize("model_type", ["distilbert", "bert"])
def test_our_sharded_checkpoints_are_whole_in_transformers_eyes(tmp_path, model_type):
    import transformers

    sharded(tmp_path, model_type=model_type)
    model, loaded = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path, output_loading_info=True, dtype="float32", local_files_only=True
    )
    assert not any(loaded[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    for module, layer in modules(model, DistilBertConfig.from_folder(tmp_path)).items():
        weight = read(tmp_path).arrays[f"{module}.weight"]
        np.testing.assert_array_equal(weight, layer.weight.detach().numpy(), err_msg=module)


def test_sinusoidal_positions_equal_transformers(tmp_path):
    model = tiny_model("DistilBertModel", sinusoidal_pos_embds=True, dim=36, max_position_embeddings=512)
    theirs = model.embeddings.position_embeddings.weight.detach().numpy()
    np.testing.assert_array_equal(sinusoidal_positions(512, 36), theirs)


CONFIGS = {
    "DistilBERT's defaults": ("distilbert", {}),
    "three labels": ("distilbert", {"num_labels": 3}),
    "named labels": ("distilbert", {"id2label": {0: "a", 1: "b"}, "label2id": {"a": 0, "b": 1}}),
    "all of DistilBERT's settings": (
        "distilbert",
        {
            "activation": "relu",
            "sinusoidal_pos_embds": True,
            "problem_type": "multi_label_classification",
            "dropout": 0,
        },
    ),
    "keys of somebody's own": ("distilbert", {"finetuning_task": "sst-2", "mine": {"a": [1, None, 0.5]}}),
    "a dropout in BERT's spelling, which is ignored": ("distilbert", {"hidden_dropout_prob": 0.3}),
    "BERT's defaults": ("bert", {}),
    "all of BERT's settings": (
        "bert",
        {"hidden_act": "gelu_new", "layer_norm_eps": 1e-6, "pad_token_id": None, "classifier_dropout": 0.3},
    ),
    "a regression": ("bert", {"num_labels": 1, "problem_type": "regression"}),
}


@pytest.mark.parametrize(("model_type", "settings"), CONFIGS.values(), ids=CONFIGS)
def test_transformers_config_survives_the_way_through_ours(tmp_path, model_type, settings):
    import transformers

    theirs = getattr(transformers, f"{FAMILIES[model_type]}Config")(**settings)
    theirs.save_pretrained(tmp_path)
    ours = DistilBertConfig.from_folder(tmp_path)
    assert ours.num_labels == theirs.num_labels
    assert ours.id2label == theirs.id2label
    (tmp_path / "again").mkdir()
    ours.save(tmp_path / "again")
    again = transformers.AutoConfig.from_pretrained(tmp_path / "again")
    assert type(again) is type(theirs)
    assert again.to_diff_dict() == theirs.to_diff_dict()


@pytest.mark.parametrize("settings", [{"hidden_size": 96}, {"dim": 96}], ids=str)
def test_defaults_are_transformers_own(settings):
    import transformers

    for model_type, family in FAMILIES.items():
        key = "hidden_size" if model_type == "bert" else next(iter(settings))
        theirs = getattr(transformers, f"{family}Config")(**{key: 96})
        ours = DistilBertConfig.from_dict({"model_type": model_type, key: 96}).to_dict()
        asked = theirs.to_dict()
        shared = ours.keys() & asked.keys() - {"architectures", "id2label", "label2id"}
        assert len(shared) > 12
        assert {name: ours[name] for name in shared} == {name: asked[name] for name in shared}


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize(
    ("head", "auto"),
    [
        ("none", "AutoModel"),
        ("sequence-classification", "AutoModelForSequenceClassification"),
        ("token-classification", "AutoModelForTokenClassification"),
        ("question-answering", "AutoModelForQuestionAnswering"),
        ("masked-lm", "AutoModelForMaskedLM"),
    ],
)
@pytest.mark.parametrize("model_type", ["distilbert", "bert"])
def test_our_tiny_checkpoints_are_whole_in_transformers_eyes(tmp_path, model_type, head, auto, dtype):
    import transformers

    folder = tiny_checkpoint(tmp_path, model_type=model_type, head=head, dtype=dtype)
    model, loaded = getattr(transformers, auto).from_pretrained(
        folder, output_loading_info=True, dtype="float32", local_files_only=True
    )
    assert not any(loaded[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    layers = modules(model, DistilBertConfig.from_folder(folder))
    layers.pop("vocab_projector", None)  # the word embeddings
    for name, layer in layers.items():
        weight = read(folder).arrays[f"{name}.weight"]
        np.testing.assert_array_equal(weight, layer.weight.detach().numpy(), err_msg=name)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert tokenizer.tokenize("Learning about movies!") == ["learning", "about", "movie", "##s", "!"]


def test_tiny_scores_differ_from_text_to_text(tmp_path):
    import torch
    import transformers

    for model_type in FAMILIES:
        folder = tiny_checkpoint(tmp_path / model_type, model_type=model_type)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
        ids = torch.randint(5, len(VOCABULARY), (20, 8), generator=torch.Generator().manual_seed(0))
        ids[:, 0] = 2
        with torch.no_grad():
            logits = model(ids).logits
        assert logits.std(0).min() > 0.05
    assert tiny_config().vocab_size == len(VOCABULARY)
