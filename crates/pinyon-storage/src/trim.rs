//! Giving memory back that the allocator keeps. What one thread reads and another drops leaves holes that it fills again one day; until
//! then they count as ours.

#![allow(unsafe_code)] // a call of the C library, see the block

/// Gives back what is free. Takes some milliseconds for each hundred megabytes of holes, in which threads that allocate may wait: to be
/// called when little is done.
pub fn give_back_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it may be called at any time from any thread, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
