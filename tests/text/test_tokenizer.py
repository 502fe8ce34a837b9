import json
import multiprocessing
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tiny import SPECIAL_TOKENS, TOKENIZER_CONFIG, VOCABULARY, WORDS

from distilbert.errors import DistilBertError, OptionError, StorageError, TokenizerError
from distilbert.text.tokenizer import DistilBertTokenizer, DistilBertTokenizerFast

IDS = {token: token_id for token_id, token in enumerate(VOCABULARY)}
TOKENIZER = DistilBertTokenizer(IDS, model_max_length=64)

texts = st.lists(
    st.sampled_from([*WORDS, "[MASK]", " ", "é", "中", "\u200d", "!"]) | st.text(max_size=6)
).map(" ".join)
rows = texts | st.tuples(texts, texts)
lengths = st.integers(min_value=3, max_value=12)


def write(folder, vocabulary=VOCABULARY, config=TOKENIZER_CONFIG, **files):
    """A tokenizer's folder: values are JSON, text or bytes; None leaves a file out."""
    lines = None if vocabulary is None else "".join(f"{token}\n" for token in vocabulary)
    files = {name.replace("__", "."): content for name, content in files.items()}
    for name, content in ({"vocab.txt": lines, "tokenizer_config.json": config} | files).items():
        if isinstance(content, dict | list):
            content = json.dumps(content)
        if content is not None:
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def tokenizer_json(**changes):
    return json.loads(TOKENIZER.backend_tokenizer.to_str()) | changes


def with_model(**changes):
    content = tokenizer_json()
    content["model"] |= changes
    return content


def replacing(pattern):
    return {"type": "Replace", "pattern": pattern, "content": "ee"}


def inside(*steps):
    return {"type": "Sequence", "normalizers": list(steps)}


def template(pieces, tokens=None):
    tokens = {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}} if tokens is None else tokens
    pair = [*pieces, {"Sequence": {"id": "B", "type_id": 1}}]
    return {"type": "TemplateProcessing", "single": pieces, "pair": pair, "special_tokens": tokens}


A, CLS = {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[CLS]", "type_id": 0}}
PRECOMPILED = {"type": "Precompiled", "precompiled_charsmap": "AAAA"}

# Reading files


def test_a_folder_with_vocab_txt_and_one_with_tokenizer_json_answer_alike(tmp_path):
    from_vocabulary = DistilBertTokenizer.from_pretrained(write(tmp_path))
    from_vocabulary.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / "vocab.txt").unlink()
    from_json = DistilBertTokenizer.from_pretrained(str(tmp_path / "saved"))
    text = "Never a boring film, [MASK] ünd 中!"
    assert from_json(text, text) == from_vocabulary(text, text)
    assert from_json.model_max_length == from_vocabulary.model_max_length == 64


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["e", "##a", "中", "a"]),
        ({"do_lower_case": False}, ["[UNK]", "中", "[UNK]"]),
        ({"strip_accents": False}, ["[UNK]", "中", "a"]),
        ({"do_lower_case": False, "strip_accents": True}, ["e", "##a", "中", "[UNK]"]),
        ({"tokenize_chinese_chars": False}, ["[UNK]"]),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "how", ["constructor", "vocab.txt and its config", "keyword over files", "tokenizer.json"]
)
def test_lower_casing_accents_and_chinese_characters_are_settings(tmp_path, settings, expected, how):
    vocabulary = [*VOCABULARY, "中"]
    if how == "constructor":
        write(tmp_path, vocabulary)
        tokenizer = DistilBertTokenizer(tmp_path / "vocab.txt", **settings)
    elif how == "vocab.txt and its config":
        tokenizer = DistilBertTokenizer.from_folder(write(tmp_path, vocabulary, TOKENIZER_CONFIG | settings))
    elif how == "keyword over files":
        tokenizer = DistilBertTokenizer.from_folder(write(tmp_path, vocabulary), **settings)
    else:
        plain = DistilBertTokenizer({token: i for i, token in enumerate(vocabulary)}, **settings)
        plain.save_pretrained(tmp_path)
        (tmp_path / "tokenizer_config.json").write_text("{}")
        tokenizer = DistilBertTokenizer.from_folder(tmp_path)
    assert tokenizer.tokenize("éa中A") == expected


