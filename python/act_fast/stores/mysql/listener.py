"""Looking at the head: MySQL has no notifications."""

from typing import Final

from act_fast.stores.database.news import Told
from act_fast.stores.mysql.connections import Connection, Connections, run

__all__ = ["LookingListener"]


_LOOK: Final = (
    "select position, number from {schema}.log as l join {schema}.reactions as r where l.one = 1 and r.one = 1"
)


class LookingListener:
    """A connection that looks when it is asked to.

    Attributes:
        hears: False: it is told of nothing.
    """

    def __init__(self, connections: Connections) -> None:
        self.hears = False
        self._connections = connections
        self._look = connections.question(_LOOK).text
        self._connection: Connection = connections.new()

    def fileno(self) -> int:
        """No file has anything to hear."""
        return -1

    def heard(self) -> Told:
        """There was nothing to hear."""
        return Told()

    def tell(self, told: Told) -> None:
        """There is no way to notify others."""

    def look(self) -> tuple[int, int]:
        """The position of the last event, and the number of the last change of reactions."""
        ((head, change),) = run(self._connection, self._look)[-1]
        return int(head), int(change)

    def close(self) -> None:
        """Close the connection."""
        self._connections.end(self._connection)
