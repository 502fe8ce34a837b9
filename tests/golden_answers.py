"""What transformers 4.57 answered, recorded once, for it is the last with a pipeline for question answering.

`python tests/golden_answers.py` writes `tests/data/golden_answers.json` in an environment with `transformers==4.57.*`,
PyTorch and this package: the versions, the SHA-256 of this file and of what it asks, and of each case below what the
pipeline answered, and what its own code makes of each window alone. Two models are asked. The one is drawn from a seed,
with weights so large (standard deviation 0.5, in the head 2) that scores lie far apart; its vocabulary is that of the
embedded models. The other is `distilbert-squad`, the weights of its int8 graph as float32.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from bundles import dequantised_checkpoint
from tiny import save_checkpoint, tiny_arrays, tiny_config

from distilbert.files.hub import EMBEDDED

RECORD = Path(__file__).parent / "data" / "golden_answers.json"
SQUAD = Path(__file__).parents[2] / "shared" / "data" / "squad" / "dev.json.gz"
SEED = 13

LIBRARY = (
    "The reading room of the old library opens at nine. Miriam Adler, who has kept its keys since 1987, lights the "
    "lamps first and then winds the clock above the door. Most of the 41,300 volumes were a gift of the glassmaker "
    "Otto Reinholt, whose daughter catalogued them by hand. In the winter of 2003 a burst pipe ruined the maps of the "
    "northern coast; volunteers from three villages dried what was left between sheets of blotting paper."
)
RIVER = (
    "The Velm rises under Mount Karsa at 1,912 metres and runs for 268 kilometres to the Bay of Ostren. Salmon, which "
    "had not been seen there since the paper mill was built in 1894, came back in 2011, two years after the last weir "
    "was taken down. The biologist Ines Duarte counted 312 of them in the first autumn and 2,047 in the fourth."
)
BAKERY = (
    "Before the war the bakery of Jean-Luc Moreau sold rye bread only. His granddaughter Amélie added brioche, and in "
    "1999 the almond tart that made the shop known far beyond Lyon. She gets up at 2:30 a.m., bakes 640 loaves a day, "
    "and never sells what is left over: it goes to the shelter on rue de l'Espérance."
)
ODD = {
    "emoji": "We flew to Lisbon 🛫🇵🇹 and ate pastéis de nata 🥧👩‍👩‍👧 until midnight 🌙.",
    "combining marks": "The cafe\u0301 of Zoe\u0308 lies beside the Vltava; its ow\u0308ner is Bo\u0301z\u0307ena.",
    "right to left": "The word שלום means peace, and سلام means the same in Arabic; both are greetings.",
    "zero width": "The pass\u200bword is sword\u200dfish, and the ha\u00adndle is under\u2060ground.",
    "Chinese": "北京是中国的首都，上海是最大的城市。 The author is 鲁迅, born in 1881.",
    "ligatures": "The oﬃce of the ﬁrm ½ İstanbul ﬂoor opens at ① o'clock, Straße 5.",
    "special tokens": "A row is [CLS] question [SEP] context [SEP], padded with [PAD]; [MASK] hides a word.",
    "white space": "  Name:\tAda\u00a0Lovelace \n\n Born:\u20031815 \r\n Died:\u3000\u3000 1852  ",
    "marks only": '?!... -- (((42))) %$# ~~ \'tis "so" -- 7.',
    "a long word": f"The code {'x' * 120} opens it, and pneumonoultramicroscopicsilicovolcanoconiosis does not.",
    "a long name": "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogoogoch is a village on Anglesey.",
    "repeats": "Paris, Paris, PARIS! Everybody loves paris in the spring, but who loves Paris in the fall?",
}
PLAIN = [
    (LIBRARY, "Who keeps the keys of the library?"),
    (LIBRARY, "How many volumes did Otto Reinholt give?"),
    (LIBRARY, "What ruined the maps?"),
    (RIVER, "Where does the Velm rise?"),
    (RIVER, "When did the salmon come back?"),
    (BAKERY, "What made the shop known?"),
    (BAKERY, "When does Amélie get up?"),
    (BAKERY, "Où vont les restes ?"),
]
LONG = f"{LIBRARY} {RIVER} {BAKERY} " * 2
LONG_QUESTION = "Of all the people who are named here, and there are some, " * 6 + "who?"
DEV_QUESTIONS = 120
DRAWN = 40  # texts of any characters


def cases() -> list[dict[str, Any]]:
    """Each case's name, question, context and options; a `fault` names what transformers gets wrong in it."""
    made = [
        case(f"plain {place}, top {top_k}", question, context, top_k=top_k)
        for place, (context, question) in enumerate(PLAIN)
        for top_k in (1, 4)
    ]
    for name, context in ODD.items():
        made.append(case(name, "What is it, and who says so?", context))
        made.append(case(f"{name}, by tokens", "Where?", context, top_k=3, align_to_words=False))
    draw = random.Random(SEED)
    made += [
        case(f"drawn {place}", drawn_text(draw, 12), drawn_text(draw, 60), top_k=3) for place in range(DRAWN)
    ]
    made += [
        case("answers of one token", "When?", RIVER, top_k=5, max_answer_len=1),
        case("answers of any length", "When?", RIVER, top_k=5, max_answer_len=400),
        case("twenty answers", "Who?", LIBRARY, top_k=20),
        case("none may be best", "Who?", BAKERY, top_k=3, handle_impossible_answer=True),
        case("none, by tokens", "Why?", RIVER, handle_impossible_answer=True, align_to_words=False, top_k=30),
        case("windows apart", "Who?", LONG, top_k=3, max_seq_len=65, doc_stride=0),
        case("windows", "How many?", LONG, top_k=4, max_seq_len=103, doc_stride=30),
        case(
            "windows, by tokens", "Who?", LONG, top_k=4, max_seq_len=50, doc_stride=25, align_to_words=False
        ),
        case("windows as they come", "Who is it that keeps all the keys?", LONG * 4, top_k=2),
        case("best of windows", "What ruined the maps of the coast?", LONG, max_seq_len=81, doc_stride=20),
        case("none in windows", "Who?", LONG, max_seq_len=90, top_k=5, handle_impossible_answer=True),
        case("a word at an edge", "Who?", ODD["a long name"] * 3, "cut words", max_seq_len=40, doc_stride=9),
        case("a token of the question", "What is [CLS] for?", ODD["special tokens"], "question", top_k=12),
        case("a long question", LONG_QUESTION, RIVER, "question length"),
        case("a word and no more", "Who?", "Miriam", "too few", top_k=2),
        case(
            "a few words", "Who?", "Pneumonoultramicroscopicsilicovolcanoconiosis said no", "too few", top_k=6
        ),
    ]
    return made


