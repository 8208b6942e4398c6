//! Sleeping until a shared word changes, in this or any other process.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Sleep while `word` still holds `expected`, at most for `timeout`. Returns on a wake-up, on a change, on time-out and
/// on a signal alike: the caller looks at its condition again.
#[cfg(target_os = "linux")]
pub fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
    let spec = timeout.map(|limit| libc::timespec {
        tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(limit.subsec_nanos()),
    });
    let spec_ptr = spec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the word outlives the call, the time is null or points to a local; a shared (non-private) futex (F1).
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, spec_ptr);
    }
}

/// Wake everybody who sleeps on `word`.
#[cfg(target_os = "linux")]
pub fn wake_all(word: &AtomicU32) {
    // SAFETY: the word outlives the call; waking touches no memory (F1).
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, libc::c_int::MAX);
    }
}

/// Where there is no futex that works between processes: look again after a short nap.
#[cfg(not(target_os = "linux"))]
pub fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
    let nap = Duration::from_millis(1);
    if word.load(std::sync::atomic::Ordering::Acquire) == expected {
        std::thread::sleep(timeout.map_or(nap, |limit| limit.min(nap)));
    }
}

/// Sleepers look by themselves on this platform.
#[cfg(not(target_os = "linux"))]
pub fn wake_all(_word: &AtomicU32) {}
