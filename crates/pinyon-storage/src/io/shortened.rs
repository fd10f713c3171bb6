//! The last word of a process whose mapped file was shortened, or lies on a disk that does not give it. The system ends such a process
//! (SIGBUS); this says which file it was, and the next start finds out what became of it. Nothing can go on: whoever read the bytes is in
//! the middle of something.

#![allow(unsafe_code)] // a signal's handler is; the reasons why these are sound stand at the blocks

use std::{
    ffi::{c_int, c_void},
    io,
    path::Path,
    ptr,
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering},
};

/// Mappings that are known by name; what is beyond is "a mapped file".
const PLACES: usize = 4096;
/// The exit code for failed input and output (EX_IOERR of sysexits).
const EXIT_CODE: c_int = 74;

/// A mapping that is there. Without a length the place is free.
struct Place {
    start: AtomicUsize,
    bytes: AtomicUsize,
    /// Of the bytes of its name, in a box of its own.
    name: AtomicPtr<u8>,
    name_bytes: AtomicUsize,
}

static MAPPED: [Place; PLACES] = [const {
    Place {
        start: AtomicUsize::new(0),
        bytes: AtomicUsize::new(0),
        name: AtomicPtr::new(ptr::null_mut()),
        name_bytes: AtomicUsize::new(0),
    }
}; PLACES];

/// A place that is being filled or cleared.
const TAKEN: usize = usize::MAX;

/// The entry of a mapping. Dropped before the mapping is.
#[derive(Debug)]
pub(super) struct Entry(Option<usize>);

impl Entry {
    /// Enters a mapping of a file.
    pub(super) fn of(mapped: &[u8], path: &Path) -> Self {
        let is_taken = |place: &Place| {
            place.start.compare_exchange(0, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
        };
        let Some(at) = MAPPED.iter().position(is_taken) else { return Self(None) };
        if let Some(place) = MAPPED.get(at) {
            let name = path.display().to_string().into_bytes().into_boxed_slice();
            place.name_bytes.store(name.len(), Ordering::Relaxed);
            place.name.store(Box::into_raw(name).cast(), Ordering::Relaxed);
            place.bytes.store(mapped.len(), Ordering::Relaxed);
            place.start.store(mapped.as_ptr() as usize, Ordering::Release);
        }
        Self(Some(at))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(place) = self.0.and_then(|at| MAPPED.get(at)) else { return };
        place.start.store(TAKEN, Ordering::Release);
        let name = ptr::slice_from_raw_parts_mut(
            place.name.swap(ptr::null_mut(), Ordering::AcqRel),
            place.name_bytes.load(Ordering::Relaxed),
        );
        // SAFETY: `Entry::of` made the box, and only its entry, which is this one, takes it. The handler reads a name only while
        // somebody reads of the mapping that it is of, which is dropped after this.
        drop(unsafe { Box::from_raw(name) });
        place.start.store(0, Ordering::Release);
    }
}

/// Has the process name the file when the system ends it for reading what is not there any more. For a program to ask for, once: a
/// library leaves signals alone.
///
/// # Errors
/// The system's.
pub fn name_shortened_files() -> io::Result<()> {
    let last_word = |about: &libc::siginfo_t| {
        // SAFETY: the system fills the address in for this signal.
        let address = unsafe { about.si_addr() } as usize;
        say_and_end(address);
    };
    // SAFETY: the action takes no lock, allocates nothing and does not unwind: it reads atomics, writes to a descriptor and ends the
    // process, or returns.
    unsafe { signal_hook_registry::register_sigaction(libc::SIGBUS, last_word) }.map(drop)
}

/// Where an address is that of no mapping of ours, nothing happens: the system goes on to do what it does.
fn say_and_end(address: usize) {
    let holds = |place: &&Place| {
        let start = place.start.load(Ordering::Acquire);
        start != 0 && start != TAKEN && address.wrapping_sub(start) < place.bytes.load(Ordering::Relaxed)
    };
    let Some(place) = MAPPED.iter().find(holds) else { return };
    let name = ptr::slice_from_raw_parts(
        place.name.load(Ordering::Acquire).cast_const(),
        place.name_bytes.load(Ordering::Relaxed),
    );
    // SAFETY: the mapping is being read, so its entry, and the name with it, is there.
    let name = unsafe { &*name };
    let mut digits = [0; 20];
    let offset = decimal(address.wrapping_sub(place.start.load(Ordering::Relaxed)), &mut digits);
    for text in [b"pinyon: ", name, b" was shortened or could not be read at byte ", offset, END] {
        // SAFETY: the bytes are there, and `write` may be called here. What cannot be said is not said.
        let _ = unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast::<c_void>(), text.len()) };
    }
    // SAFETY: it may be called here, and runs nothing of this process.
    unsafe { libc::_exit(EXIT_CODE) }
}

const END: &[u8] = b"; the next start checks it\n";

/// A number as text, without any memory but `digits`.
fn decimal(mut number: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut first = digits.len();
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        first = at;
        if number == 0 {
            break;
        }
    }
    digits.get(first..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_people_write_them() {
        for number in [0, 7, 10, 4096, 18_446_744_073_709_551_615] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }

    #[test]
    fn places_are_given_again() {
        let bytes = [1_u8; 10];
        let find = || {
            let start = bytes.as_ptr() as usize;
            MAPPED.iter().filter(|place| place.start.load(Ordering::Acquire) == start).count()
        };
        for _ in 0..3 * PLACES {
            let entry = Entry::of(&bytes, Path::new("/d/segment"));
            assert!(entry.0.is_some() && find() == 1);
        }
        assert_eq!(find(), 0);
    }
}