def case(name: str, question: str, context: str, fault: str = "", **options: Any) -> dict[str, Any]:
    return {"name": name, "question": question, "context": context, "fault": fault, "options": options}


def drawn_text(draw: random.Random, length: int) -> str:
    """So many characters of any plane that has some; every fifth a space, a third of them ASCII's."""
    planes = [range(0x20, 0x7F), range(0x20, 0x7F), range(0xA0, 0xD800), range(0xE000, 0x10000)]
    planes += [range(0x1F300, 0x1FAFF), range(0x10000, 0x30000)]
    return "".join(
        " " if draw.random() < 0.2 else chr(draw.choice(draw.choice(planes))) for _ in range(length)
    )


def golden_checkpoint(folder: Path) -> Path:
    """The model that was asked, drawn anew."""
    config = tiny_config(
        vocab_size=30522, max_position_embeddings=512, architectures=("DistilBertForQuestionAnswering",)
    )
    arrays = tiny_arrays(config, "question-answering", SEED)
    for name, array in arrays.items():
        array *= 8 if "qa_outputs" in name else 1 if "norm.weight" in name.lower() else 2
    save_checkpoint(folder, config, arrays)
    for name in ("vocab.txt", "tokenizer_config.json"):
        shutil.copy(EMBEDDED / "distilbert-sst2" / name, folder / name)
    return folder


