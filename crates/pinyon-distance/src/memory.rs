//! Huge pages for what is read in no order: with pages of 4 KiB most reads would also miss the table of pages.

/// Smallest piece of memory for which it pays: a few huge pages.
const BYTES_MIN: usize = 8 << 20;

/// Asks the system to back this memory with huge pages. To be called before it is written for the first time; a wish, of
/// which nothing comes where the system has none.
pub fn ask_for_huge_pages<T>(memory: &[T]) {
    #[cfg(target_os = "linux")]
    if size_of_val(memory) >= BYTES_MIN {
        const PAGE: usize = 4096;
        let begin = memory.as_ptr().cast::<u8>();
        let skipped = begin.align_offset(PAGE);
        let length = (size_of_val(memory) - skipped) / PAGE * PAGE;
        let first = begin.wrapping_add(skipped).cast_mut().cast();
        // SAFETY: whole pages inside memory that is borrowed here; the advice changes nothing of what they hold.
        let _ = unsafe { rustix::mm::madvise(first, length, rustix::mm::Advice::LinuxHugepage) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (memory, BYTES_MIN);
}

#[cfg(test)]
mod tests {
    #[test]
    fn asking_changes_nothing() {
        for count in [0, 1, 4095, (16 << 20) + 1] {
            let memory = vec![7_u8; count];
            super::ask_for_huge_pages(&memory);
            assert!(memory.iter().all(|byte| *byte == 7));
        }
    }
}
