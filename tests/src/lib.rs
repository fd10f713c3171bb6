//! Pinyon's tests.
