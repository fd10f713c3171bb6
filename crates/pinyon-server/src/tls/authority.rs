//! A certificate authority of one data directory: made once, kept, and never shown to anybody but its key file's owner.

use pinyon_core::{EngineError, ErrorCode, Readers, read_side_file, write_side_file};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a certificate of this server holds: what browsers accept at most.
pub(super) const CERTIFICATE_TIME: Duration = Duration::from_secs(397 * 24 * 3600);
/// Clocks of clients may be behind ours by as much.
const CLOCK_SKEW: Duration = Duration::from_secs(24 * 3600);

/// The authority. Its certificate has no end (RFC 5280, 4.1.2.5): clients trust it once, and it can do no more than the
/// key beside it, which never leaves the directory.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_path: PathBuf,
}

impl Authority {
    /// Opens the authority of a directory, or makes one.
    ///
    /// # Errors
    /// A certificate without its key, or with another one's; files that cannot be read or written.
    pub(crate) fn open(dir: &Path) -> Result<Self, EngineError> {
        let (key_path, certificate_path) = (dir.join("ca.key"), dir.join("ca.pem"));
        let (key, certificate) = (read_side_file(&key_path)?, read_side_file(&certificate_path)?);
        // The key is written first: alone it is what a crash left, and its certificate was never shown to anybody.
        let key = match key {
            Some(bytes) => read_key(&bytes).ok_or_else(|| damaged(&key_path, "holds no usable key"))?,
            None if certificate.is_some() => return Err(damaged(&key_path, "is missing")),
            None => make_key(&key_path)?,
        };
        let params = authority_params(&key);
        match certificate {
            Some(bytes) if !belongs_to(&bytes, &key) => {
                return Err(damaged(&certificate_path, "does not belong to ca.key"));
            }
            Some(_) => {}
            None => {
                let certificate = params.self_signed(&key).map_err(|error| failed(&error))?;
                write_side_file(&certificate_path, certificate.pem().as_bytes(), Readers::All)?;
            }
        }
        Ok(Self { issuer: Issuer::new(params, key), certificate_path })
    }

    /// Where its certificate is.
    pub(super) fn certificate_path(&self) -> &Path {
        &self.certificate_path
    }

    /// A new certificate with a new key, for these names, from now on.
    ///
    /// # Errors
    /// A name that is neither an address nor a host's.
    pub(super) fn certify(&self, names: &[String], now_us: u64) -> Result<CertifiedKey, EngineError> {
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        let mut params = CertificateParams::new(names).map_err(|error| failed(&error))?;
        let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_micros(now_us);
        (params.not_before, params.not_after) = (now - CLOCK_SKEW, now + CERTIFICATE_TIME - CLOCK_SKEW);
        params.distinguished_name.push(DnType::CommonName, "pinyon");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer).map_err(|error| failed(&error))?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        CertifiedKey::from_der(vec![certificate.der().clone()], key, &super::provider())
            .map_err(|error| failed(&error))
    }
}

/// The same for the same key, so that nothing but the key has to be kept to issue certificates.
fn authority_params(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    // Authorities of several directories may stand in one client's store: each has a name of its own.
    let fingerprint = blake3::hash(key.der_bytes()).to_hex();
    let name = format!("Pinyon local CA {}", fingerprint.get(..8).unwrap_or_default());
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(9999, 12, 31) + Duration::from_secs(24 * 3600 - 1);
    params
}

fn make_key(path: &Path) -> Result<KeyPair, EngineError> {
    let key = KeyPair::generate().map_err(|error| failed(&error))?;
    write_side_file(path, key.serialize_pem().as_bytes(), Readers::Owner)?;
    Ok(key)
}

fn read_key(bytes: &[u8]) -> Option<KeyPair> {
    KeyPair::from_pem(std::str::from_utf8(bytes).ok()?).ok()
}

/// Whether a certificate has this key: its bytes stand in it as they are.
fn belongs_to(certificate: &[u8], key: &KeyPair) -> bool {
    let public = key.der_bytes();
    CertificateDer::from_pem_slice(certificate)
        .is_ok_and(|der| der.windows(public.len()).any(|bytes| bytes == public))
}

fn damaged(path: &Path, problem: &str) -> EngineError {
    let dir = path.parent().unwrap_or(path).display();
    let message = format!(
        "{}: {problem}. Put back the file that was there, or remove {dir} for a new authority, which clients must then be \
         told to trust",
        path.display()
    );
    EngineError::new(ErrorCode::FailedPrecondition, message)
}

fn failed(error: &impl std::fmt::Display) -> EngineError {
    EngineError::new(ErrorCode::Internal, format!("no certificate was made: {error}"))
}
