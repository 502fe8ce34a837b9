"""`distilbert answer`: find the answers to questions of the command line or of a file in their contexts."""

from __future__ import annotations

import re
import sys
from functools import partial
from hashlib import sha256
from itertools import tee
from typing import TYPE_CHECKING, Any

import click

from distilbert.cli import options
from distilbert.cli.bulk import refuse_misuse, refuse_resume, rows_of, write_answers
from distilbert.cli.terminal import counted_texts, printable
from distilbert.errors import DataError, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from distilbert.cli.bulk import Given
    from distilbert.engines.base import Engine, Floats, TokenIds
    from distilbert.tasks.answers import QuestionAnsweringPipeline
    from distilbert.text.tokenizer import DistilBertTokenizer

_ANSWERS = re.compile(
    r"text|text_pair|question|answers|(answer|score|start|end)(_\d+)?"
)  # columns that answers have
_SENTENCE_ENDS = re.compile(r"[.!?…]\s+|\n")
_BEGINNING = 100  # characters of a text, which nearly always have a word
_AROUND = 120  # characters shown at most on either side of an answer


@click.command(
    epilog="""\b
Examples:
  distilbert answer "Where does Ada live?" --context "Ada is a baker. She lives in Lyon."
  distilbert answer "Who came back?" --context-file texts.txt --top-k 3
  distilbert answer --file questions.csv --keep id --out answers.csv --resume
  zcat questions.csv.gz | distilbert answer --model my-answerer/ --file - --format csv --json"""
)
@click.argument("questions", nargs=-1, metavar="[QUESTION]...")
@click.option("--context", metavar="TEXT", help="The text that has the answers.")
@click.option(
    "--context-file", metavar="FILE", help="The file that has the answers, .gz too; - is standard input."
)
@options.file
@options.format_
@click.option(
    "--column",
    metavar="COLUMN",
    help="The column of --file with the questions [default: question; .txt: text].",
)
@click.option(
    "--context-column",
    metavar="COLUMN",
    help="The column of --file with the contexts [default: context, unless another option gives one].",
)
@options.keep
@click.option("--out", metavar="FILE", help="Write the questions with their answers to such a file.")
@options.resume
@click.option("--top-k", type=click.IntRange(1), help="So many answers a question, best first.")
@click.option("--max-answer-len", type=click.IntRange(1), help="Tokens of an answer at most [default: 15].")
@click.option(
    "--handle-impossible-answer",
    is_flag=True,
    help="Let no answer be the best one, for models that know of it.",
)
@options.answerer
@options.revision
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a question.")
@options.threads
@options.engine
def command(
    questions: tuple[str, ...],
    context: str | None,
    context_file: str | None,
    file: str | None,
    format: str | None,  # noqa: A002
    column: str | None,
    context_column: str | None,
    keep: tuple[str, ...],
    out: str | None,
    resume: bool,
    top_k: int | None,
    max_answer_len: int | None,
    handle_impossible_answer: bool,
    model: str,
    revision: str | None,
    as_json: bool,
    threads: int | None,
    engine: str | None,
) -> None:
    """Answer QUESTIONs, or those of --file, and show each answer in its sentence.

    A context may be of any length: it is read whole, in overlapping windows. Positions count characters from 0.
    """
    from distilbert.files.table_writer import write_rows
    from distilbert.files.tables import format_of
    from distilbert.pipelines import load_model, pipeline

    example = 'distilbert answer "Where does Ada live?" --context "She lives in Lyon."'
    refuse_misuse(questions, file, out, as_json, keep, taken=_ANSWERS, example=example)
    _refuse_contexts(context, context_file, file, context_column)
    if resume:
        refuse_resume(file, out)
    if file:
        column = column or ("text" if format_of(file, format)[0] == "txt" else "question")
    text = _read(context_file) if context_file else context
    contexts = (context_column or "context") if text is None else None
    given = partial(rows_of, questions, file, format, keep, column or "", contexts)
    first = given()  # a file that is not there is told before the model is loaded
    loaded = load_model("question-answering", model, revision, threads, engine)
    searching = {"max_answer_len": max_answer_len, "handle_impossible_answer": handle_impossible_answer}
    answer = pipeline("question-answering", loaded, top_k=top_k, **searching)

    def askable(rows: Iterator[Given]) -> Iterator[Given]:
        return _with_words(rows, text, answer.tokenizer) if file else rows

    if out:
        write_answers(
            out,
            [*keep, "question", *_names(top_k)],
            lambda: askable(given()),
            lambda window: map(partial(_flat, top_k=top_k), _answers(answer, window, text)),
            file=file,
            model=loaded,
            options={
                "--format": format,
                "--column": column,
                "--context-column": contexts,
                "--context": text and sha256(text.encode(errors="surrogatepass")).hexdigest(),
                "--keep": list(keep),
                "--top-k": top_k,
                "--max-answer-len": max_answer_len,
                "--handle-impossible-answer": handle_impossible_answer,
            },
            resume=resume,
            done="answered",
        )
        return
    answers: Iterable[dict[str, Any]] = _answers(answer, askable(first), text)
    if questions:  # on one context, which may be a book
        with counted_texts("windows read") as advance:
            answer.engine = _Counted(answer.engine, advance)
            answers = list(answers)
    if as_json:
        found = ["answers"] if top_k else _names(None)
        shown = (row if top_k else _flat(row, None) for row in answers)
        write_rows("-", shown, [*keep, "question", *found], format="jsonl")
    else:
        _print(answers, with_questions=len(questions) != 1)


