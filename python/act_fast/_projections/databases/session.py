"""A connection to a database, and a transaction on it, whatever client it is of."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from act_fast._projections.databases.dialect import Dialect
from act_fast._runtime.logger import log
from act_fast.errors import DefinitionError

__all__ = ["Connected", "Savepoints", "Session", "TransactionEndedError", "ended"]

_SAVEPOINT: Final = "act_fast"


class TransactionEndedError(DefinitionError):
    """The transaction was ended by what was called in it, so what it has done may be in the database already."""


class Session(ABC):
    """What a transaction is worked with.

    Attributes:
        given: what the methods of a projection are given: a cursor, or a connection of SQLAlchemy.
        dialect: what SQL is like there.
    """

    def __init__(self, given: Any, dialect: Dialect) -> None:
        self.given = given
        self.dialect = dialect

    @abstractmethod
    def run(self, sql: str, params: Sequence[Any] = ()) -> None:
        """Run a statement, in which `?` stands for a parameter."""

    @abstractmethod
    def run_each(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once for each row of parameters."""

    @abstractmethod
    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Ask for rows, as plain tuples, whatever rows the user of the connection has chosen to be given."""

    def begin_again(self) -> None:
        """Go on in another transaction where making, dropping or renaming a table has ended this one."""
        if self.dialect.commits_tables:
            self.run(self.dialect.begin)
            self.run(f"savepoint {_SAVEPOINT}")

    def close(self) -> None:
        """Let go of what is open."""
        self.given.close()


class Connected(ABC):
    """A connection to a database.

    Attributes:
        raw: the connection as its user has made it.
        dialect: what SQL is like there.
        is_shared: whether its users have to take turns.
    """

    raw: Any
    dialect: Dialect
    is_shared: bool = True

    @abstractmethod
    def session(self, given: Any) -> Session:
        """What to work with in a transaction of which only that is at hand which methods are given."""

    @abstractmethod
    def transaction(self, place: str, keys: Sequence[str]) -> AbstractContextManager[Session]:
        """A transaction that is committed at the end of the block, or undone if that raises.

        Args:
            place: whose it is, for errors.
            keys: what no other transaction may hold meanwhile.

        Raises:
            TransactionEndedError: something in the block has ended the transaction.
        """

    @property
    def is_usable(self) -> bool:
        """Whether it is still open, as far as can be seen without asking."""
        return True

    def forked(self) -> bool:
        """Whether a child process can go on with it. Neither it nor its parent could if it were closed there."""
        return False

    @abstractmethod
    def close(self) -> None:
        """Close it."""


class Savepoints(Connected):
    """A connection whose transactions have savepoints: one that is gone tells that a method has ended its transaction.

    A transaction that the connection's user has left open is joined: on success it is committed with all that is in
    it, otherwise it stays open, without what was done here.
    """

    @contextmanager
    def transaction(self, place: str, keys: Sequence[str]) -> Iterator[Session]:
        """See `Connected`."""
        db = self._open()
        joined = saved = False
        try:
            joined = self._in_transaction(db)
            db.dialect.hold_first(db, keys)
            if not joined:
                self._begin(db)
            db.run(f"savepoint {_SAVEPOINT}")
            saved = True
            db.dialect.hold(db, keys)
            yield db
            try:
                db.run(f"release savepoint {_SAVEPOINT}")
            except Exception as error:
                if self._is_no_savepoint(error):
                    raise ended(place) from None
                raise
            self._commit(db)
        except BaseException:
            if saved or not joined:
                self._undo(db, joined)
            raise
        finally:
            self._end(db, keys)

    def _undo(self, db: Session, joined: bool) -> None:
        if joined:
            try:
                db.run(f"rollback to savepoint {_SAVEPOINT}")
                db.run(f"release savepoint {_SAVEPOINT}")
                return
            except Exception as error:
                log.debug("the transaction that was joined is no more: %s", error)
        try:
            self._roll_back(db)
        except Exception as error:  # it was ended already; what matters is what has been raised before
            log.debug("nothing to roll back: %s", error)

    @abstractmethod
    def _in_transaction(self, db: Session) -> bool:
        """Whether a transaction is open that can be joined."""

    @abstractmethod
    def _open(self) -> Session:
        """What to work with."""

    @abstractmethod
    def _begin(self, db: Session) -> None: ...

    @abstractmethod
    def _commit(self, db: Session) -> None: ...

    @abstractmethod
    def _roll_back(self, db: Session) -> None: ...

    @abstractmethod
    def _is_no_savepoint(self, error: Exception) -> bool:
        """Whether an error says that there is no such savepoint, any more."""

    def _end(self, db: Session, keys: Sequence[str]) -> None:
        """Let go of what the transaction was worked with."""
        db.close()


def ended(place: str) -> TransactionEndedError:
    """What to raise of a transaction that was ended by what was called in it."""
    return TransactionEndedError(
        f"{place} has ended the transaction that it was called in; it must neither commit, nor roll back, nor use"
        " executescript(), which commits"
    )
