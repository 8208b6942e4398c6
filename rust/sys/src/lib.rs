//! The only unsafe code of act-fast. `SAFETY.md` beside this crate names the invariants that its blocks rely on.

mod disk;
mod fork;
mod futex;
mod map;

pub use disk::{
    anonymous_file, boot_id, copy_on_write_file_system, exchange, network_file_system, open_files_max, reserve,
    reserve_unshared, uptime_ms,
};
pub use fork::{Guarded, generation as fork_generation, watch as watch_forks};
pub use futex::{wait as futex_wait, wake_all as futex_wake_all};
pub use map::Map;
