"""The store in MySQL and MariaDB, beside the same server's own statements."""

from bench.harness.row import Budget, Row
from bench.rows.peers import MYSQL_INSERT, MYSQL_INSERT_32, MYSQL_INSERT_MANY, MYSQL_SELECT

MYSQL_APPEND_1 = Row(
    "mysql-append-1",
    "append to MariaDB, one event a commit, 1 client",
    "commits/s",
    (Budget(MYSQL_INSERT, 0.5),),
    note="A raw insert adds one row with a unique key, committed by itself, through PyMySQL as here. All contenders"
    " write to one server on this machine, which flushes each commit.",
    why_lost="PyMySQL has no prepared statements, and the server has no functions of ours: each append sends all its"
    " statements, for four tables, and the server parses them.",
    physical=MYSQL_INSERT,
)
MYSQL_APPEND_32 = Row(
    "mysql-append-32",
    "append to MariaDB, one event a commit, 32 threads",
    "commits/s",
    (Budget(MYSQL_INSERT_32, 1.5),),
    note="The threads of a process share a connection here, and what waits goes in one transaction; each raw insert has"
    " a connection of its own.",
    why_lost="Two cores run the server, the threads and the interpreter.",
)
MYSQL_APPEND_BATCH = Row(
    "mysql-append-batch",
    "append to MariaDB, commits of 1,000 events",
    "events/s",
    (Budget(MYSQL_INSERT_MANY, 0.8),),
    note="The peer adds 1,000 rows by one statement a commit, to a table with the same unique key.",
    why_lost="An event has more columns and two more indexes than a row of the peer's table.",
)
MYSQL_LOAD = Row(
    "mysql-load",
    "load streams of 1,000 events from MariaDB, as stored",
    "events/s",
    (Budget(MYSQL_SELECT, 0.7),),
    why_lost="PyMySQL makes rows in Python, and an event has two columns more than a row of the peer's.",
)
