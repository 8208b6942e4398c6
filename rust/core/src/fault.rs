//! Places in the middle of a commit where a test may end the process. Nothing at all in an ordinary build.

#[cfg(feature = "fault-points")]
mod armed {
    use std::sync::atomic::{AtomicI64, Ordering};

    static LEFT: AtomicI64 = AtomicI64::new(-1);

    /// End this process, without any clean-up, at the `count`th point from now.
    pub fn die_after(count: i64) {
        LEFT.store(count, Ordering::SeqCst);
    }

    /// How many points are left before the end; negative when unarmed.
    pub fn left() -> i64 {
        LEFT.load(Ordering::SeqCst)
    }

    #[inline]
    pub(crate) fn point() {
        if LEFT.load(Ordering::Relaxed) > 0 && LEFT.fetch_sub(1, Ordering::SeqCst) == 1 {
            std::process::abort();
        }
    }
}

#[cfg(feature = "fault-points")]
pub(crate) use armed::point;
#[cfg(feature = "fault-points")]
pub use armed::{die_after, left};

#[cfg(not(feature = "fault-points"))]
#[inline(always)]
pub(crate) fn point() {}
