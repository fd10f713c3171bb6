//! The provider of cryptography.

use rustls::crypto::CryptoProvider;
use std::sync::Arc;

/// Named wherever one is needed: a second provider in the dependency graph would make the process's default ambiguous.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
