"""The command `distilbert`. Each command is a module here, imported only when it is called."""

from __future__ import annotations

import os
import sys
import warnings
from importlib import import_module
from pathlib import Path

import click

from distilbert.cli.terminal import printable
from distilbert.errors import DistilBertError

COMMANDS = {
    "answer": "find the answers to questions in a text",
    "bench": "time a model here, beside every other way to run it",
    "classify": "label texts",
    "compile": "turn a checkpoint into a bundle that runs fast",
    "convert": "turn a pytorch_model.bin into a checkpoint without code",
    "distil": "teach a student half its size what a teacher answers",
    "finetune": "train a checkpoint on your rows",
    "info": "say what a model is, and what it is at home in",
    "prepare": "turn a corpus into token ids that training reads from disk",
    "report": "prove what a student kept of its teacher, and how fast it is",
    "score": "measure a model on a labelled file",
    "tag": "find the entities in texts",
    "verify": "check a bundle's files and replay its probes",
}


class _Commands(click.Group):
    """Lists the table above without importing what stands behind it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"distilbert.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="distilbert COMMAND --help shows a command's options, with examples.",
)
@click.version_option(package_name="distilbert")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def distilbert() -> None:
    """DistilBERT on ordinary machines: text to answer in int8, without PyTorch."""


def main() -> None:
    """Run the command and exit: 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    _replace_closed_streams()
    try:
        code = distilbert.main(prog_name="distilbert", standalone_mode=False) or 0
    except DistilBertError as error:
        code = _fail(f"error: {error}", error.exit_code)
    except click.ClickException as error:
        code = _wrong_use(error)
    except (click.Abort, KeyboardInterrupt):
        code = _fail("interrupted", 130)
    except OSError as error:  # not a closed pipe, as in `... | head`: there click ends quietly
        code = _fail(f"error: {error.filename or 'standard output'}: {error.strerror}.", 1)
    sys.exit(code)


def _replace_closed_streams() -> None:
    """A stream that the caller closed (`<&-`, `>&-`) is None to Python; let it be empty instead.

    In their order each gets its own number, the lowest free one, which else a table's file would.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - stays open


def _wrong_use(error: click.ClickException) -> int:
    if len(sys.argv) == 1:  # not an error to be told of: the help
        error.show()
        return error.exit_code
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "distilbert"
    return _fail(f"error: {error.format_message()}\n{command} --help says more.", error.exit_code)


def _fail(message: str, code: int) -> int:
    if "--debug" in sys.argv:
        import traceback

        message = traceback.format_exc() + message
    _tell(message)
    return code


def _show_warning(message: Warning | str, category: type[Warning], *_: object) -> None:
    if category.__module__.startswith("distilbert."):
        _tell(f"note: {message}")


def _tell(message: str) -> None:
    """Say it on standard error, line by line: a tensor's or a file's name in it may be a stranger's."""
    click.echo("\n".join(map(printable, message.split("\n"))), err=True)
