"""A shell for questions: lines with a history, questions over several lines, and a few words of its own."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from act_fast._checks.sql_text import quoted_name
from act_fast._sql.connection import Connection
from act_fast.cli.sql.answer import Form, show
from act_fast.errors import ActError, ValidationError
from act_fast.monitoring.words import counted

__all__ = ["Shell"]

HELP: Final = """\
.tables        list the relations
.schema [NAME] list the columns of one of them, or of all
.help          show this help
.quit          or Ctrl-D: leave

End each question with a semicolon; it may span several lines. Each is about the
log as it is at that moment. Ctrl-C discards what you have typed, or stops what
is running."""

_HISTORY_LINES_MAX: Final = 2000


class Shell:
    """Answers one question after the other.

    Args:
        connection: what is asked.
        form: how answers are shown.
        pinned: whether all questions are about the moment that the connection stands at, and not about now.
    """

    def __init__(self, connection: Connection, form: Form, *, pinned: bool) -> None:
        self._connection = connection
        self._form: Form = form
        self._pinned = pinned

    def talk(self) -> int:
        """Talk with a person until that one leaves; the exit code."""
        readline = _readline(self._connection.relations)
        print(f"{self._connection!r}\nEnd each question with a semicolon; .help shows the rest.")
        text = ""
        while True:
            try:
                line = input("...> " if text else "sql> ")
                if not text and line.strip().startswith("."):
                    if line.strip() == ".quit":
                        break
                    self._guarded(self._command, line.strip())
                    continue
                text = f"{text}\n{line}" if text else line
                if not text.strip():
                    text = ""
                elif text.rstrip().endswith(";"):
                    self._guarded(self._answer, text)
                    text = ""
            except KeyboardInterrupt:
                print()
                text = ""
            except EOFError:
                print()
                break
        if readline is not None:
            _save(readline)
        return 0

    def read(self, text: str) -> int:
        """Answer all questions of a text, and its lines that begin with a dot; the exit code.

        Raises:
            ValidationError: the first of them that cannot be answered, which ends it.
        """
        for part in _parts(text):
            if part == ".quit":
                break
            if part.startswith("."):
                self._command(part)
                continue
            for query in self._statements(part):
                self._refresh()
                show(self._connection.sql(query), self._form)
        return 0

    def _answer(self, text: str) -> None:
        for query in self._statements(text):
            self._refresh()
            rows = show(self._connection.sql(query), self._form)
            print(f"{counted(rows, 'row')}, as of position {self._connection.position:,}")

    def _refresh(self) -> None:
        if not self._pinned:
            self._connection.refresh()

    def _statements(self, text: str) -> list[str]:
        import duckdb

        try:
            return [each.query for each in duckdb.extract_statements(text)]
        except duckdb.Error:
            return [text]  # what is wrong with it is said when it is asked

    def _command(self, line: str) -> None:
        match line.split():
            case [".help"]:
                print(HELP)
            case [".tables"]:
                print(*self._connection.relations, sep="\n")
            case [".schema"]:
                for name in self._connection.relations:
                    self._describe(name)
            case [".schema", name]:
                self._describe(name.rstrip(";"))
            case _:
                raise ValidationError(f"{line} is not a command; .help lists them")

    def _describe(self, name: str) -> None:
        question = f"select column_name, column_type from (describe {quoted_name(name)})"
        columns = self._connection.sql(question).fetchall()
        print(f"{name}\n" + "\n".join(f"  {column} {kind}" for column, kind in columns))

    def _guarded(self, run: Callable[[str], None], text: str) -> None:
        """Run something that may go wrong, or be stopped, without an end to the talk."""
        from act_fast._runtime.interruptible import interruptible

        try:
            with interruptible():
                run(text)
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
        except ActError as error:
            print(error, file=sys.stderr)


def _parts(text: str) -> Iterator[str]:
    """A text cut at the lines that begin with a dot, where a question has not begun."""
    rest = ""
    for line in text.splitlines(keepends=True):
        if line.startswith(".") and (not rest.strip() or rest.rstrip().endswith(";")):
            if rest.strip():
                yield rest
            yield line.strip()
            rest = ""
        else:
            rest += line
    if rest.strip():
        yield rest


def _history() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "act-fast" / "sql_history"


def _readline(words: list[str]) -> Any:
    """Lines that can be edited, with the history of before; None where Python was built without."""
    try:
        import readline
    except ImportError:
        return None
    with suppress(OSError):
        readline.read_history_file(_history())
    folded = [(word.casefold(), word) for word in words]

    def complete(text: str, at: int) -> str | None:
        found = [word for fold, word in folded if fold.startswith(text.casefold())]
        return found[at] if at < len(found) else None

    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")
    return readline


def _save(readline: Any) -> None:
    with suppress(OSError):
        _history().parent.mkdir(parents=True, exist_ok=True)
        readline.set_history_length(_HISTORY_LINES_MAX)
        readline.write_history_file(_history())