@pytest.mark.parametrize(
    "tokenizer_class",
    [
        "DistilBertTokenizer",
        "DistilBertTokenizerFast",
        "BertTokenizer",
        "BertTokenizerFast",
        "TokenizersBackend",
        None,
    ],
)
def test_any_spelling_of_the_class_is_read(tmp_path, tokenizer_class):
    config = TOKENIZER_CONFIG | {"tokenizer_class": tokenizer_class}
    assert len(DistilBertTokenizerFast.from_folder(write(tmp_path, config=config))) == len(VOCABULARY)


@pytest.mark.parametrize(
    ("config", "files", "names"),
    [
        ({}, {}, ["input_ids", "attention_mask"]),
        ({}, {"config__json": {"model_type": "bert"}}, ["input_ids", "token_type_ids", "attention_mask"]),
        ({}, {"config__json": {"model_type": "distilbert"}}, ["input_ids", "attention_mask"]),
        ({"model_input_names": ["input_ids"]}, {"config__json": {"model_type": "bert"}}, ["input_ids"]),
    ],
    ids=["nothing said", "BERT's config.json", "DistilBERT's config.json", "said"],
)
def test_the_model_beside_it_decides_whether_there_are_token_types(tmp_path, config, files, names):
    tokenizer = DistilBertTokenizer.from_folder(write(tmp_path, config=TOKENIZER_CONFIG | config, **files))
    assert list(tokenizer("a film")) == names


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(64, 64), (1e30, int(1e30)), (int(1e30), int(1e30)), (None, int(1e30))],
)
def test_a_huge_model_max_length_means_none(tmp_path, limit, expected):
    config = TOKENIZER_CONFIG | {"model_max_length": limit}
    tokenizer = DistilBertTokenizer.from_folder(write(tmp_path, config=config))
    assert tokenizer.model_max_length == expected
    assert len(tokenizer("a " * 100, truncation=True)["input_ids"]) == min(expected, 102)


def test_a_tokenizer_json_that_cuts_and_pads_by_itself_does_so_no_more(tmp_path):
    backend = type(TOKENIZER.backend_tokenizer).from_str(TOKENIZER.backend_tokenizer.to_str())
    backend.enable_truncation(8)
    backend.enable_padding(length=8)
    tokenizer = DistilBertTokenizer.from_folder(write(tmp_path, None, tokenizer__json=backend.to_str()))
    assert [len(tokenizer("a " * words)["input_ids"]) for words in (1, 20)] == [3, 22]
    assert len(tokenizer("a " * 100, truncation=True)["input_ids"]) == 64
    assert [len(ids) for ids in tokenizer.encode_texts(["a", "a " * 20]).input_ids] == [3, 22]


def test_what_is_unknown_gets_the_unk_token_of_the_config(tmp_path):
    folder = write(tmp_path, tokenizer__json=with_model(unk_token="[MASK]"))
    assert DistilBertTokenizer.from_folder(folder).tokenize("中") == ["[UNK]"]


def test_added_and_special_tokens_keep_their_ids_and_stay_whole(tmp_path):
    added = {
        str(len(VOCABULARY)): {"content": "[E1]", "special": True},
        str(len(VOCABULARY) + 1): {"content": "wordpiece", "special": False, "normalized": True},
    }
    config = TOKENIZER_CONFIG | {"added_tokens_decoder": added, "extra_special_tokens": ["[E1]", "[E2]"]}
    tokenizer = DistilBertTokenizer.from_folder(write(tmp_path, config=config))
    expected = ["[E1]", "the", "wordpiece", "[E2]"]
    assert tokenizer.tokenize("[E1] the WordPiece [E2]") == expected
    assert tokenizer.convert_tokens_to_ids(expected)[-3::2] == [IDS["the"], len(VOCABULARY) + 2]
    assert len(tokenizer) == tokenizer.vocab_size + 3
    assert (
        tokenizer.decode(tokenizer.encode("[E1] the WordPiece [E2]"), skip_special_tokens=True)
        == "the wordpiece"
    )


