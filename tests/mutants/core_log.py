"""What an append, a flush, a lock and a checksum of the core promise."""

from typing import Final

from tests.mutants.mutation import Mutation, cargo

__all__ = ["LOG"]

LOG: Final = (
    Mutation(
        "version-check",
        "rust/core/src/write/plan.rs",
        "filter(|expected| *expected != actual)",
        "filter(|expected| *expected > actual)",
        (cargo("concurrency", "exactly_one_of_many_creators_of_a_stream_wins"),),
    ),
    Mutation(
        "version-within-commit",
        "rust/core/src/write/plan.rs",
        "let actual = stream.count() + stream.added;",
        "let actual = stream.count();",
        (cargo("model"),),
    ),
    Mutation(
        "version-that-is-told",
        "rust/core/src/write/append.rs",
        "first_version: before + 1,",
        "first_version: *before,",
        (cargo("model"),),
    ),
    Mutation(
        "position-that-is-told",
        "rust/core/src/write/append.rs",
        "last_position: position + more - 1,",
        "last_position: position + more,",
        (cargo("model"),),
    ),
    Mutation(
        "line-checksum",
        "rust/core/src/shared/line.rs",
        "    checksum(line, address).to_le_bytes() == line[BODY_BYTES..]",
        "    checksum(line, address).to_le_bytes()[..0] == line[..0]",
        (cargo("lib", "shared::line::tests"),),
    ),
    Mutation(
        "line-address",
        "rust/core/src/shared/line.rs",
        "fold(first ^ address.0.wrapping_mul(MIX), second ^ SALTS[3])",
        "fold(first ^ (address.0 & 0), second ^ SALTS[3])",
        (cargo("lib", "shared::line::tests"),),
    ),
    Mutation(
        "word-checksum",
        "rust/core/src/shared/line.rs",
        "(raw >> VALUE_BITS == check(value, salt)).then_some(value)",
        "(check(value, salt) <= u64::MAX).then_some(value)",
        (cargo("lib", "shared::line::tests"),),
    ),
    Mutation(
        "record-checksum",
        "rust/core/src/log/record.rs",
        "(seed.record_crc(place, record) == head.crc).then_some(head)",
        "(seed.record_crc(place, record) <= u32::MAX).then_some(head)",
        (cargo("corruption", "a_flipped_bit_of_the_log_is_an_error_or_harmless_in_place"),),
    ),
    Mutation(
        "record-place",
        "rust/core/src/log/record.rs",
        "let mixed = (self.0 ^ place)",
        "let mixed = (self.0 ^ (place & 0))",
        (cargo("lib", "log::scan::tests::a_record_that_was_written_for_another_place_is_none_here"),),
    ),
    Mutation(
        "record-store",
        "rust/core/src/log/record.rs",
        "Self(u64_at(store_id, 0) ^ u64_at(store_id, 8).rotate_left(32))",
        "Self(u64_at(store_id, 0) & 0)",
        (cargo("lib", "log::record::tests::a_record_of_another_store_is_none_here"),),
    ),
    Mutation(
        "record-length-checksum",
        "rust/core/src/log/record.rs",
        " ^ u32_at(record, 4).rotate_left(17)",
        "",
        (
            cargo(
                "lib",
                "log::record::tests::a_record_ends_where_it_says_even_where_zeros_behind_it_would_leave_its_checksum_as_it_is",
            ),
        ),
    ),
    Mutation(
        "record-kind-checksum",
        "rust/core/src/log/record.rs",
        " ^ u32_at(record, 0).rotate_left(7)",
        "",
        (cargo("lib", "log::record::tests::every_flipped_bit_of_a_record_is_noticed"),),
    ),
    Mutation(
        "event-checksum",
        "rust/core/src/log/record.rs",
        "cursor.u32()? == seed.part_crc(place, position, &record[at..end])",
        "cursor.u32().is_some() && end > 0",
        (
            cargo("corruption", "a_flipped_bit_of_the_log_is_an_error_or_harmless_in_place"),
            cargo("lib", "log::record"),
        ),
    ),
    Mutation(
        "event-position",
        "rust/core/src/log/record.rs",
        "(position as u32).rotate_left(11)",
        "(position as u32 & 0)",
        (cargo("lib", "log::record"),),
    ),
    Mutation(
        "single-event-checksum",
        "rust/core/src/log/record.rs",
        "position == preamble.head.position && seed.record_crc(preamble.place, record) == preamble.head.crc",
        "position == preamble.head.position",
        (cargo("corruption", "a_flipped_bit_of_the_log_is_an_error_or_harmless_in_place"),),
    ),
    Mutation(
        "single-event-position",
        "rust/core/src/log/record.rs",
        "position == preamble.head.position && seed.record_crc",
        "seed.record_crc",
        (cargo("lib", "log::record"),),
    ),
    Mutation(
        "preamble-checksum",
        "rust/core/src/log/record.rs",
        "if check && stated != seed",
        "if check && stated == 0 && stated != seed",
        (
            cargo("lib", "log::scan"),
            cargo("corruption", "a_flipped_bit_of_the_log_is_an_error_or_harmless_in_place"),
        ),
    ),
    Mutation(
        "flush-before-acknowledging",
        "rust/core/src/store/flush.rs",
        "if let Err(error) = segments::flush(number, &file) {",
        "if let Err::<(), Error>(error) = Ok(()) {",
        (cargo("power_loss", "whatever_an_fsync_store_loses_was_never_acknowledged"),),
    ),
    Mutation(
        "flush-of-an-append",
        "rust/core/src/write/append.rs",
        "Durability::Fsync => self.flush_up_to(position),",
        "Durability::Fsync => {\n self.control.publish(position);\n Ok(())\n}",
        (cargo("power_loss", "whatever_an_fsync_store_loses_was_never_acknowledged"),),
    ),
    Mutation(
        "flush-of-an-interval-append",
        "rust/core/src/write/append.rs",
        "                self.announce();\n                self.flush_soon()",
        "                self.announce();\n                Ok(())",
        (cargo("power_loss", "what_is_appended_is_flushed_within_the_interval"),),
    ),
    Mutation(
        "flush-before-a-conflict",
        "rust/core/src/write/append.rs",
        "            self.flush_up_to(self.control.indexed_position()?)?;\n",
        "",
        (
            cargo("power_loss", "whatever_an_fsync_store_loses_was_never_acknowledged"),
            cargo("owner_death"),
        ),
    ),
    Mutation(
        "flush-that-failed",
        "rust/core/src/store/flush.rs",
        "                self.control.set_flag(control::FAILED, true)?;\n",
        "",
        (
            cargo("errno", "a_flush_that_failed_is_not_tried_again_by_those_who_waited_for_it"),
            cargo("errno", "a_store_that_failed_takes_no_appends_until_all_of_its_handles_are_closed"),
        ),
    ),
    Mutation(
        "flush-after-one-that-failed",
        "rust/core/src/store/flush.rs",
        "        self.check_flushable()?;\n        self.check_in_place()?;",
        "        self.check_in_place()?;",
        (cargo("errno", "a_flush_that_failed_is_not_tried_again_by_those_who_waited_for_it"),),
    ),
    Mutation(
        "flush-beside-growing",
        "rust/core/src/store/flush.rs",
        "            self.check_flushable()?;\n            self.control.set_synced(tail);",
        "            self.control.set_synced(tail);",
        (cargo("errno", "a_flush_of_new_room_that_fails_is_not_hidden_from_those_who_flush_later"),),
    ),
    Mutation(
        "flush-of-new-room",
        "rust/core/src/store/growth.rs",
        "                self.control.set_flag(control::FAILED, true)?;\n                return Err(error);",
        "                return Err(error);",
        (cargo("errno", "a_flush_of_new_room_that_fails_is_not_hidden_from_those_who_flush_later"),),
    ),
    Mutation(
        "flush-of-a-new-segment",
        "rust/core/src/log/segments.rs",
        "    file.flush().doing(what)?;\n    disk.rename(NEXT, &target)",
        "    disk.rename(NEXT, &target)",
        (
            cargo("power_loss", "whatever_an_fsync_store_loses_was_never_acknowledged"),
            cargo("power_loss", "every_single_loss_at_every_boundary_of_a_small_store_is_survived"),
        ),
    ),
    Mutation(
        "name-of-a-new-segment",
        "rust/core/src/log/segments.rs",
        "    disk.rename(NEXT, &target).doing(what)?;\n    disk.sync_folder(FOLDER).doing(what)",
        "    disk.rename(NEXT, &target).doing(what)",
        (cargo("recovery", "the_file_that_recovery_makes_where_the_last_one_has_ended_is_there_for_good"),),
    ),
    Mutation(
        "news-of-a-publication",
        "rust/core/src/store/flush.rs",
        "if self.control.awaited().load(Ordering::SeqCst) != 0 && self.control.awaited()",
        "if self.control.awaited().load(Ordering::SeqCst) == 0 && self.control.awaited()",
        (cargo("concurrency", "a_publication_is_news_to_those_who_wait_and_to_nobody_else"),),
    ),
    Mutation(
        "lock-of-the-living",
        "rust/core/src/shared/lock.rs",
        "        let Some(_dead) = handles::keep_free(self.disk, owner) else {\n            return false;\n        };",
        "        let _dead = handles::keep_free(self.disk, owner);",
        (cargo("concurrency", "the_lock_of_a_writer_that_is_slow_and_alive_is_not_taken"),),
    ),
    Mutation(
        "lock-of-the-dead",
        "rust/core/src/shared/lock.rs",
        "                return self.guard(true);",
        "                return self.guard(false);",
        (cargo("owner_death", "a_writer_may_die_at_any_point_of_single_commits"),),
    ),
    Mutation(
        "lock-left-in-the-slot",
        "rust/core/src/shared/lock.rs",
        "(seen & !AWAITED == self.slot + 1).then(|| self.guard(true))",
        "(seen == u32::MAX).then(|| self.guard(true))",
        (cargo("concurrency", "whoever_gets_the_slot_of_a_dead_process_lets_go_of_the_locks_that_it_held"),),
    ),
    Mutation(
        "name-of-a-segment-made-ahead",
        "rust/core/src/store/growth.rs",
        '        self.disk.sync_folder(segments::FOLDER).doing(|| "syncing the log\'s folder".to_owned())?;\n',
        "",
        (
            cargo(
                "recovery",
                "a_file_whose_maker_could_not_make_its_name_last_is_there_for_good_once_it_is_written_to",
            ),
        ),
    ),
)
