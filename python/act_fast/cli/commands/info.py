"""`act-fast info PATH`: how much a store holds."""

from argparse import Namespace
from datetime import datetime

import msgspec

from act_fast.cli.input.arguments import Commands, add_command
from act_fast.cli.input.store import open_store
from act_fast.cli.output.rows import printable
from act_fast.cli.output.terminal import console, draws, json_line
from act_fast.errors import EngineError
from act_fast.monitoring.kept import kept, last_created
from act_fast.monitoring.words import counted
from act_fast.stores.port import Store
from act_fast.stores.replicated.membership import Worker
from act_fast.stores.replicated.opening import SetAside
from act_fast.stores.replicated.state import Member
from act_fast.stores.values import Share, Shares

__all__ = ["add"]

DESCRIPTION = """\
Show how much the store holds: events, streams, segments, bytes, the times of
the first and last event and of the last flush, and the events of each name;
how much of the log is hot (as it was written), compressed and archived; how
many events were pruned and redacted, how many subjects were forgotten, and the
space that the files of SQL take. Archives are not read.

In the lines of each form: segments, events, bytes as written, bytes here, and
bytes in the archive."""

EXAMPLES = """\
bank.act
bank.act --json | jq .events"""


class Replica(msgspec.Struct):
    """What is said of the replica of a store on several machines."""

    engine: str
    folder: str
    lag: int | None
    members: list[Member]
    trouble: str
    set_aside: list[SetAside]
    generation: int = 0
    workers: list[Worker] = []


class Info(msgspec.Struct, omit_defaults=True):
    """What is said of a store."""

    path: str
    events: int
    streams: int
    segments: int
    bytes: int
    first_created: datetime | None
    last_created: datetime | None
    last_flush: datetime | None
    compressed: int
    archived: int
    names: dict[str, int]
    replica: Replica | None = None
    pruned: int = 0
    redacted: int = 0
    pruned_bytes: int = 0
    forgotten: int = 0
    shares: Shares | None = None
    archive: str = ""
    analytics_bytes: int = 0


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "info", _run, summary="how much the store holds", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", help="the store's directory, or its address")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _run(arguments: Namespace) -> int:
    with open_store(arguments.path) as store:
        info = _look(store, arguments.path)
    if arguments.json:
        print(json_line(msgspec.json.encode(info)))
    elif draws():
        _show_table(info)
    else:
        _show_lines(info)
    return 0


def _look(store: Store, path: str) -> Info:
    stats = store.stats()
    found = kept(store, stats)
    first = next(store.streams(limit=1), None)  # which has the first event
    return Info(
        path=getattr(store, "path", "") if "://" in path else path,  # an address may carry a password
        events=stats.events,
        streams=stats.streams,
        segments=stats.segments,
        bytes=stats.bytes,
        first_created=None if first is None else first.first_created,
        last_created=last_created(store, stats),
        last_flush=stats.last_flush,
        compressed=stats.compressed,
        archived=stats.archived,
        names=store.names(),
        replica=_replica(store),
        pruned=found.pruned,
        redacted=found.redacted,
        pruned_bytes=found.pruned_bytes,
        forgotten=found.forgotten,
        shares=found.shares,
        archive=found.archive,
        analytics_bytes=stats.analytics_bytes,
    )


def _replica(store: Store) -> Replica | None:
    from act_fast.stores.replicated.store import ReplicatedStore  # which few need

    if not isinstance(store, ReplicatedStore):
        return None
    lag, trouble = None, store.trouble
    try:
        lag = store.lag
    except EngineError as error:
        trouble = trouble or str(error)
    generation, workers = store.generation(), store.workers()
    return Replica(store.engine, store.path, lag, store.members(), trouble, store.set_aside, generation, workers)


