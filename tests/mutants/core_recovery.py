"""What opening a store, and recovering one, promises."""

from typing import Final

from tests.mutants.mutation import Mutation, cargo

__all__ = ["RECOVERY"]

RECOVERY: Final = (
    Mutation(
        "order-of-records",
        "rust/core/src/log/scan.rs",
        "if head.previous != self.crc {",
        "if head.previous != self.crc && self.crc == 1 {",
        (cargo("lib", "log::scan::tests::a_record_with_a_sound_checksum_that_does_not_follow_ends_the_walk"),),
    ),
    Mutation(
        "order-of-positions",
        "rust/core/src/log/scan.rs",
        "if head.position != expected || head.created",
        "if head.created",
        (cargo("lib", "log::scan::tests::a_record_with_a_sound_checksum_that_does_not_follow_ends_the_walk"),),
    ),
    Mutation(
        "order-of-times",
        "rust/core/src/log/scan.rs",
        "if head.position != expected || head.created < self.created {",
        "if head.position != expected {",
        (cargo("lib", "log::scan::tests::a_record_with_a_sound_checksum_that_does_not_follow_ends_the_walk"),),
    ),
    Mutation(
        "damage-below-the-flushed",
        "rust/core/src/recovery/recover.rs",
        "if tail < synced || scan.was_flushed(tail)? {",
        "if scan.was_flushed(tail)? {",
        (
            cargo("corruption", "a_flipped_bit_of_the_log_is_an_error_or_harmless_in_place"),
            cargo("corruption", "zeroed_sectors_and_pages_are_noticed"),
        ),
    ),
    Mutation(
        "damage-that-a-record-tells",
        "rust/core/src/recovery/recover.rs",
        "if tail < synced || scan.was_flushed(tail)? {",
        "if tail < synced {",
        (
            cargo("corruption", "a_flipped_bit_of_the_log_is_an_error_or_harmless_in_a_copy"),
            cargo("corruption"),
        ),
    ),
    Mutation(
        "damage-told-by-any-record",
        "rust/core/src/log/scan.rs",
        "                && commit.synced > place\n",
        "                && commit.synced > commit.place\n",
        (cargo("corruption"),),
    ),
    Mutation(
        "commit-that-was-never-flushed",
        "rust/core/src/recovery/recover.rs",
        "if last && found.place >= synced {",
        "if last && found.place >= u64::MAX {",
        (cargo("errno", "a_flush_that_failed_is_not_tried_again_by_those_who_waited_for_it"),),
    ),
    Mutation(
        "set-aside-behind-a-hole",
        "rust/core/src/recovery/recover.rs",
        "next_sound(tail - ALIGN_BYTES as u64)?.is_some()",
        "next_sound(tail - ALIGN_BYTES as u64)?.is_some_and(|_| false)",
        (cargo("recovery", "what_lies_before_a_loss_is_kept_to_the_last_commit_and_what_lies_behind_it_is_set_aside"),),
    ),
    Mutation(
        "set-aside-flushed",
        "rust/core/src/recovery/recover.rs",
        "            copy.flush().doing(what)?;\n",
        "",
        (cargo("recovery", "what_lies_behind_a_loss_is_there_whenever_the_power_goes_while_it_is_set_aside"),),
    ),
    Mutation(
        "set-aside-later-files",
        "rust/core/src/recovery/recover.rs",
        '            disk.rename(&name, &aside).doing(|| format!("setting {name} aside"))?;',
        '            disk.remove(&name).doing(|| format!("setting {name} aside as {aside}"))?;',
        (cargo("recovery", "what_lies_before_a_loss_is_kept_to_the_last_commit_and_what_lies_behind_it_is_set_aside"),),
    ),
    Mutation(
        "cut-one-by-one",
        "rust/core/src/recovery/recover.rs",
        '        disk.sync_folder(segments::FOLDER).doing(|| "syncing the log\'s folder".to_owned())?;\n',
        "",
        (
            cargo("power_loss", "a_recovery_may_be_cut_short_at_every_boundary"),
            cargo(
                "recovery", "what_lies_before_a_loss_is_kept_to_the_last_commit_and_what_lies_behind_it_is_set_aside"
            ),
        ),
    ),
    Mutation(
        "cut-cleared",
        "rust/core/src/recovery/recover.rs",
        "        file.write_zeros(tail % segments.segment_bytes, last as u64 + 1).doing(what)?;\n",
        "",
        (cargo("recovery", "what_lies_before_a_loss_is_kept_to_the_last_commit_and_what_lies_behind_it_is_set_aside"),),
    ),
    Mutation(
        "recovered-flushed",
        "rust/core/src/recovery/recover.rs",
        "    segments.flush(0, tail)?;\n",
        "",
        (cargo("recovery", "what_a_recovery_has_found_is_flushed"),),
    ),
    Mutation(
        "recovered-rewritten",
        "rust/core/src/recovery/recover.rs",
        "        segments.rewrite(synced, tail)?;\n",
        "        segments.rewrite(tail, tail)?;\n",
        (cargo("errno"),),
    ),
    Mutation(
        "recovered-before-the-claim",
        "rust/core/src/recovery/recover.rs",
        "    control.flush()?;\n    control.claim()?;\n    control.open_up()?;\n    let index",
        "    control.claim()?;\n    control.open_up()?;\n    let index",
        (
            cargo(
                "recovery",
                "a_copy_that_is_being_opened_is_not_taken_for_one_that_was_closed_here_when_the_power_goes",
            ),
        ),
    ),
    Mutation(
        "trust-after-a-restart",
        "rust/core/src/recovery/recover.rs",
        "identity.same_file(&here) => identity.same_boot(&here) || control.flag(control::CLEAN)?,",
        "identity.same_file(&here) => true,",
        (cargo("power_loss", "whatever_an_fsync_store_loses_was_never_acknowledged"),),
    ),
    Mutation(
        "trust-of-a-copy",
        "rust/core/src/recovery/recover.rs",
        "Some(identity) if identity.same_file(&here) =>",
        "Some(_) =>",
        (cargo("recovery", "the_control_file_of_a_copy_is_not_believed"),),
    ),
    Mutation(
        "store-of-a-control-file",
        "rust/core/src/recovery/recover.rs",
        "== (header.store_id, header.segment_bytes, header.replica);",
        "== (control.store_id, header.segment_bytes, header.replica);",
        (cargo("recovery", "nobody_reads_a_log_with_the_control_file_and_the_index_of_another"),),
    ),
    Mutation(
        "clean-taken-back",
        "rust/core/src/shared/control.rs",
        "        self.set_flag(CLEAN, false)?;\n        self.flush()",
        "        self.set_flag(CLEAN, false)?;\n        Ok(())",
        (
            cargo("power_loss", "an_opening_may_be_cut_short_at_every_boundary_and_what_comes_after_is_kept"),
            cargo("power_loss", "whatever_an_fsync_store_loses_was_never_acknowledged"),
        ),
    ),
    Mutation(
        "clean-flushed",
        "rust/core/src/shared/control.rs",
        "self.change_flags(|flags| (flags | CLEAN) & !OPEN)?;\n        self.flush()",
        "self.change_flags(|flags| (flags | CLEAN) & !OPEN)",
        (cargo("recovery", "a_store_that_was_closed_needs_no_recovery_after_a_power_cut"),),
    ),
    Mutation(
        "names-of-a-new-store",
        "rust/core/src/store/open.rs",
        '            disk.sync_folder(segments::FOLDER)\n                .and_then(|()| disk.sync_folder(""))',
        "            Ok::<(), std::io::Error>(())",
        (cargo("recovery", "a_store_whose_maker_dies_at_any_boundary_keeps_what_the_next_one_writes"),),
    ),
    Mutation(
        "leftovers-flushed",
        "rust/core/src/store/open.rs",
        "            self.flush()?;\n",
        "",
        (
            cargo("power_loss", "an_opening_may_be_cut_short_at_every_boundary_and_what_comes_after_is_kept"),
            cargo("power_loss", "whatever_an_fsync_store_loses_was_never_acknowledged"),
        ),
    ),
    Mutation(
        "leftovers-of-an-interval",
        "rust/core/src/store/repair.rs",
        "            let _ = self.handle.housekeeper.want_flush();\n",
        "",
        (cargo("power_loss", "what_a_dead_process_owed_to_the_interval_is_flushed_by_the_next"),),
    ),
    Mutation(
        "repair-at-opening",
        "rust/core/src/store/open.rs",
        "            self.repair(&guard)?;\n            return Ok(());",
        "            drop(guard);\n            return Ok(());",
        (cargo("owner_death", "a_writer_that_was_alone_may_die_where_it_goes_on_in_the_next_file"),),
    ),
    Mutation(
        "repair-checks-records",
        "rust/core/src/store/repair.rs",
        "index.redo(address, &content)?;",
        "let _ = (address, content);",
        (cargo("owner_death", "a_writer_may_die_in_the_middle_of_any_line"),),
    ),
    Mutation(
        "join-of-another-store",
        "rust/core/src/store/open.rs",
        "if control.store_id != segments.store_id || control.identity()",
        "if control.identity()",
        (cargo("recovery", "nobody_joins_those_who_have_another_log_open"),),
    ),
    Mutation(
        "count-of-events",
        "rust/core/src/log/record.rs",
        "            && events.left == 0\n",
        "",
        (cargo("lib", "log::scan::tests::a_commit_with_a_sound_checksum_that_holds_other_than_it_says_ends_the_walk"),),
    ),
    Mutation(
        "count-of-keys",
        "rust/core/src/log/record.rs",
        "            && self.definitions().count() as u64 == self.definition_count\n",
        "",
        (cargo("lib", "log::scan::tests::a_commit_with_a_sound_checksum_whose_keys_are_none_ends_the_walk"),),
    ),
    Mutation(
        "surplus-of-a-commit",
        "rust/core/src/log/record.rs",
        "            && is_padding(&self.record[events.cursor.at..])\n",
        "",
        (cargo("lib", "log::scan::tests::a_record_with_a_sound_checksum_that_holds_more_than_its_kind_ends_the_walk"),),
    ),
    Mutation(
        "surplus-of-a-snapshot",
        "rust/core/src/log/record.rs",
        "bytes.get(self.contents().end..self.head.len).is_some_and(is_padding)",
        "bytes.get(self.contents().end..self.head.len).is_some()",
        (cargo("lib", "log::scan::tests::a_record_with_a_sound_checksum_that_holds_more_than_its_kind_ends_the_walk"),),
    ),
    Mutation(
        "surplus-of-an-end",
        "rust/core/src/log/record.rs",
        "Kind::End => (head.len == HEAD_BYTES).then_some(nothing),",
        "Kind::End => (head.len >= HEAD_BYTES).then_some(nothing),",
        (cargo("lib", "log::scan::tests::a_record_with_a_sound_checksum_that_holds_more_than_its_kind_ends_the_walk"),),
    ),
    Mutation(
        "distance-of-an-event",
        "rust/core/src/log/record.rs",
        "distance_to_commit(&self.record[start..])) == Some(at)",
        "distance_to_commit(&self.record[start..])).is_some()",
        (cargo("lib", "log::scan::tests::a_record_with_a_sound_checksum_that_holds_more_than_its_kind_ends_the_walk"),),
    ),
    Mutation(
        "cut-too-much",
        "rust/core/src/recovery/recover.rs",
        "old.as_ref().filter(|_| failed).and_then",
        "old.as_ref().and_then",
        (
            cargo("recovery", "nothing_is_cut_where_nothing_was_lost"),
            cargo(
                "recovery", "what_lies_before_a_loss_is_kept_to_the_last_commit_and_what_lies_behind_it_is_set_aside"
            ),
            cargo("power_loss", "an_os_store_keeps_a_prefix"),
        ),
    ),
    Mutation(
        "cut-the-last-whole-commit",
        "rust/core/src/recovery/recover.rs",
        "            Step::Stop(reason) => break reason,\n",
        "            Step::Stop(reason) => {\n                if scan.position > 1 {\n                    "
        "scan.position -= 1;\n                }\n                break reason;\n            }\n",
        (
            cargo("recovery", "nothing_is_cut_where_nothing_was_lost"),
            cargo(
                "recovery", "what_lies_before_a_loss_is_kept_to_the_last_commit_and_what_lies_behind_it_is_set_aside"
            ),
        ),
    ),
    Mutation(
        "name-of-what-is-set-aside",
        "rust/core/src/recovery/recover.rs",
        "            disk.sync_folder(segments::FOLDER).doing(what)?;\n",
        "",
        (cargo("recovery", "what_lies_behind_a_loss_is_there_whenever_the_power_goes_while_it_is_set_aside"),),
    ),
)
