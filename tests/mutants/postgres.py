"""What the store in PostgreSQL promises: no follower skips, no append is doubled, no old state is decided on."""

from typing import Final

from tests.mutants.mutation import Mutation, pytest

__all__ = ["POSTGRES"]

_SCHEMA = "python/act_fast/stores/postgres/schema.py"
_WRITER = "python/act_fast/stores/database/writer.py"
_NEWS = "python/act_fast/stores/database/news.py"
_OUTCOMES = "stores/postgres/test_outcomes.py"
_TRIPS = "stores/postgres/test_trips.py"

POSTGRES: Final = (
    Mutation(
        "postgres-batch-number",
        _WRITER,
        "self._appending.append(connection, self._me,",
        "self._appending.append(connection, uuid.uuid4(),",
        (pytest(f"{_OUTCOMES}::test_a_batch_that_was_given_up_is_never_appended_later"),),
    ),
    Mutation(
        "postgres-sent-again",
        _WRITER,
        "if cause is None or not self._connections.broken(cause) or not sent:",
        "if cause is None or not self._connections.broken(cause) or sent:",
        (pytest(f"{_OUTCOMES}::test_an_append_that_was_done_but_whose_answer_was_lost_is_not_done_again"),),
    ),
    Mutation(
        "postgres-withdrawn",
        "python/act_fast/stores/postgres/appending.py",
        "[NEVER if request.settled else expected for",
        "[expected for",
        (pytest(f"{_OUTCOMES}::test_an_interrupted_append_of_a_batch_is_refused_while_its_companions_are_appended"),),
    ),
    Mutation(
        "postgres-version-of-one",
        _SCHEMA,
        "last_name = of_name where stream = to_stream and version = at_version returning",
        "last_name = of_name where stream = to_stream returning",
        (pytest(f"{_TRIPS}::test_an_old_state_costs_an_action_no_retry"),),
    ),
    Mutation(
        "postgres-time-held",
        _SCHEMA,
        """        created_us = greatest(created_us, (extract(epoch from clock_timestamp()) * 1000000)::bigint),""",
        """        created_us = (extract(epoch from clock_timestamp()) * 1000000)::bigint,""",
        (pytest("stores/postgres/test_bad_days.py::test_time_is_held_while_the_servers_clock_is_behind"),),
    ),
    Mutation(
        "postgres-look-at-the-head",
        _NEWS,
        "end = time.monotonic() + (_LOOK_SECONDS if heard else self._unheard)",
        "end = time.monotonic() + 100",
        (
            pytest(
                "stores/postgres/test_bad_days.py"
                "::test_an_event_of_which_nothing_is_told_is_found_within_a_second_or_so"
            ),
        ),
    ),
    Mutation(
        "postgres-page-whole",
        "python/act_fast/stores/database/queries.py",
        "found.popitem()  #",
        "pass  #",
        (pytest("stores/postgres/test_app.py::test_a_page_that_is_full_of_bytes_leaves_no_stream_cut"),),
    ),
    Mutation(
        "afar-no-events",
        "python/act_fast/_app/pipeline.py",
        "if done[1] or loader.is_current(request.stream, entry):",
        "if True:",
        (pytest(f"{_TRIPS}::test_an_old_state_is_not_what_nothing_is_done_for"),),
    ),
    Mutation(
        "afar-refused",
        "python/act_fast/_app/pipeline.py",
        """            if loader.is_current(request.stream, entry):
                raise""",
        """            raise""",
        (pytest(f"{_TRIPS}::test_an_old_state_is_not_what_an_action_is_refused_for"),),
    ),
)
