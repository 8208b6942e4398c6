"""What the package on top of the core promises: versions, snapshots, watermarks and leases."""

from typing import Final

from tests.mutants.mutation import Mutation, pytest

__all__ = ["FACADE"]

FACADE: Final = (
    Mutation(
        "cache-version",
        "python/act_fast/_loading/loader.py",
        "if version == held.version:",
        "if version >= held.version:",
        (pytest("loading/test_cache.py::test_commits_of_others_are_seen_at_once"),),
    ),
    Mutation(
        "cache-of-a-longer-log",
        "python/act_fast/_loading/loader.py",
        "if version < held.version:  #",
        "if version < 0:  #",
        (pytest("loading/test_cache.py::test_a_log_that_is_shorter_than_the_cache_thinks_is_read_from_its_beginning"),),
    ),
    Mutation(
        "cache-of-a-longer-log-in-time-travel",
        "python/act_fast/_loading/loader.py",
        "not (held.version < end and held.version <= self._version(stream))",
        "not (held.version < end)",
        (pytest("loading/test_cache.py::test_time_travel_does_not_start_from_what_was_cached_of_a_longer_log"),),
    ),
    Mutation(
        "cache-of-a-later-moment",
        "python/act_fast/_loading/loader.py",
        "not (held.version < end and held.version <= self._version(stream))",
        "not (held.version <= self._version(stream))",
        (
            pytest(
                "loading/test_cache.py::test_time_travel_starts_from_the_cache_only_where_it_comes_before_the_moment"
            ),
        ),
    ),
    Mutation(
        "cache-never-back",
        "python/act_fast/_loading/cache.py",
        "if held is not None and held.version <= entry.version:",
        "if held is not None:",
        (pytest("loading/test_cache.py::test_an_entry_of_a_later_version_stays"),),
    ),
    Mutation(
        "loader-pinned",
        "python/act_fast/_loading/loader.py",
        "self.store = pinned_to_log(store)",
        "self.store = store",
        (
            pytest(
                "stores/exchange/test_another_log.py::test_nothing_is_appended_that_was_decided_on_the_log_that_was"
            ),
            pytest("stores/exchange/test_another_log.py::test_what_was_cached_is_of_the_log_that_was"),
        ),
    ),
    Mutation(
        "snapshot-of-another-log",
        "python/act_fast/_loading/loader.py",
        "        if self.replaced:\n            raise StoreClosedError(REPLACED)\n",
        "",
        (
            pytest(
                "stores/exchange/test_another_log.py::test_a_snapshot_of_the_log_that_was_is_not_stored_in_the_new_one"
            ),
        ),
    ),
    Mutation(
        "version-of-another-log",
        "python/act_fast/_app/pipeline.py",
        "            if expected is not None:\n                raise  # a version of the log that was\n",
        "",
        (
            pytest(
                "stores/exchange/test_another_log.py::test_a_version_that_the_caller_expects_is_one_of_the_log_that_was"
            ),
        ),
    ),
    Mutation(
        "version-of-an-append",
        "python/act_fast/_app/pipeline.py",
        "done = loader.append(stream, decision.encoded, entry.version, meta)",
        "done = loader.append(stream, decision.encoded, None, meta)",
        (pytest("app/test_concurrency.py::test_somebody_faster_is_a_concurrency_error"),),
    ),
    Mutation(
        "version-expected",
        "python/act_fast/_app/pipeline.py",
        "            _check_expected(stream, entry, request.expected)\n",
        "            pass\n",
        (pytest("app/test_concurrency.py::test_a_pinned_do_at_a_wrong_version_is_refused_and_nothing_is_written"),),
    ),
    Mutation(
        "version-check-itself",
        "python/act_fast/_app/pipeline.py",
        "if expected is not None and expected != entry.version:",
        "if expected is not None and expected > entry.version:",
        (pytest("app/test_concurrency.py::test_a_pinned_do_at_a_wrong_version_is_refused_and_nothing_is_written"),),
    ),
    Mutation(
        "conflict-elsewhere",
        "python/act_fast/_app/pipeline.py",
        "if expected is not None or not action.retries or conflict.stream != stream:",
        "if expected is not None or not action.retries:",
        (pytest("app/test_concurrency.py::test_a_conflict_on_another_stream_is_the_callers_and_not_decided_again"),),
    ),
    Mutation(
        "conflict-elsewhere-again",
        "python/act_fast/_app/pipeline.py",
        "                    if conflict.stream != stream:\n                        raise\n",
        "",
        (pytest("app/test_concurrency.py::test_a_conflict_on_another_stream_is_the_callers_and_not_decided_again"),),
    ),
    Mutation(
        "close-expected",
        "python/act_fast/_app/pipeline.py",
        "            _check_expected(stream, entry, expected)\n            return self._hold(",
        "            return self._hold(",
        (pytest("app/test_closed.py::test_closing_at_another_version_than_expected_is_refused"),),
    ),
    Mutation(
        "close-version",
        "python/act_fast/_app/pipeline.py",
        "loader.append(stream, [(name, data)], loaded.entry.version, meta)",
        "loader.append(stream, [(name, data)], None, meta)",
        (pytest("app/test_closed.py::test_closing_what_somebody_else_has_just_appended_to_is_refused"),),
    ),
    Mutation(
        "close-actor",
        "python/act_fast/_app/pipeline.py",
        "meta = self._meta(place, stream, here, here.actor if actor is None else actor)",
        "meta = self._meta(place, stream, here, here.actor)",
        (
            pytest("app/test_closed.py::test_who_closed_a_stream_can_be_read"),
            pytest("app/test_closed.py::test_the_actor_who_closes_is_the_apps_own_or_else_the_contexts"),
        ),
    ),
    Mutation(
        "close-is-the-end",
        "python/act_fast/_app/pipeline.py",
        "        if entry.closed:\n            raise StreamClosedError(stream)\n        if request",
        "        if request",
        (pytest("app/test_do.py::test_a_closed_stream_takes_no_more_events"),),
    ),
    Mutation(
        "close-in-the-cache",
        "python/act_fast/_loading/loader.py",
        "closed = model.rows(state, page) or closed",
        "closed = model.rows(state, page)",
        (pytest("app/test_closed.py"),),
    ),
    Mutation(
        "snapshot-mark",
        "python/act_fast/_model/snapshot_codec.py",
        "if stored.mark != self.mark:",
        "if not stored.mark:",
        (
            pytest(
                "model/test_snapshot_marks.py::test_a_store_of_another_make_never_gives_one_release_the_state_of_the_other"
            ),
        ),
    ),
    Mutation(
        "snapshot-mark-asked-for",
        "python/act_fast/_loading/loader.py",
        "self._port.latest_snapshot(stream, highest, beginning) or found",
        "self._port.latest_snapshot(stream, highest) or found",
        (
            pytest(
                "model/test_snapshot_marks.py::test_two_releases_side_by_side_have_their_own_snapshots_and_do_not_fight"
            ),
        ),
    ),
    Mutation(
        "snapshot-mark-of-chained-upcasters",
        "python/act_fast/_model/decoding.py",
        "                before[1] = upcasts_of(takes, (*path, event))\n",
        "                before[1] = []\n",
        (
            pytest(
                "model/test_snapshot_marks.py::test_an_upcaster_that_was_fixed_leaves_no_snapshot_in_use_however_far_up_the_chain"
            ),
        ),
    ),
    Mutation(
        "snapshot-mark-of-upcasters",
        "python/act_fast/_model/snapshot_mark.py",
        "            upcasts_of(event),\n",
        "            [],\n",
        (
            pytest(
                "model/test_snapshot_marks.py::test_an_upcaster_that_was_fixed_leaves_no_snapshot_in_use_however_far_up_the_chain"
            ),
        ),
    ),
    Mutation(
        "snapshot-mark-of-defaults",
        "python/act_fast/_model/snapshot_mark.py",
        "_begun(definition.state), folded",
        "folded",
        (pytest("model/test_snapshot_marks.py::test_defaults_of_fields_count_too"),),
    ),
    Mutation(
        "snapshot-mark-of-reducers",
        "python/act_fast/_model/snapshot_mark.py",
        "            code_of(reduce, (definition.state, event)),\n",
        '            "",\n',
        (pytest("model/test_snapshot_marks.py::test_a_reducer_that_folds_otherwise_has_another_mark"),),
    ),
    Mutation(
        "snapshot-mark-of-the-version",
        "python/act_fast/_model/snapshot_mark.py",
        "said = [definition.snapshot_version, decoding_of",
        "said = [decoding_of",
        (pytest("model/test_snapshot_marks.py::test_a_version_that_is_raised_by_hand_is_another_mark"),),
    ),
    Mutation(
        "snapshot-before-the-moment",
        "python/act_fast/_loading/loader.py",
        "highest = None if end is None else end - 1",
        "highest = None",
        (pytest("loading/test_snapshots.py::test_time_travel_starts_from_an_earlier_snapshot"),),
    ),
    Mutation(
        "projection-watermark",
        "python/act_fast/_projections/sql_projection.py",
        "known = sum(event.position <= said.position for event in events)",
        "known = 0",
        (
            pytest(
                "projections/test_sql_projections.py::test_what_is_delivered_again_for_the_sake_of_another_reaction_counts_once"
            ),
        ),
    ),
    Mutation(
        "projection-watermark-kept",
        "python/act_fast/_projections/sql_projection.py",
        "                if after != said:\n",
        "                if after is None:\n",
        (pytest("projections/test_sql_projections.py::test_rows_and_watermark_are_there_together"),),
    ),
    Mutation(
        "projection-gap",
        "python/act_fast/_projections/sql_projection.py",
        "                    raise BehindError(said.position)\n",
        "                    pass\n",
        (pytest("projections/test_sql_projections.py::test_a_database_that_was_lost_is_filled_from_the_log"),),
    ),
    Mutation(
        "projection-spoilt",
        "python/act_fast/_projections/sql_projection.py",
        "                    self._begin(db, said, run)\n",
        "",
        (
            pytest(
                "projections/test_sql_watermarks.py::test_a_method_that_ends_the_transaction_is_not_tried_again_until_the_rows_are_made_again"
            ),
        ),
    ),
    Mutation(
        "projection-done",
        "python/act_fast/_projections/sql_projection.py",
        "                check_log(self.name, position, said, run.origin)\n                tables",
        "                tables",
        (
            pytest(
                "projections/test_sql_watermarks.py::test_a_database_of_another_store_that_cannot_be_opened_at_first_acknowledges_nothing"
            ),
        ),
    ),
    Mutation(
        "projection-trusted",
        "python/act_fast/_projections/sql_projection.py",
        "self._trusted != (run.origin.store, said)",
        "self._trusted[0] != run.origin.store",
        (pytest("projections/test_sql_watermarks.py"),),
    ),
    Mutation(
        "projection-rows-unknown",
        "python/act_fast/_projections/fit.py",
        "if said is not None or not filled:",
        "if said is not None or not filled or position is None:",
        (pytest("projections/test_sql_watermarks.py::test_rows_that_nothing_is_said_of_are_not_added_to"),),
    ),
    Mutation(
        "projection-rows-of-no-store",
        "python/act_fast/_projections/fit.py",
        "if said is not None or not filled:",
        "if said is not None or not filled or position is not None:",
        (
            pytest(
                "projections/test_sql_watermarks.py::test_two_stores_do_not_mix_when_nothing_says_whose_the_rows_are"
            ),
        ),
    ),
    Mutation(
        "projection-of-other-code",
        "python/act_fast/_projections/fit.py",
        "if code and said.code != code:",
        "if code and not said.code:",
        (pytest("projections/test_sql_watermarks.py::test_states_that_were_folded_by_other_code_are_folded_again"),),
    ),
    Mutation(
        "projection-of-another-store",
        "python/act_fast/_projections/fit.py",
        "if known and said.store != origin.store:",
        "if known and not said.store:",
        (pytest("projections/test_sql_watermarks.py::test_two_stores_in_one_database_do_not_mix"),),
    ),
    Mutation(
        "projection-of-a-longer-log",
        "python/act_fast/_projections/fit.py",
        "if (position or 0) > origin.head and",
        "if (position or 0) < 0 and",
        (
            pytest("projections/test_sql_watermarks.py::test_a_backup_that_went_another_way_is_told"),
            pytest("projections/test_sql_projections.py::test_the_database_of_another_log_is_refused"),
        ),
    ),
    Mutation(
        "projection-of-another-event",
        "python/act_fast/_projections/fit.py",
        "if said.position and origin.mark_at(said.position) != said.last_event:",
        "if said.position and not said.last_event:",
        (pytest("projections/test_sql_watermarks.py::test_a_backup_that_went_another_way_is_told"),),
    ),
    Mutation(
        "projection-problem",
        "python/act_fast/_projections/fit.py",
        "    if said is not None and said.problem:\n        raise RefusedError(said.problem)\n",
        "",
        (
            pytest(
                "projections/test_sql_watermarks.py::test_a_method_that_ends_the_transaction_is_not_tried_again_until_the_rows_are_made_again"
            ),
        ),
    ),
    Mutation(
        "projection-watermark-gone",
        "python/act_fast/_projections/fit.py",
        'return None if said is None else "its watermark is gone"',
        "return None",
        (pytest("projections/test_sql_watermarks.py"),),
    ),
    Mutation(
        "projection-table-new",
        "python/act_fast/_projections/fit.py",
        '        if table not in before:\n            return f"table {table!r} is new"\n        if before[table]',
        "        if before.get(table)",
        (pytest("projections/test_sql_watermarks.py::test_another_source_or_another_table_has_the_rows_made_again"),),
    ),
    Mutation(
        "projection-table-gone",
        "python/act_fast/_projections/fit.py",
        "if before[table] and not filled:",
        "if before[table] and filled is False:",
        (pytest("projections/test_sql_watermarks.py::test_tables_that_were_dropped_or_emptied_are_filled_again"),),
    ),
    Mutation(
        "projection-table-emptied",
        "python/act_fast/_projections/fit.py",
        "if before[table] and not filled:",
        "if before[table] and filled is None:",
        (pytest("projections/test_sql_watermarks.py::test_tables_that_were_dropped_or_emptied_are_filled_again"),),
    ),
    Mutation(
        "projection-more-events",
        "python/act_fast/_projections/fit.py",
        "if more := origin.names - said.events:",
        "if more := said.events - said.events:",
        (
            pytest(
                "projections/test_sql_watermarks.py::test_a_projection_that_takes_other_events_than_before_is_made_again"
            ),
        ),
    ),
    Mutation(
        "projection-source",
        "python/act_fast/_projections/fit.py",
        "if said.source != origin.source:",
        "if said.source is None:",
        (pytest("projections/test_sql_watermarks.py::test_another_source_or_another_table_has_the_rows_made_again"),),
    ),
    Mutation(
        "projection-reset",
        "python/act_fast/_projections/fit.py",
        "if lease_begins_at is not None and lease_begins_at <= said.begun_at <= position:",
        "if lease_begins_at is not None and lease_begins_at < 0:",
        (
            pytest(
                "projections/test_sql_watermarks.py::test_a_projection_that_was_forgotten_begins_again_with_the_code_of_today"
            ),
        ),
    ),
    Mutation(
        "projection-store-kept",
        "python/act_fast/_projections/sql_projection.py",
        "            store=origin.store,\n",
        '            store="",\n',
        (pytest("projections/test_sql_watermarks.py::test_two_stores_in_one_database_do_not_mix"),),
    ),
    Mutation(
        "projection-watermark-removed",
        "python/act_fast/_projections/watermark.py",
        '    db.run("delete from act_fast_watermarks where projection = ?", (projection,))\n',
        "",
        (pytest("projections/test_rebuild.py"),),
    ),
    Mutation(
        "lease-token",
        "python/act_fast/_workers/lease.py",
        "return self.number, self.token, self.done",
        "return self.number, self.token + 1, self.done",
        (pytest("workers/test_drain.py::test_a_cycle_says_what_it_has_done"),),
    ),
    Mutation(
        "lease-lost-at-renewal",
        "python/act_fast/_workers/lease_renewer.py",
        "                    lease.until = 0.0\n",
        "",
        (pytest("workers/test_leases.py::test_no_further_event_is_begun_once_it_is_known_that_the_lease_was_lost"),),
    ),
    Mutation(
        "lease-renewed",
        "python/act_fast/_workers/lease_renewer.py",
        "half = min(lease.lease_ms for lease in batch.leases) / 2000",
        "half = min(lease.lease_ms for lease in batch.leases) * 1.0",
        (pytest("workers/test_leases.py::test_a_live_holder_renews_its_lease_while_its_handler_takes_long"),),
    ),
    Mutation(
        "lease-that-has-run-out",
        "python/act_fast/_workers/delivery.py",
        "if _clock() > lease.until:",
        "if lease.until < 0:",
        (pytest("workers/test_leases.py::test_no_further_event_is_begun_once_it_is_known_that_the_lease_was_lost"),),
    ),
    Mutation(
        "drain-limit",
        "python/act_fast/_app/reaction_verbs.py",
        "drained = cycle.once(limit)",
        "drained = cycle.once()",
        (pytest("workers/test_drain.py::test_a_limit_bounds_the_targets_that_are_leased"),),
    ),
    Mutation(
        "drain-limit-over-lanes",
        "python/act_fast/_workers/cycle.py",
        "min(targets, limit - len(leases))",
        "min(targets, limit)",
        (pytest("workers/test_fairness.py::test_a_drain_of_several_lanes_keeps_to_its_limit"),),
    ),
    Mutation(
        "wait-for-watermark",
        "python/act_fast/_workers/wait_for.py",
        "if found.watermark >= position:",
        "if found.watermark >= 0:",
        (pytest("workers/test_wait_for.py"),),
    ),
    Mutation(
        "meta-of-one-moment",
        "python/act_fast/stores/rows.py",
        "commit_us, created = created_us, moment(created_us)\n        if not meta:\n"
        "            why = NO_META\n        elif meta is commit_meta:",
        'commit_us, created, commit_meta = created_us, moment(created_us), b""\n'
        "        if not meta:\n            why = NO_META\n        elif commit_meta:",
        (pytest("stores/exchange/test_restore.py::test_commits_of_one_moment_keep_their_own_metas"),),
    ),
    Mutation(
        "attempts-of-fewer-retries",
        "python/act_fast/_workers/lease.py",
        "return dict(self.past[2]).get(reaction, 0)",
        "return max(dict(self.past[2]).values(), default=0)",
        (pytest("workers/test_whose_failure.py"),),
    ),
    Mutation(
        "rebuild-halt",
        "python/act_fast/_projections/rebuild.py",
        '        port.block("it is being rebuilt; if the process that does so has died, unblock it", names=[name])\n',
        "",
        (pytest("projections/test_rebuild.py::test_no_worker_touches_the_projection_while_the_copy_takes_over"),),
    ),
    Mutation(
        "rebuild-block-kept",
        "python/act_fast/_projections/rebuild.py",
        'if found[0]["blocked"]:',
        'if not found[0]["blocked"]:',
        (pytest("projections/test_rebuild.py::test_a_rebuild_that_fails_leaves_the_target_as_it_was"),),
    ),
    Mutation(
        "rebuild-ends-its-halt",
        "python/act_fast/_projections/rebuild.py",
        "            raise\n        self.unblock()",
        "            raise",
        (pytest("projections/test_rebuild.py::test_no_worker_touches_the_projection_while_the_copy_takes_over"),),
    ),
    Mutation(
        "rebuild-in-no-name",
        "python/act_fast/_projections/rebuild.py",
        "before = ambient.set(None)",
        "before = ambient.set(ambient.get())",
        (
            pytest(
                "projections/test_rebuild.py::test_what_methods_do_in_a_rebuild_is_not_done_in_the_name_of_whoever_asks_for_it"
            ),
        ),
    ),
    Mutation(
        "gap-in-no-name",
        "python/act_fast/_projections/sql_projection.py",
        "before = ambient.set(None)",
        "before = ambient.set(ambient.get())",
        (
            pytest(
                "projections/test_rebuild.py::test_what_methods_do_in_a_rebuild_is_not_done_in_the_name_of_whoever_asks_for_it"
            ),
        ),
    ),
    Mutation(
        "rebuild-of-another-log",
        "python/act_fast/_projections/rebuild.py",
        "self._store = pinned_to_log(program.store)",
        "self._store = program.store",
        (pytest("projections/test_rebuild.py::test_a_log_that_is_replaced_between_two_rounds_of_a_rebuild_ends_it"),),
    ),
    Mutation(
        "parts-of-another-log",
        "python/act_fast/_sql/parts/manifest.py",
        "if fingerprint(store, manifest.upto) != manifest.fingerprint:",
        "if fingerprint(store, manifest.upto) is None:",
        (
            pytest("sql/test_settled.py::test_files_of_the_log_that_was_are_not_read_after_a_restore"),
            pytest("sql/test_settled.py::test_files_of_a_log_that_went_another_way_are_not_read"),
        ),
    ),
    Mutation(
        "parts-checksum",
        "python/act_fast/_sql/parts/manifest.py",
        "checksum(series.folder / part.file) != (part.bytes, part.crc)",
        "checksum(series.folder / part.file)[0] != part.bytes",
        (pytest("sql/test_settled.py::test_what_is_damaged_is_made_anew"),),
    ),
    Mutation(
        "parts-of-other-definitions",
        "python/act_fast/_sql/parts/manifest.py",
        "(manifest.format, manifest.store, manifest.mark) != (FORMAT, series.store, series.mark)",
        "(manifest.format, manifest.store) != (FORMAT, series.store)",
        (pytest("sql/test_settled.py::test_what_is_damaged_is_made_anew"),),
    ),
    Mutation(
        "parts-of-another-store",
        "python/act_fast/_sql/parts/manifest.py",
        "(manifest.format, manifest.store, manifest.mark) != (FORMAT, series.store, series.mark)",
        "(manifest.format, manifest.mark) != (FORMAT, series.mark)",
        (pytest("sql/test_settled.py::test_what_is_damaged_is_made_anew"),),
    ),
    Mutation(
        "parts-of-another-format",
        "python/act_fast/_sql/parts/manifest.py",
        "(manifest.format, manifest.store, manifest.mark) != (FORMAT, series.store, series.mark)",
        "(manifest.store, manifest.mark) != (series.store, series.mark)",
        (pytest("sql/test_settled.py::test_what_is_damaged_is_made_anew"),),
    ),
    Mutation(
        "sealed-given-away-by-upcasters",
        "python/act_fast/_loading/in_clear.py",
        "if model.codec.gives_away(row[3], row[5], event):",
        "if False:",
        (pytest("privacy/test_in_clear.py::test_no_snapshot_holds_what_an_upcaster_has_put_in_clear"),),
    ),
    Mutation(
        "sealed-moved-by-reducers",
        "python/act_fast/_loading/in_clear.py",
        "moved_in_clear(state)\n",
        "None\n",
        (pytest("privacy/test_in_clear.py::test_what_a_state_moves_from_its_personal_fields_is_looked_at"),),
    ),
    Mutation(
        "sealed-forgotten-meanwhile",
        "python/act_fast/_loading/loader.py",
        "return self._generation_now() == self._generation",
        "return True",
        (pytest("privacy/test_in_clear.py::test_who_was_at_work_while_someone_was_forgotten_writes_nothing_down"),),
    ),
    Mutation(
        "sealed-in-books",
        "python/act_fast/_loading/loader.py",
        "return data if self._is_sealed(model, stream, version, state) else None",
        "return data",
        (pytest("privacy/test_in_clear.py::test_no_books_hold_it"),),
    ),
    Mutation(
        "sealed-in-snapshots-of-before",
        "python/act_fast/_model/snapshot_mark.py",
        "        said.append(_CHECKED)\n",
        "        pass\n",
        (pytest("privacy/test_in_clear.py::test_snapshots_of_versions_that_did_not_look_are_not_used"),),
    ),
)
