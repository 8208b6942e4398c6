"""The states of one class as a relation: folded when they are read."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from act_fast._core import StateColumns
from act_fast._events.sealing import wire_of
from act_fast._loading.replay import replay_pages
from act_fast._loading.replay_groups import GROUP_STREAMS_MAX, Folding
from act_fast._model.model import Model
from act_fast._sql.column_shape import Shape
from act_fast._sql.pushdown import Bounds
from act_fast._sql.scan import Condition
from act_fast.errors import DecodeError, FoldError, StoreError, ValidationError
from act_fast.stores.port import Store
from act_fast.stores.time_travel import cut_at

__all__ = ["AS_OF", "StateScan", "moment_in"]

AS_OF: Final = "as of"
"""The column that says which moment a state is of; hidden, and no field can be called so."""


_PAGE_STREAMS: Final = 1000

_Row: TypeAlias = tuple[str, int, int, bytes | str]
"""stream, version, position, the state as JSON, or in words why there is none"""


class StateScan:
    """The states of one class as of a position.

    Args:
        store: where the events are.
        model: the state class as an app runs it.
        shape: its shape.
        names: what its fields are called as columns.
        cut: the log as it was when this position was its last.
        at: whether there is a column `as of` in front, which must be compared with the moment that is asked for.
        streams: only these.
        told: called now and then with the number of events folded so far.

    Attributes:
        columns: the names of its columns.
    """

    def __init__(
        self,
        store: Store,
        model: Model[Any],
        shape: Shape,
        names: Sequence[str],
        cut: int,
        *,
        at: bool = False,
        streams: Sequence[str] | None = None,
        told: Callable[[int], object] | None = None,
    ) -> None:
        self.columns: Sequence[str] = [*([AS_OF] if at else []), "stream", "version", "position", *names, "error"]
        self._store = store
        self._model = model
        self._shape = shape
        self._names = list(names)
        self._cut = cut
        self._at = at
        self._bounds = Bounds(streams=None if streams is None else tuple(streams))
        self._progress = told
        wire = wire_of(model.definition.state)
        self._encode = msgspec.json.Encoder().encode if wire is None else wire.blank

    def __arrow_c_schema__(self) -> object:
        return self._columns("", Bounds()).__arrow_c_schema__()

    def accepts(self, condition: Condition) -> bool:
        """See `Scan`: a moment, and streams."""
        if condition.column == AS_OF:
            return condition.op == "="
        return condition.column == "stream" and Bounds().within("stream", condition) is not None

    def read(self, columns: Sequence[str] | None, conditions: Sequence[Condition]) -> tuple[object, bool]:
        """See `Scan`. Never narrowed: what costs is the folding, and that has to be done for one column as for all."""
        moments = {condition.value for condition in conditions if condition.column == AS_OF}
        bounds: Bounds | None = self._bounds
        for condition in conditions:
            if condition.column == "stream":
                assert bounds is not None
                bounds = bounds.within("stream", condition)
        assert bounds is not None
        if self._at and len(moments) != 1:
            name = f"{self._model.definition.name.lower()}_at"
            raise ValidationError(
                f"{name}(...) takes one moment that is known before the query runs, a constant or a parameter: not a"
                " column; for several moments write it several times, with `union all` between"
            )
        return self._columns(moments.pop() if moments else "", bounds).__arrow_c_stream__(), False

    def _columns(self, moment: str, bounds: Bounds) -> StateColumns:
        pages = partial(self._pages, moment, bounds)
        return StateColumns(self._shape.json, self._names, pages, moment if self._at else None)

    def _pages(self, moment: str, bounds: Bounds) -> Iterator[list[_Row]]:
        cut = min(self._cut, cut_at(self._store, moment_in(moment))) if moment else self._cut
        if bounds.streams is not None:
            for start in range(0, len(bounds.streams), _PAGE_STREAMS):
                some = bounds.streams[start : start + _PAGE_STREAMS]
                yield [row for stream in some if (row := self._row(cut, stream)) is not None]
            return
        after: str | None = None
        while True:
            try:
                for page in replay_pages(self._store, self._model, cut=cut, after=after, told=self._progress):
                    after = page[-1][0]
                    yield [*page]
                return
            except StoreError:
                raise
            except Exception:
                # One stream does not fold, or its state is no JSON: that must not take the others' answer away.
                streams = [each.stream for each in self._store.streams(after=after, limit=GROUP_STREAMS_MAX)]
            yield [row for stream in streams if (row := self._row(cut, stream)) is not None]
            if len(streams) < GROUP_STREAMS_MAX:
                return
            after = streams[-1]

    def _row(self, cut: int, stream: str) -> _Row | None:
        try:
            folded = Folding(self._store, self._model, cut, told=self._progress).stream(stream)
            return None if folded is None else (stream, folded.version, folded.position, self._encode(folded.state))
        except StoreError:
            raise
        except (DecodeError, FoldError) as error:
            reason = str(error)
        except Exception as error:  # a reducer may raise anything, and its message may carry what it was given
            reason = f"the state does not fold: {type(error).__name__}"
        last = next(iter(self._store.query(stream=stream, before=cut + 1, limit=1, backwards=True)), None)
        return None if last is None else (stream, last.version, last.position, reason)


def moment_in(text: str) -> int | datetime:
    """A position or a time, as DuckDB writes it; a time without a zone is in UTC."""
    if text.isascii() and text.isdigit() and len(text) < 20:
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValidationError(f"{text!r} is not a moment; name a position or a time") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