def _refuse_contexts(
    context: str | None, context_file: str | None, file: str | None, column: str | None
) -> None:
    given = [
        name
        for name, value in (
            ("--context", context),
            ("--context-file", context_file),
            ("--context-column", column),
        )
        if value is not None
    ]
    if len(given) > 1:
        raise OptionError(f"{given[0]} and {given[1]} both say where the answers are.", "Leave one out.")
    if not file and given in ([], ["--context-column"]):
        raise OptionError(
            "Questions need a text that has their answers.", "Give --context TEXT or --context-file FILE."
        )
    if file == context_file == "-":
        raise OptionError("Standard input cannot be both --file and --context-file.", "Save one of them.")


def _read(path: str) -> str:
    from distilbert.files.tables import lines_of, source_of

    return "".join(lines_of(source_of(path), path, path.lower().endswith(".gz")))


class _Counted:
    """An engine that tells of each row it answered."""

    def __init__(self, engine: Engine, tell: Callable[[int], None]) -> None:
        self._engine, self._tell = engine, tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def run(self, inputs: Mapping[str, TokenIds]) -> dict[str, Floats]:
        outputs = self._engine.run(inputs)
        self._tell(len(inputs["input_ids"]))
        return outputs


def _with_words(
    rows: Iterable[Given], context: str | None, tokenizer: DistilBertTokenizer
) -> Iterator[Given]:
    """The rows of a file: one that cannot be asked is told with its place, and before any is answered at length."""
    for row in rows:
        for name, text in (("question", row["text"]), ("context", _context_of(row, context))):
            if not tokenizer.text_ids(text[:_BEGINNING]) and not tokenizer.text_ids(text):
                fault = f"{row.place}: its {name} has no words: {text[:40]!r}."
                raise DataError(fault, "Fill it in or leave the row out.")
        yield row


def _answers(
    answer: QuestionAnsweringPipeline, rows: Iterable[Given], context: str | None
) -> Iterator[dict[str, Any]]:
    """What is kept of each row, its `question`, its context as `text_pair`, and `answers`, a list."""
    rows, again = tee(rows)
    asked = ({"question": row["text"], "context": _context_of(row, context)} for row in again)
    for row, found in zip(rows, answer(asked), strict=True):
        given = {**row, "question": row["text"], "text_pair": _context_of(row, context)}
        yield given | {"answers": found if isinstance(found, list) else [found]}


def _context_of(row: Given, context: str | None) -> str:
    """A row's own context, unless there is one for all."""
    return str(row["text_pair"]) if context is None else context


def _names(top_k: int | None) -> list[str]:
    """Columns of a flat table: the second best answer is `answer_2`."""
    suffixes = ["", *(f"_{place}" for place in range(2, (top_k or 1) + 1))]
    return [f"{name}{suffix}" for suffix in suffixes for name in ("answer", "score", "start", "end")]


def _flat(row: dict[str, Any], top_k: int | None) -> dict[str, Any]:
    """A row with its answers in columns: empty ones where it has fewer."""
    flat = dict.fromkeys(_names(top_k)) | row
    for place, found in enumerate(row["answers"], 1):
        flat |= {name if place == 1 else f"{name}_{place}": value for name, value in found.items()}
    return flat


def _print(answers: Iterable[dict[str, Any]], *, with_questions: bool) -> None:
    """A line an answer: its score, and its sentence, where it is coloured on a terminal and elsewhere in brackets."""
    for row in answers:
        if with_questions:
            click.echo(click.style(printable(row["question"]), bold=True))
        for found in row["answers"]:
            shown = in_sentence(row["text_pair"], found["start"], found["end"]) or "(no answer)"
            click.echo(f"{'  ' if with_questions else ''}{found['score']:.4f}  {shown}")


def in_sentence(context: str, start: int, end: int) -> str:
    """The sentence of an answer, or what of it is near, with the answer marked; "" where there is none.

    >>> in_sentence("Ada is a baker. She lives in Lyon. So does Zoe.", 29, 33)
    'She lives in [Lyon].'
    """
    if start == end:
        return ""
    before, after = context[max(0, start - _AROUND) : start], context[end : end + _AROUND]
    ends = [found.end() for found in _SENTENCE_ENDS.finditer(before)]
    if ends:
        before = before[ends[-1] :]
    elif start > _AROUND:
        before = f"…{before}"
    if found := _SENTENCE_ENDS.search(after):
        after = after[: found.end()].rstrip()
    elif end + _AROUND < len(context):
        after = f"{after}…"
    answer = printable(context[start:end])
    marked = click.style(answer, fg="green", bold=True) if sys.stdout.isatty() else f"[{answer}]"
    return printable(before) + marked + printable(after)
