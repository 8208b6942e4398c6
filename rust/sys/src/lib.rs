//! The only unsafe code of act-fast. `SAFETY.md` beside this crate names the invariants that its blocks rely on.

mod arrow;
mod disk;
#[cfg_attr(not(unix), path = "no_fork.rs")]
mod fork;
mod futex;
#[cfg(feature = "python")]
mod interpreter;
mod map;
mod marks;
mod prefetch;
mod priority;
#[cfg(windows)]
mod windows;

pub use arrow::{ArrowBatch, ArrowFault, ArrowStream, Kind};
pub use disk::{
    FileFacts, boot_id, copy_on_write_file_system, exchange, network_file_system, read_at, reserve, reserve_unshared,
    start_flush, write_at, writes_in_place,
};
#[cfg(unix)]
pub use disk::{anonymous_file, file_facts, open_files_max, path_facts, sync_folder, uptime_ms};
pub use fork::{Guarded, generation as fork_generation, watch as watch_forks};
pub use futex::{wait as futex_wait, wake_all as futex_wake_all};
#[cfg(feature = "python")]
pub use interpreter::{Kept, attached};
pub use map::Map;
pub use marks::{BLOCK_BYTES, Marks, marks};
pub use prefetch::prefetch;
pub use priority::give_way;
#[cfg(windows)]
pub use windows::{anonymous_file, file_facts, open_files_max, path_facts, sync_folder, uptime_ms};
