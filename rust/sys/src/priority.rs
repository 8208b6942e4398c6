//! How much a thread matters to the system.

/// Have this thread give way to all others. A hint: where one thread cannot have a priority of its own, nothing happens.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    {
        const PRIO_PROCESS: libc::c_int = 0;
        const THIS_THREAD: libc::c_int = 0;
        const LOWEST: libc::c_int = 19;
        // SAFETY: the call takes numbers alone, and touches no memory (B1).
        unsafe {
            libc::syscall(libc::SYS_setpriority, PRIO_PROCESS, THIS_THREAD, LOWEST);
        }
    }
}
