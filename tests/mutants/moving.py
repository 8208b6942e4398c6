"""What moving and copying stores promise: all of it, nothing else, and no append to what was moved away from."""

from typing import Final

from tests.mutants.mutation import Mutation, pytest

__all__ = ["MOVING"]

_COPY: Final = "python/act_fast/stores/copy.py"
_MOVING: Final = "python/act_fast/_app/moving.py"
_LOCAL: Final = "python/act_fast/_app/local_copy.py"
_MOVE: Final = "stores/test_move.py"
_SQL: Final = "stores/postgres/test_sql.py"
_EXCHANGE: Final = "stores/postgres/test_exchange.py"

MOVING: Final = (
    Mutation(
        "move-compares",
        _COPY,
        "if pages[0] != pages[1]:",
        "if len(pages[0]) != len(pages[1]):",
        (pytest(f"{_MOVE}::test_a_difference_is_found_and_the_source_goes_on"),),
    ),
    Mutation(
        "move-refuses-another-target",
        _COPY,
        "if last != there:",
        "if last != there and False:",
        (pytest(f"{_MOVE}::test_a_target_that_holds_something_else_is_left_alone"),),
    ),
    Mutation(
        "move-hands-over-the-rest",
        _MOVING,
        """                    copy.go_on()
                    copy.compare()
                    if""",
        """                    copy.compare()
                    if""",
        (pytest(f"{_MOVE}::test_a_database_is_moved_while_programs_append_and_no_append_is_lost"),),
    ),
    Mutation(
        "move-takes-reactions-along",
        _MOVING,
        "(not restart_reactions and here.reactions())",
        "(restart_reactions and here.reactions())",
        (pytest(f"{_MOVE}::test_reactions_go_on_where_they_were"),),
    ),
    Mutation(
        "move-tells-programs-of-reactions",
        "python/act_fast/stores/postgres/transfer.py",
        "set number = number + 1, mark = %s, folded = number + 1",
        "set mark = mark + 0 * %s",
        (pytest(f"{_MOVE}::test_a_program_that_is_at_the_target_already_learns_what_came"),),
    ),
    Mutation(
        "move-ends-workers-at-the-source",
        "python/act_fast/stores/postgres/transfer.py",
        '"log", "reactions"]',
        '"log"]',
        (pytest(f"{_MOVE}::test_workers_on_what_was_moved_are_told_so"),),
    ),
    Mutation(
        "move-notes-where-a-log-went",
        "python/act_fast/stores/log/transfer.py",
        "            note_move(self._log.path, to)\n",
        "",
        (pytest(f"{_MOVE}::test_what_was_moved_takes_no_more_events_and_says_where_they_are"),),
    ),
    Mutation(
        "move-lifts-the-note-when-it-comes-back",
        _MOVING,
        "            there.taken_over()\n",
        "            pass\n",
        (pytest(f"{_MOVE}::test_all_goes_there_and_comes_back"),),
    ),
    Mutation(
        "local-copy-is-of-this-store",
        _LOCAL,
        "if known[1] != there:",
        "if known[0] > head:",
        (pytest(f"{_SQL}::test_a_copy_of_what_is_no_more_is_made_anew"),),
    ),
    Mutation(
        "local-copy-is-as-far-as-the-store",
        _LOCAL,
        "if known[0] >= head or",
        "if known[0] or",
        (pytest(f"{_SQL}::test_what_was_appended_a_moment_ago_is_in_the_answer"),),
    ),
    Mutation(
        "local-copy-goes-on-after-another-process",
        _LOCAL,
        "                    if log.head == at:\n                        raise",
        "                    if log.head >= at:\n                        raise",
        (pytest(f"{_SQL}::test_many_at_once_share_a_copy"),),
    ),
    Mutation(
        "transfer-versions",
        "python/act_fast/stores/postgres/transfer.py",
        "if torn is not None:",
        "if torn is not None and False:",
        (pytest(f"{_EXCHANGE}::test_events_that_do_not_go_on_where_the_store_ends_are_refused"),),
    ),
    Mutation(
        "transfer-times",
        "python/act_fast/stores/database/transfer.py",
        "if position != self.position + 1 or created_us < self.created_us:",
        "if position != self.position + 1:",
        (pytest(f"{_EXCHANGE}::test_events_that_do_not_go_on_where_the_store_ends_are_refused"),),
    ),
)
