"""The views of one class as a relation: folded when they are read, one row for each tag."""

from collections.abc import Iterator
from typing import Any, Final

from act_fast._loading.by_tag import FoldedTag, fold_tags
from act_fast._sql.pushdown import Bounds
from act_fast._sql.state_scan import StateScan, moment_in
from act_fast.errors import DecodeError, FoldError
from act_fast.stores.time_travel import cut_at

__all__ = ["ViewScan"]

_PAGE_ROWS: Final = 1000


class ViewScan(StateScan):
    """The views of one class as of a position. What states have as their stream is the tag here."""

    def _pages(self, moment: str, bounds: Bounds) -> Iterator[list[tuple[str, int, int, bytes | str]]]:
        cut = min(self._cut, cut_at(self._store, moment_in(moment))) if moment else self._cut
        if bounds.streams == ():
            return
        tags = bounds.streams
        wanted = None if tags is None else frozenset(tags).__contains__
        found = fold_tags(self._store, self._model, cut, wanted)
        page: list[tuple[str, int, int, bytes | str]] = []
        for each in found:
            page.append((each.tag, each.version, each.position, self._told(each)))
            if len(page) == _PAGE_ROWS:
                yield page
                page = []
        if page:
            yield page

    def _told(self, folded: FoldedTag[Any]) -> bytes | str:
        """The state as JSON, or in words why there is none."""
        error = folded.state
        if not isinstance(error, Exception):
            try:
                return self._encode(folded.state)
            except Exception as failed:  # reducers have put in it what is no JSON
                error = failed
        if isinstance(error, DecodeError | FoldError):
            return str(error)
        return f"the state does not fold: {type(error).__name__}"  # its message may carry what a reducer was given
