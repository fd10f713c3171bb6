//! Background work gives way: where there are more threads than cores, those that somebody waits for go first.

/// What is added to a thread's niceness: a seventh of the share of a thread that gives no way, so that sealing goes on.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 9;

/// Makes the calling thread give way from now on, where the system has priorities of threads.
pub fn give_way() {
    // On Linux niceness is a thread's own; elsewhere it would be the whole process that gives way.
    #[cfg(target_os = "linux")]
    {
        let before = rustix::process::getpriority_process(None).unwrap_or(0);
        // Giving way is never refused; if it were, the thread would only be as fast as others.
        let _ = rustix::process::setpriority_process(None, (before + NICENESS).min(19));
    }
}
