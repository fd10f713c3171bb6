//! A certificate and its key from files that somebody else keeps.

use pinyon_core::{EngineError, ErrorCode, read_side_file};
use rustls::{
    Error, InconsistentKeys,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use std::path::Path;

/// Reads both and checks that they belong together.
pub(super) fn certified_key(
    certificate_path: &Path,
    key_path: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, EngineError> {
    let certificates = read(certificate_path, "tls_cert")?;
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(&certificates).collect();
    let chain = chain.map_err(|error| wrong(certificate_path, &error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(certificate_path, "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"));
    }
    let no_key = "holds no unencrypted private key in PEM (-----BEGIN PRIVATE KEY-----)";
    let key =
        PrivateKeyDer::from_pem_slice(&read(key_path, "tls_key")?).map_err(|_| wrong(key_path, no_key))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            let problem =
                format!("is not the key of the first certificate in {}", certificate_path.display());
            wrong(key_path, &problem)
        }
        Error::InvalidCertificate(_) => wrong(certificate_path, &error.to_string()),
        other => wrong(key_path, &other.to_string()),
    })
}

fn read(path: &Path, setting: &str) -> Result<Vec<u8>, EngineError> {
    let missing = || {
        EngineError::new(
            ErrorCode::NotFound,
            format!("setting {setting}: there is no file {}", path.display()),
        )
    };
    read_side_file(path)?.ok_or_else(missing)
}

fn wrong(path: &Path, problem: &str) -> EngineError {
    EngineError::new(ErrorCode::InvalidArgument, format!("{} {problem}", path.display()))
}
