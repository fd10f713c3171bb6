//! Panics of this process that are nobody's intention: those of the engine's threads end no test by themselves.

use std::{
    panic,
    sync::{Mutex, Once, PoisonError},
};

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Notes panics from now on; each is printed as before. Tests have their own, and the stores of the catalog panic on damaged files,
/// which is caught and told as an error.
pub fn note() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let place = info.location().map_or_else(String::new, ToString::to_string);
            let is_foreseen = ["/sled-", "/redb-", "tests/it/"].iter().any(|part| place.contains(part));
            if !is_foreseen {
                let thread = std::thread::current();
                let thread = thread.name().unwrap_or("without a name");
                SEEN.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{thread}: {info}"));
            }
            before(info);
        }));
    });
}

/// What was noted so far.
pub fn seen() -> Vec<String> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