def test_older_files_name_added_and_special_tokens_too(tmp_path):
    folder = write(
        tmp_path,
        [*VOCABULARY, "<blank>"],
        added_tokens__json={"[E1]": len(VOCABULARY) + 1},
        special_tokens_map__json={
            "mask_token": {"content": "<blank>", "lstrip": False, "rstrip": False, "normalized": False},
            "additional_special_tokens": ["[E1]"],
        },
    )
    tokenizer = DistilBertTokenizer.from_folder(folder)
    assert (tokenizer.mask_token, tokenizer.mask_token_id) == ("<blank>", len(VOCABULARY))
    assert tokenizer.tokenize("the <blank> [E1]") == ["the", "<blank>", "[E1]"]
    assert tokenizer.all_special_tokens == ["[UNK]", "[SEP]", "[PAD]", "[CLS]", "<blank>", "[E1]"]


def test_windows_line_ends_a_byte_order_mark_and_blanks_at_the_end_are_no_tokens(tmp_path):
    content = "\ufeff" + "\r\n".join(VOCABULARY) + " \r\n\r\n\n"
    assert DistilBertTokenizer.from_folder(write(tmp_path, None, vocab__txt=content)).get_vocab() == IDS


@pytest.mark.parametrize(
    ("files", "seen"),
    {
        "nothing": ({"vocabulary": None}, ["vocab.txt", "tokenizer.json"]),
        "empty vocabulary": ({"vocabulary": []}, ["vocab.txt", "empty"]),
        "an entry twice": ({"vocabulary": [*VOCABULARY, "film"]}, ["vocab.txt", "'film'", "2 times"]),
        "not UTF-8": ({"vocabulary": None, "vocab__txt": b"[PAD]\n\xff\n"}, ["vocab.txt", "0xff", "6"]),
        "no mask token": (
            {"vocabulary": [t for t in VOCABULARY if t != "[MASK]"]},
            ["'[MASK]'", "mask_token"],
        ),
        "a token nowhere": ({"config": {"cls_token": "<s>"}}, ["'<s>'", "cls_token"]),
        "config cut short": ({"config": '{"do_lower_case": tr'}, ["tokenizer_config.json", "column"]),
        "config too deep": ({"config": "[" * 100_000}, ["tokenizer_config.json", "JSON"]),
        "config a list": ({"config": []}, ["tokenizer_config.json", "list"]),
        "config a word": (
            {"config": {"do_lower_case": "yes"}},
            ["tokenizer_config.json", "do_lower_case", "'yes'"],
        ),
        "config a number": ({"config": {"pad_token": 0}}, ["tokenizer_config.json", "pad_token", "0"]),
        "a length as text": ({"config": {"model_max_length": "512"}}, ["model_max_length", "'512'"]),
        "no unk token": ({"config": {"unk_token": None}}, ["unk_token", "None"]),
        "RoBERTa": (
            {"config": {"tokenizer_class": "RobertaTokenizer"}},
            ["tokenizer_config.json", "RobertaTokenizer"],
        ),
        "wrong added id": ({"config": {"added_tokens_decoder": {"9": {"content": "[E1]"}}}}, ["'[E1]'", "9"]),
        "bad added token": (
            {"config": {"added_tokens_decoder": {"x": {}}}},
            ["tokenizer_config.json", "added tokens"],
        ),
        "tokenizer.json cut short": (
            {"tokenizer__json": '{"version": "1.0"'},
            ["tokenizer.json", "column 17"],
        ),
        "tokenizer.json empty": ({"tokenizer__json": ""}, ["tokenizer.json"]),
        "tokenizer.json of GPT": (
            {"tokenizer__json": tokenizer_json(model={"type": "BPE", "vocab": {"a": 0}, "merges": []})},
            ["tokenizer.json", "BPE", "WordPiece"],
        ),
        "a regex": (
            {"tokenizer__json": tokenizer_json(normalizer=replacing({"Regex": "(a*)*b"}))},
            ["tokenizer.json", "normalizer", "Replace", "BertNormalizer"],
        ),
        "a growing text inside": (
            {"tokenizer__json": tokenizer_json(normalizer=inside(inside(replacing({"String": "e"}))))},
            ["tokenizer.json", "normalizer", "Replace"],
        ),
        "too many steps": (
            {"tokenizer__json": tokenizer_json(normalizer=inside(*[{"type": "NFC"}] * 21))},
            ["tokenizer.json", "22 steps", "20"],
        ),
        "a precompiled map": (
            {"tokenizer__json": tokenizer_json(normalizer=PRECOMPILED)},
            ["tokenizer.json", "precompiled"],
        ),
        "its name in escapes": (
            {
                "tokenizer__json": json.dumps(tokenizer_json(normalizer=PRECOMPILED)).replace(
                    "com", r"\u0063om"
                )
            },
            ["tokenizer.json", "precompiled"],
        ),
        "a template without a text": (
            {"tokenizer__json": tokenizer_json(post_processor=template([CLS]))},
            ["tokenizer.json", "its template for one text must hold A once, not none"],
        ),
        "a template of a stranger": (
            {"tokenizer__json": tokenizer_json(post_processor=template([CLS, A], {}))},
            ["tokenizer.json", "which one id '[CLS]' has"],
        ),
        "a long word": (
            {"tokenizer__json": with_model(max_input_chars_per_word=1001)},
            ["tokenizer.json", "max_input_chars_per_word is 1,001"],
        ),
        "half a surrogate pair": ({"config": {"sep_token": "\ud800"}}, ["sep_token", "ud800"]),
        "tokenizer.json without words": (
            {"tokenizer__json": with_model(vocab={})},
            ["tokenizer.json", "empty"],
        ),
    }.values(),
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_files_that_cannot_be_used_are_refused_by_name(tmp_path, files, seen):
    with pytest.raises(TokenizerError) as refused:
        DistilBertTokenizer.from_folder(write(tmp_path, **files))
    assert_says(refused.value, *seen)


def test_ids_that_no_vocabulary_can_have_are_refused_and_ids_beyond_it_are_nothing():
    for ids in (-1, [-1], [2**40], ["a"], None):
        with pytest.raises(TokenizerError, match="Token ids must be whole numbers from 0"):
            TOKENIZER.convert_ids_to_tokens(ids)
    assert TOKENIZER.convert_ids_to_tokens([2, 10**6]) == ["[CLS]", None]


def test_an_id_so_large_that_writing_the_vocabulary_would_fill_memory_is_refused(tmp_path):
    vocabulary = {**IDS, "the": 2**32 - 1}
    folder = write(tmp_path, tokenizer__json=with_model(vocab=vocabulary))
    with pytest.raises(TokenizerError, match="'the' has the id 4,294,967,295, and the largest"):
        DistilBertTokenizer.from_folder(folder).save_pretrained(tmp_path / "out")


def assert_says(error: DistilBertError, *seen):
    assert all(word in error.fault for word in seen), error.fault
    assert error.next_step
    assert len(str(error).splitlines()) == 2


def test_a_vocabulary_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(TokenizerError, match=r"nowhere\.txt"):
        DistilBertTokenizer(tmp_path / "nowhere.txt")


def test_a_setting_that_does_not_exist_is_refused():
    with pytest.raises(OptionError, match="lowercase"):
        DistilBertTokenizer(IDS, lowercase=True)


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        TOKENIZER.save_pretrained(tmp_path / "file" / "folder")


def test_what_is_saved_reads_back_equal_with_what_was_set_since(tmp_path):
    tokenizer = DistilBertTokenizer(
        IDS, do_lower_case=False, strip_accents=True, mask_token=None, padding_side="left"
    )
    tokenizer.model_max_length = 7
    written = [Path(path) for path in tokenizer.save_pretrained(tmp_path / "new" / "folder")]
    again = DistilBertTokenizer.from_folder(tmp_path / "new" / "folder")
    assert {path.name for path in written} == {"tokenizer.json", "tokenizer_config.json", "vocab.txt"}
    assert again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()
    assert (again.model_max_length, again.padding_side, again.mask_token) == (7, "left", None)
    again.save_pretrained(tmp_path / "again")
    assert all((tmp_path / "again" / path.name).read_bytes() == path.read_bytes() for path in written)


# Encoding


@given(
    st.lists(rows, max_size=6),
    st.none() | lengths,
    st.sampled_from(["longest_first", "only_first", "only_second"]),
    st.sampled_from(["left", "right"]),
)
@example([("a " * 9, "a " * 8), ("a " * 8, "a " * 9), ("a", "a " * 9)], 12, "longest_first", "right")
def test_the_pipelines_fast_path_gives_the_ids_of_a_call(batch, max_length, strategy, side):
    tokenizer = pickle.loads(pickle.dumps(TOKENIZER))
    tokenizer.truncation_side = side
    truncation = strategy if max_length else False
    try:
        slow = tokenizer(batch, truncation=truncation, max_length=max_length, return_token_type_ids=True)
    except TokenizerError as refused:
        with pytest.raises(TokenizerError, match=str(refused).split(":")[0]):
            tokenizer.encode_texts(batch, max_length=max_length, strategy=strategy)
        return
    fast = tokenizer.encode_texts(batch, max_length=max_length, strategy=strategy)
    assert fast.input_ids == slow["input_ids"]
    assert fast.token_type_ids in (None, slow["token_type_ids"])
    assert (fast.token_type_ids is None) == (not any(isinstance(row, tuple) for row in batch))
    whole = tokenizer(batch)["input_ids"]
    assert fast.truncated == [max_length is not None and len(ids) > max_length for ids in whole]


@given(rows)
def test_a_row_is_built_of_its_texts_ids(row):
    pair = row if isinstance(row, tuple) else (row,)
    built = TOKENIZER.build_inputs_with_special_tokens(*map(TOKENIZER.text_ids, pair))
    assert built == TOKENIZER(*pair)["input_ids"]


@given(st.lists(rows, min_size=1, max_size=4), lengths, st.sampled_from(["left", "right"]))
def test_padding_adds_only_masked_tokens_to_a_side(batch, max_length, side):
    tokenizer = pickle.loads(pickle.dumps(TOKENIZER))
    tokenizer.padding_side = side
    plain = tokenizer(batch, max_length=max_length)
    padded = tokenizer(batch, max_length=max_length, truncation=True, padding=True, return_tensors="np")
    assert padded.input_ids.dtype == padded.attention_mask.dtype == np.int64
    for ids, row, mask in zip(plain.input_ids, padded.input_ids, padded.attention_mask, strict=True):
        assert row[mask == 1].tolist() == ids
        assert set(row[mask == 0]) <= {TOKENIZER.pad_token_id}
        assert (np.diff(mask) <= 0).all() if side == "right" else (np.diff(mask) >= 0).all()


@given(st.lists(rows, min_size=1, max_size=4), st.sampled_from([True, "max_length", False]), st.booleans())
def test_rows_padded_later_are_rows_padded_at_once(batch, padding, as_rows):
    encoded = TOKENIZER(batch, truncation=True, max_length=20, return_special_tokens_mask=True)
    given_rows = [{name: column[i] for name, column in encoded.items()} for i in range(len(batch))]
    later = TOKENIZER.pad(
        given_rows if as_rows else encoded, padding, max_length=20 if padding == "max_length" else None
    )
    at_once = TOKENIZER(
        batch, truncation=True, max_length=20, padding=padding, return_special_tokens_mask=True
    )
    assert later == at_once


@given(texts, st.integers(3, 12), st.integers(0, 3))
def test_overflowing_rows_hold_the_whole_text_and_overlap_by_the_stride(text, max_length, stride):
    stride = min(stride, max_length - 3)
    whole = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    cut = TOKENIZER(text, max_length=max_length, stride=stride, return_overflowing_tokens=True)
    assert cut["overflow_to_sample_mapping"] == [0] * len(cut["input_ids"])
    bodies = [ids[1:-1] for ids in cut["input_ids"]]
    assert bodies[0] + [token_id for body in bodies[1:] for token_id in body[stride:]] == whole


@given(st.lists(st.sampled_from(WORDS), max_size=20))
def test_decoding_gives_the_words_back(words):
    ids = TOKENIZER.encode(" ".join(words))
    assert TOKENIZER.decode(ids, skip_special_tokens=True) == " ".join(words)
    assert TOKENIZER.batch_decode(np.array([ids, ids])) == [f"[CLS] {' '.join([*words, '[SEP]'])}"] * 2


@given(texts)
def test_offsets_and_word_ids_lead_back_to_the_text(text):
    encoded = TOKENIZER(text, return_offsets_mapping=True)
    for token, (start, end) in zip(encoded.tokens(), encoded.offset_mapping, strict=True):
        if token in WORDS:
            assert text[start:end].lower().startswith(token[0]) or not text[start].isascii()
            assert encoded.char_to_token(start) == encoded.encodings[0].char_to_token(start)


def test_a_call_returns_a_mapping_with_ways_between_characters_words_and_tokens():
    encoded = TOKENIZER("boring acting", "films", return_token_type_ids=True)
    assert encoded.tokens() == ["[CLS]", "boring", "acting", "[SEP]", "film", "##s", "[SEP]"]
    assert {**encoded} == encoded == dict(encoded.items())
    assert encoded.token_type_ids == encoded["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1]
    assert encoded.sequence_ids() == [None, 0, 0, None, 1, 1, None]
    assert encoded.word_ids() == [None, 0, 1, None, 0, 0, None]
    assert (encoded.char_to_token(7), encoded.char_to_token(0, 4, sequence_index=1)) == (2, 5)
    assert encoded.word_to_tokens(0, sequence_index=1) == (4, 6)
    assert encoded.token_to_chars(2) == (7, 13)
    assert (encoded.token_to_chars(2).start, encoded.token_to_chars(0)) == (7, None)
    assert encoded[0].ids == encoded.input_ids
    again = pickle.loads(pickle.dumps(encoded))
    assert again == encoded
    assert again.word_ids() == encoded.word_ids()
    with pytest.raises(AttributeError, match="offset_mapping"):
        encoded.offset_mapping  # noqa: B018


def test_special_tokens_have_names_and_ids():
    roles = ("unk", "sep", "pad", "cls", "mask")
    assert {role: getattr(TOKENIZER, f"{role}_token") for role in roles} == {
        role: f"[{role.upper()}]" for role in roles
    }
    assert all(getattr(TOKENIZER, f"{role}_token_id") == IDS[f"[{role.upper()}]"] for role in roles)
    assert (TOKENIZER.bos_token, TOKENIZER.bos_token_id) == (None, None)
    assert sorted(TOKENIZER.all_special_ids) == [IDS[token] for token in SPECIAL_TOKENS]
    assert [TOKENIZER.num_special_tokens_to_add(pair=pair) for pair in (False, True)] == [2, 3]
    assert TOKENIZER.convert_ids_to_tokens(
        [IDS["film"], 10**6, TOKENIZER.cls_token_id], skip_special_tokens=True
    ) == [
        "film",
        None,
    ]
    assert TOKENIZER.convert_tokens_to_ids(["film", "nothing"]) == [IDS["film"], TOKENIZER.unk_token_id]


def test_no_texts_make_an_empty_batch():
    assert TOKENIZER([]) == {"input_ids": [], "attention_mask": []}
    assert TOKENIZER.encode_texts([]) == ([], None, [], None)


def test_a_stride_means_nothing_without_overflowing_rows():
    assert TOKENIZER("a a a a a", max_length=5, stride=9) == TOKENIZER("a a a a a", max_length=5)


def test_an_empty_second_text_is_a_pair_alone_as_in_a_batch():
    assert TOKENIZER("a", "")["input_ids"] == TOKENIZER(["a"], [""])["input_ids"][0]


@pytest.mark.parametrize(
    "text", ["great film " * 9_000, "x" * 100_000, "\u0301中!" * 33_000, "[SEP]" * 20_000]
)
def test_a_text_of_100_000_characters_takes_seconds_at_most(text):
    started = time.perf_counter()
    fast = TOKENIZER.encode_texts([text, (text, text)], max_length=64)
    assert TOKENIZER(text, truncation=True)["input_ids"] == fast.input_ids[0]
    assert time.perf_counter() - started < 10
    assert len(fast.input_ids[1]) <= 64


CALLS = {
    "None": (lambda t: t(None), ["Row 0", "NoneType (None)"]),
    "a number": (lambda t: t(["a", float("nan")]), ["Row 1", "float (nan)"]),
    "a number for the fast path": (lambda t: t.encode_texts(["a", "b", 7]), ["Row 2", "int (7)"]),
    "bytes": (lambda t: t(b"a"), ["Row 0", "bytes (b'a')"]),
    "an array": (lambda t: t(np.array(["a"])), ["Row 0", "ndarray"]),
    "half a pair": (lambda t: t([("a", None)]), ["Row 0", "tuple"]),
    "three texts": (lambda t: t.encode_texts([("a", "b", "c")]), ["Row 0", "tuple"]),
    "fewer second texts": (lambda t: t(["a", "b"], ["c"]), ["2 texts", "1"]),
    "one second text": (lambda t: t(["a", "b"], "c"), ["2 texts", "str ('c')"]),
    "a list beside a text": (lambda t: t("a", ["b"]), ["Row 0", "tuple"]),
    "a text as words": (lambda t: t("a b", is_split_into_words=True), ["Row 0", "str ('a b')"]),
    "a number as word": (lambda t: t([["a"], ["b", 3]], is_split_into_words=True), ["row 1", "int (3)"]),
    "half a surrogate pair": (lambda t: t(["a", "bc\udc80d"]), ["Row 1", "U+DC80", "character 2"]),
    "the same, fast": (lambda t: t.encode_texts(["a", ("b", "\ud800")]), ["Row 1", "U+D800", "character 0"]),
    "the same, in words": (lambda t: t([["a", "\ud800"]], is_split_into_words=True), ["Row 0", "U+D800"]),
    "PyTorch": (lambda t: t("a", return_tensors="pt"), ["return_tensors", "'pt'", "NumPy"]),
    "ragged": (lambda t: t(["a", "a a"], return_tensors="np"), ["different lengths"]),
    "padding": (lambda t: t("a", padding="most"), ["padding", "'most'", "'longest'"]),
    "padding by list": (lambda t: t("a", padding=[]), ["padding", "[]"]),
    "truncation": (lambda t: t("a", truncation="most"), ["truncation", "'most'", "'only_first'"]),
    "strategy": (lambda t: t.encode_texts(["a"], max_length=9, strategy="most"), ["'most'"]),
    "max_length 0": (lambda t: t("a", max_length=0), ["max_length", "0"]),
    "max_length 0, fast": (lambda t: t.encode_texts(["a"], max_length=0), ["max_length", "0"]),
    "max_length 1": (lambda t: t("a", max_length=1), ["max_length=1", "2 special"]),
    "max_length 3.5": (lambda t: t("a", max_length=3.5), ["max_length", "3.5"]),
    "negative stride": (lambda t: t("a", max_length=5, stride=-1), ["stride", "-1"]),
    "wide stride": (
        lambda t: t("a a a a", max_length=5, stride=3, return_overflowing_tokens=True),
        ["stride=3", "row 0", "3 tokens"],
    ),
    "wider stride": (
        lambda t: t("a", max_length=5, stride=4, return_overflowing_tokens=True),
        ["stride=4", "at most 3"],
    ),
    "multiple of 0": (lambda t: t("a", padding=True, pad_to_multiple_of=0), ["pad_to_multiple_of", "0"]),
    "odd multiple": (
        lambda t: t("a", padding=True, truncation=True, max_length=9, pad_to_multiple_of=8),
        ["max_length=9", "8"],
    ),
    "only_first too little": (
        lambda t: t(["a"], ["a a a"], truncation="only_first", max_length=6),
        ["Row 0", "6 tokens", "'only_first'", "other text"],
    ),
    "only_second of one": (
        lambda t: t.encode_texts(["a", "a a a a"], strategy="only_second", max_length=4),
        ["Row 1", "'only_second'", "no second text"],
    ),
    "ids of text": (lambda t: t.decode(["a"]), ["['a']"]),
    "negative id": (lambda t: t.decode([-1]), ["[-1]"]),
    "pad without ids": (lambda t: t.pad({"labels": [1]}), ["input_ids", "labels"]),
    "pad without a token": (
        lambda _: DistilBertTokenizer(IDS, pad_token=None)("a", padding=True),
        ["pad_token"],
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_calls_that_cannot_be_met_say_what_and_where(call):
    attempt, seen = CALLS[call]
    with pytest.raises((OptionError, TokenizerError)) as refused:
        attempt(TOKENIZER)
    assert_says(refused.value, *seen)
    assert TOKENIZER("a")["input_ids"] == [IDS["[CLS]"], IDS["a"], IDS["[SEP]"]]


def test_a_max_length_without_effect_is_said():
    with pytest.warns(UserWarning, match="max_length"):
        TOKENIZER("a", padding=True, max_length=9)


# Threads and processes

SENTENCES = [" ".join(WORDS[i % 7 : i % 31]) for i in range(300)]
SETTINGS = [
    {"truncation": True, "max_length": max_length, "padding": padding}
    for max_length in (5, 9, 17, 33)
    for padding in (True, False)
]


def answers(settings):
    return TOKENIZER(SENTENCES, **settings), TOKENIZER.encode_texts(
        SENTENCES, max_length=settings["max_length"]
    )


def test_threads_with_different_options_do_not_disturb_each_other():
    alone = [answers(settings) for settings in SETTINGS]
    together = threading.Barrier(len(SETTINGS))

    def often(settings):
        together.wait()
        return [answers(settings) for _ in range(5)]

    with ThreadPoolExecutor(len(SETTINGS)) as pool:
        for expected, seen in zip(alone, pool.map(often, SETTINGS), strict=True):
            assert all(answer == expected for answer in seen)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_answer_alike(method):
    expected = TOKENIZER.encode_texts(SENTENCES, max_length=9)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply_async(TOKENIZER.encode_texts, (SENTENCES,), {"max_length": 9}).get(60) == expected


@given(texts)
def test_a_text_s_encoding_is_the_text_alone_with_its_places(text):
    encoding = TOKENIZER.text_encoding(text)
    whole = TOKENIZER(text, return_offsets_mapping=True)
    alone = slice(TOKENIZER.special_tokens_before, len(encoding.ids) + TOKENIZER.special_tokens_before)
    assert encoding.ids == TOKENIZER.text_ids(text) == whole["input_ids"][alone]
    assert encoding.offsets == whole["offset_mapping"][alone]


def test_an_encoding_of_words_numbers_their_tokens():
    assert TOKENIZER.text_encoding(["good-film", "", "acting"]).word_ids == [0, 0, 0, 2]
    assert TOKENIZER.text_encoding("good-film  acting").word_ids == [0, 1, 2, 3]
    assert TOKENIZER.text_encoding([]).ids == TOKENIZER.text_encoding("").ids == []


@pytest.mark.parametrize("wrong", [3, None, ["a", 3], "half \ud800", ["half \ud800"]], ids=ascii)
def test_what_is_no_text_has_no_encoding(wrong):
    with pytest.raises(TokenizerError, match=r"[Rr]ow 0"):
        TOKENIZER.text_encoding(wrong)
