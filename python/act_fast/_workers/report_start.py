"""What a person should know before reactions begin to work: which are new here, and which nobody here has code for."""

from act_fast._reactions.reaction import Reaction
from act_fast._runtime.logger import log
from act_fast._timers.names import is_own
from act_fast._workers.runner import Program
from act_fast.stores.reaction_port import reactions_of

__all__ = ["report_start"]


def report_start(program: Program) -> None:
    """Warn of each reaction that is new on a store with events for it, and of each that this program has no code for.

    Must come before the program's reactions are made known to the store.
    """
    program.apart(lambda: _report(program))  # Ctrl-C within `logging` leaves the locks of its handlers taken


def _report(program: Program) -> None:
    port = reactions_of(program.store)
    try:
        known = {name for name, *_ in port.cursors()}
    finally:
        port.close()
    reactions = program.catalog().reactions
    for reaction in reactions:
        if reaction.name not in known and not is_own(reaction.name):
            _report_new(program, reaction)
    for name in sorted(each for each in known - {one.name for one in reactions} if not is_own(each)):
        log.warning(
            "reaction %r is known to this store, but this program has no code for it: if it was renamed, give it its"
            " old name with name=%r, since under a new name it starts over; if it was removed, forget it"
            " (app.forget_reaction(%r), or act-fast forget-reaction); if another program runs it, all is well",
            name,
            name,
            name,
        )


def _report_new(program: Program, reaction: Reaction) -> None:
    stored = {name for name, made in program.catalog().codec.classes.items() if made in reaction.events}
    events = sum(count for name, count in program.store.names().items() if name in stored)
    if not events:
        log.info("reaction %r is new on this store; there are no events for it yet", reaction.name)
    elif reaction.start == "now":
        log.warning(
            "reaction %r is new on this store, and leaves out the %d events for it that are there, as start='now' says",
            reaction.name,
            events,
        )
    else:
        log.warning(
            "reaction %r is new on this store, and starts with the %d events for it that are there%s; to leave them"
            " out, use start='now'",
            reaction.name,
            events,
            _as_far_as(reaction),
        )


def _as_far_as(reaction: Reaction) -> str:
    if not reaction.tags:
        return "" if reaction.source is None else ", as far as they are in its source"
    tags = ", ".join(map(repr, reaction.tags))
    return f", as far as they carry {tags}" + ("" if reaction.source is None else " and are in its source")