def trained_checkpoint(folder: Path) -> Path:
    """The embedded answerer as a checkpoint."""
    return dequantised_checkpoint(EMBEDDED / "distilbert-squad", folder)


MODELS = {"random": golden_checkpoint, "distilbert-squad": trained_checkpoint}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def made_from(folder: Path) -> dict[str, str]:
    """Hashes of all that a model's answers depend on."""
    names = ("model.safetensors", "vocab.txt")
    return {"script": sha256(Path(__file__)), **{name: sha256(folder / name) for name in names}}


def dev_questions() -> list[dict[str, Any]]:
    """Questions of the SQuAD dev set, which is not in the repository: a record holds their ids."""
    with gzip.open(SQUAD, "rt", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    asked = [
        case(question["id"], question["question"], paragraph["context"], top_k=3)
        for article in articles
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]
    return random.Random(SEED).sample(asked, DEV_QUESTIONS)


def main() -> None:
    """Ask transformers, and write what it says."""
    import tokenizers
    import torch
    import transformers

    record: dict[str, Any] = {
        "versions": {module.__name__: module.__version__ for module in (transformers, tokenizers, torch)}
    }
    for name, make in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = make(Path(folder) / "checkpoint")
            ask = transformers.pipeline(
                "question-answering",
                model=transformers.DistilBertForQuestionAnswering.from_pretrained(checkpoint),
                tokenizer=transformers.DistilBertTokenizerFast.from_pretrained(checkpoint),
                device="cpu",
            )
            record[name] = {
                "sha256": made_from(checkpoint),
                "cases": {told["name"]: answered(ask, told) for told in cases()},
                "squad": {told["name"]: answered(ask, told) for told in dev_questions()},
            }
    RECORD.write_text(
        json.dumps(record, separators=(",", ":")).replace("},", "},\n") + "\n", encoding="utf-8"
    )


def answered(ask: Any, told: dict[str, Any]) -> dict[str, Any]:
    """The pipeline's answers, each [score, start, end]; where there are several windows, each one's, and the score of
    "no answer" if that may be one.
    """
    question, context, options = told["question"], told["context"], told["options"]
    answers = as_rows(ask(question=question, context=context, **options))
    reading = {name: options[name] for name in ("max_seq_len", "doc_stride") if name in options}
    searching = {
        name: options[name] for name in ("top_k", "max_answer_len", "align_to_words") if name in options
    }
    windows = list(ask.preprocess(ask.create_sample(question=question, context=context), **reading))
    if len(windows) == 1:
        return {"answers": answers}
    if told["fault"] != "cut words" and options.get("align_to_words", True):
        refuse_cut_words(ask, told, windows)
    alone = [as_rows(ask.postprocess([ask.forward(window)], **searching)) for window in windows]
    found: dict[str, Any] = {"answers": answers, "windows": alone}
    if options.get("handle_impossible_answer"):
        every = ask(question=question, context=context, **{**options, "top_k": 4000})
        found["none"] = max(row["score"] for row in every if not row["answer"])
    return found


def refuse_cut_words(ask: Any, told: dict[str, Any], windows: list[dict[str, Any]]) -> None:
    """Windows are to end between words: what becomes of a word that is cut in two is a case of its own."""
    whole = ask.tokenizer(told["context"], return_offsets_mapping=True)
    inside = {
        begin
        for token, (begin, _) in zip(whole.tokens(), whole["offset_mapping"], strict=True)
        if token.startswith("##")
    }
    for window in windows:
        pairs = zip(window["encoding"].offsets, window["encoding"].sequence_ids, strict=True)
        offsets = [offset for offset, text in pairs if text == 1]
        if {offsets[0][0], offsets[-1][1]} & inside:
            sys.exit(f"{told['name']}: a window's edge cuts a word; choose another max_seq_len.")


def as_rows(answers: Any) -> list[list[float]]:
    rows = answers if isinstance(answers, list) else [answers]
    return [[round(row["score"], 7), row["start"], row["end"]] for row in rows]


if __name__ == "__main__":
    main()
