//! Certificates that clients must show, where the settings ask for them.

use super::provider::provider;
use pinyon_core::{EngineError, ErrorCode, read_side_file};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::{path::Path, sync::Arc};

/// Lets in who shows a certificate of one of a file's authorities, and nobody else.
///
/// # Errors
/// A file that is missing or holds no authority; the message names it.
pub(super) fn verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, EngineError> {
    let wrong = |problem: String| {
        let message = format!("setting tls_client_ca: {}: {problem}", path.display());
        EngineError::new(ErrorCode::InvalidArgument, message)
    };
    let bytes = read_side_file(path)?.ok_or_else(|| wrong("there is no such file".into()))?;
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        authorities.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if authorities.is_empty() {
        return Err(wrong("it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)".into()));
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider());
    builder.build().map_err(|error| wrong(error.to_string()))
}
