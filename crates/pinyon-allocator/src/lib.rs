//! The memory allocator of the product: jemalloc on Linux, the system's elsewhere. Whoever links this crate has it
//! (`use pinyon_allocator as _;`), so that only programs do and no library.

#![cfg(target_os = "linux")]
#![allow(unsafe_code)] // a symbol by which jemalloc finds how it is set up

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// How jemalloc is set up, unless `_RJEM_MALLOC_CONF` in the environment says otherwise: what is free goes back to the system within a
/// second, by a thread of its own, because threads that are at rest give nothing back; and one arena a core, in which what one thread
/// frees serves the next.
// SAFETY: the name is jemalloc's (`jemalloc(3)`, TUNING), which reads a pointer to a text that ends with zero; this is one.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static SETTINGS: &[u8; 80] =
    b"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0,percpu_arena:percpu\0";
