"""Observers: functions that are told what has happened, and cannot spoil it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from act_fast._checks.error_text import error_text
from act_fast._checks.plain_code import called, discard, is_failure, is_unrun, unplain
from act_fast._runtime.forks import tell_in_child
from act_fast._runtime.logger import log
from act_fast.errors import DefinitionError, ValidationError

__all__ = ["Done", "Failure", "Observed", "Observers"]

Observed: TypeAlias = Literal["committed", "claimed", "acked", "blocked", "settled", "error"]

_KINDS: Final = ("committed", "claimed", "acked", "blocked", "settled", "error")


class Done(NamedTuple):
    """What is told of work that is done: where its last event is, and how many were folded and appended."""

    position: int
    replayed: int
    appended: int
    repeated: bool


class Failure(msgspec.Struct, frozen=True):
    """An error that no caller was waiting for.

    Attributes:
        doing: what was being done, in words.
        error: the exception.
        target: the target that was being worked on, if any.
    """

    doing: str
    error: BaseException
    target: str | None = None


class Observers:
    """The observers of one app, told in the order in which they came."""

    def __init__(self) -> None:
        self.kinds: dict[str, tuple[Callable[[Any], object], ...]] = {}
        self._logged: set[str] = set()
        self._heard: tuple[list[Failure], ...] = ()
        self._lock = threading.Lock()
        tell_in_child(self)

    def forked(self) -> None:
        """Threads that held the lock, and the listeners, stayed with the parent."""
        self._lock = threading.Lock()
        self._heard = ()

    def add(self, kind: str, observer: Callable[[Any], object]) -> None:
        """Let `observer` be told of everything of this kind from now on."""
        if kind not in _KINDS:
            raise ValidationError(f"there is nothing called {kind!r} to observe; there is {', '.join(_KINDS)}")
        if not callable(observer):
            raise ValidationError(f"an observer of {kind!r} must be callable, not {type(observer).__name__}")
        if (wrong := unplain(observer)) is not None:
            raise ValidationError(
                f"an observer of {kind!r} is called and not awaited, but {wrong}; write it as a plain `def`"
            )
        self.kinds[kind] = (*self.kinds.get(kind, ()), observer)

    def tell(self, kind: str, what: object) -> None:
        """Tell all observers of this kind. One that raises is logged, and the others are told all the same."""
        self.tell_each(kind, lambda: what)

    def tell_each(self, kind: str, make: Callable[[], object]) -> None:
        """Tell all observers of this kind, each of something of its own that it may change."""
        for observer in self.kinds.get(kind, ()):
            try:
                found = observer(make())
                if is_unrun(found):
                    discard(found)
                    raise DefinitionError(
                        f"an observer of {kind!r} returned {called(found)}; write it as a plain `def`"
                    )
            except BaseException as error:
                if not is_failure(error):
                    raise
                log.exception("an observer of %r raised", kind)
                if kind != "error":
                    self.tell("error", Failure(f"telling an observer of {kind!r}", error))

    def fail(
        self,
        doing: str,
        error: BaseException,
        *,
        target: str | None = None,
        then: str = "",
        once: bool = False,
        said: str | None = None,
    ) -> None:
        """Log, and tell the observers of errors, an error that no caller was waiting for.

        Args:
            doing: what was being done, in words.
            error: the exception; it is logged with its traceback.
            target: the target that was worked on, if any.
            then: what happens next, or what there is to do.
            once: whether the log is to hold an error of the same words but once.
            said: what is logged of it, without a traceback, where it quotes what must not be in a log.
        """
        text = error_text(error) if said is None else said
        if not once or text not in self._logged:
            after = "; this is not logged again" if once else f"; {then}" if then else ""
            log.warning("%s failed: %s%s", doing, text, after, exc_info=error if said is None else None)
        if once:
            self._logged.add(text)
        self.tell("error", Failure(doing, error, target))

    def fail_delivery(
        self, doing: str, error: BaseException, *, target: str | None = None, then: str = "", said: str | None = None
    ) -> None:
        """The same of what stands between an event and its handler's success: a `settle` that is to raise hears it."""
        for heard in self._heard:
            heard.append(Failure(doing, error, target))
        self.fail(doing, error, target=target, then=then, said=said)

    @contextmanager
    def hearing(self) -> Iterator[list[Failure]]:
        """Hear of all that fails while the block runs."""
        heard: list[Failure] = []
        with self._lock:
            self._heard = (*self._heard, heard)
        try:
            yield heard
        finally:
            with self._lock:
                self._heard = tuple(each for each in self._heard if each is not heard)
