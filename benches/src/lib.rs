//! Pinyon's benches.
