"""What the store in MySQL promises beyond what databases share: no follower skips, and no append is doubled."""

from typing import Final

from tests.mutants.mutation import Mutation, pytest

__all__ = ["MYSQL"]

_APPENDING: Final = "python/act_fast/stores/mysql/appending.py"
_CONNECTIONS: Final = "python/act_fast/stores/mysql/connections.py"
_OUTCOMES: Final = "stores/mysql/test_outcomes.py"
_BAD_DAYS: Final = "stores/mysql/test_bad_days.py"
_LOST_ANSWER: Final = f"{_OUTCOMES}::test_an_append_that_was_done_but_whose_answer_was_lost_is_not_done_again"
_AT_ONCE: Final = f"{_BAD_DAYS}::test_another_isolation_level_of_the_server_skips_and_loses_nothing"
_HELD: Final = f"{_BAD_DAYS}::test_time_is_held_while_the_servers_clock_is_behind"

MYSQL: Final = (
    Mutation(
        "mysql-lock-of-a-batch",
        _APPENDING,
        "select position, created_us, moved from {schema}.log where one = 1 for update;",
        "select position, created_us, moved from {schema}.log where one = 1;",
        (pytest(_AT_ONCE),),
    ),
    Mutation(
        "mysql-lock-of-one",
        _APPENDING,
        "into @act_p, @act_t, @act_m from {schema}.log where one = 1 for update;",
        "into @act_p, @act_t, @act_m from {schema}.log where one = 1;",
        (pytest(_AT_ONCE),),
    ),
    Mutation(
        "mysql-batch-sent-again",
        _APPENDING,
        "if known is not None and known >= number:",
        "if known is not None and known > number:",
        (pytest(_LOST_ANSWER),),
    ),
    Mutation(
        "mysql-one-sent-again",
        _APPENDING,
        "set @act_new = @act_b is null or @act_b < %s,",
        "set @act_new = @act_b is null or @act_b <= %s,",
        (pytest(_LOST_ANSWER),),
    ),
    Mutation(
        "mysql-time-of-a-batch-held",
        _APPENDING,
        "time_us = max(created_us, now_us)",
        "time_us = now_us",
        (pytest(_HELD),),
    ),
    Mutation(
        "mysql-time-of-one-held",
        _APPENDING,
        "@act_t = greatest(@act_t, {now});",
        "@act_t = {now};",
        (pytest(_HELD),),
    ),
    Mutation(
        "mysql-time-of-nothing-held",
        _APPENDING,
        "time_us if plan.head > head else created_us",
        "time_us if plan.head > head else 0",
        (pytest(_HELD),),
    ),
    Mutation(
        "mysql-interrupted",
        "python/act_fast/stores/database/writer.py",
        "except BaseException:  # interrupted: an answer may be on its way\n                self._drop()",
        "except BaseException:  # interrupted: an answer may be on its way\n                pass",
        (pytest(f"{_OUTCOMES}::test_who_is_interrupted_while_appending_leaves_the_others_their_outcome"),),
    ),
    Mutation(
        "mysql-withdrawn",
        "python/act_fast/stores/database/plan.py",
        "(NEVER if request.settled else expected)",
        "(expected)",
        (pytest(f"{_OUTCOMES}::test_an_interrupted_append_of_a_batch_is_refused_while_its_companions_are_appended"),),
    ),
    Mutation(
        "mysql-undone",
        _APPENDING,
        'run(connection, "rollback")\n            raise',
        "pass\n            raise",
        (pytest("stores/mysql/test_schema.py::test_missing_rights_are_told_and_nothing_is_written"),),
    ),
    Mutation(
        "mysql-rest-of-a-page",
        _CONNECTIONS,
        "        let_go(connection)\n        raise",
        "        raise",
        (pytest(f"{_BAD_DAYS}::test_what_is_behind_a_page_that_is_full_of_bytes_is_not_sent"),),
    ),
    Mutation(
        "mysql-packets",
        _CONNECTIONS,
        "if some and size + own > packet_max:",
        "if False:",
        (pytest(f"{_BAD_DAYS}::test_an_event_that_the_server_would_not_take_is_refused_and_fails_no_other"),),
    ),
    Mutation(
        "mysql-moved",
        _APPENDING,
        "set @act_new = @act_new and @act_m is null;",
        "",
        (pytest("stores/mysql/test_exchange.py::test_nothing_is_appended_once_a_store_is_handed_over"),),
    ),
)