def _show_lines(info: Info) -> None:
    for field in Info.__struct_fields__[: Info.__struct_fields__.index("names")]:
        print(field, printable(getattr(info, field)), sep="\t")
    for name, events in info.names.items():
        print("name", printable(name), events, sep="\t")
    for form, share in _shares(info):
        print(form, *msgspec.structs.astuple(share), sep="\t")
    for field in ("archive", "pruned", "pruned_bytes", "redacted", "forgotten", "analytics_bytes"):
        if getattr(info, field):
            print(field, printable(getattr(info, field)), sep="\t")
    if info.replica is not None:
        print("engine", printable(info.replica.engine), sep="\t")
        print("replica", printable(info.replica.folder), sep="\t")
        print("lag", "" if info.replica.lag is None else info.replica.lag, sep="\t")
        if info.replica.trouble:
            print("trouble", printable(info.replica.trouble), sep="\t")
        for aside in info.replica.set_aside:
            print("set aside", printable(aside.path), _moment(aside.at), printable(aside.why), sep="\t")
        for member in info.replica.members:
            print("member", printable(member.node), printable(member.replica), member.place, sep="\t")
        print("generation", info.replica.generation, sep="\t")
        for worker in info.replica.workers:
            print("worker", worker.generation, printable(worker.node), worker.targets, _lanes(worker), sep="\t")


def _show_table(info: Info) -> None:
    from rich import filesize
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("store", Text(printable(info.path)))
    table.add_row("events", f"{info.events:,} in {info.streams:,} streams")
    table.add_row("size", f"{filesize.decimal(info.bytes)} in {counted(info.segments, 'segment')}")
    table.add_row("first event", _moment(info.first_created))
    table.add_row("last event", _moment(info.last_created))
    table.add_row("last flush", _moment(info.last_flush))
    for form, share in _shares(info):
        table.add_row(form, Text(_share(share, info.archive)))
    if info.pruned or info.redacted:
        size = filesize.decimal(info.pruned_bytes)
        table.add_row("emptied", f"{info.pruned:,} pruned ({size} of data), {info.redacted:,} redacted")
    if info.analytics_bytes:
        table.add_row("for SQL", f"{filesize.decimal(info.analytics_bytes)} besides")
    if info.forgotten:
        table.add_row("forgotten", counted(info.forgotten, "subject"))
    if info.replica is not None:
        table.add_row("engine", Text(printable(info.replica.engine)))
        table.add_row("replica", Text(f"{printable(info.replica.folder)}, {_behind(info.replica.lag)}"))
        if info.replica.trouble:
            table.add_row("trouble", Text(printable(info.replica.trouble), style="red"))
        for aside in info.replica.set_aside:
            why = f"{printable(aside.path)}, {_moment(aside.at)}: {printable(aside.why)}"
            table.add_row("set aside", Text(why, style="yellow"))
        for member in info.replica.members:
            table.add_row("member", Text(f"{printable(member.node)}, {printable(member.replica)}, at {member.place}"))
        table.add_row("generation", str(info.replica.generation))
        for worker in info.replica.workers:
            owns = f"{counted(worker.targets or 0, 'target')}, {_lanes(worker)}, generation {worker.generation}"
            table.add_row("worker", Text(f"{printable(worker.node)}, {owns}"))
    for name, events in sorted(info.names.items(), key=lambda item: -item[1]):
        table.add_row(Text(printable(name), style="dim"), f"{events:,}")
    console().print(table)


def _shares(info: Info) -> list[tuple[str, Share]]:
    """The forms that the log's files have, if there is more than one."""
    found = {} if info.shares is None else msgspec.structs.asdict(info.shares)
    return list(found.items()) if info.compressed or info.archived else []


def _share(share: Share, archive: str) -> str:
    from rich import filesize

    told = f"{counted(share.events, 'event')} in {counted(share.segments, 'segment')}"
    if not share.segments:
        return told
    told += f", {filesize.decimal(share.written)} written, {filesize.decimal(share.here)} here"
    if share.there:
        return f"{told}, {filesize.decimal(share.there)} at {printable(archive)}"
    return f"{told} ({share.here / share.written:.2f})" if share.here < share.written else told


def _lanes(worker: Worker) -> str:
    return "all lanes" if worker.lanes is None else printable("lanes " + ", ".join(worker.lanes))


def _behind(lag: int | None) -> str:
    if lag is None:
        return "cut off from the engine"
    return f"{lag:,} places behind" if lag else "up to date"


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "none yet"
