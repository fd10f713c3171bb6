//! The server's own certificate authority: made once, kept, and its key shown to nobody but its file's owner. It can speak for
//! the names only that it was made for (name constraints, RFC 5280, 4.2.1.10): a stolen key opens no other site.

use super::provider::provider;
use pinyon_core::{EngineError, ErrorCode, Readers, lock_side_file, read_side_file, write_side_file};
use pinyon_embed::ThreadPause;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData,
};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime, pem::PemObject},
    sign::CertifiedKey,
};
use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// How long a certificate of this server holds: what browsers accept at most.
pub(super) const CERTIFICATE_TIME: Duration = Duration::from_secs(397 * 24 * 3600);
/// How long the authority holds: people trust it by hand.
const AUTHORITY_TIME: Duration = Duration::from_secs(3652 * 24 * 3600);
/// Clocks of clients may be behind ours by as much.
const CLOCK_SKEW: Duration = Duration::from_secs(24 * 3600);

/// The authority. It can do no more than the key beside its certificate, which never leaves the directory.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_path: PathBuf,
}

impl Authority {
    /// Opens the authority of a directory, or makes one for these names.
    ///
    /// # Errors
    /// A certificate without its key, or with another one's; one that was made for other names; files that cannot be read or
    /// written.
    pub(crate) fn open(dir: &Path, names: &[String], now_us: u64) -> Result<Self, EngineError> {
        // Servers of one user share a directory and may make its authority at the same time.
        let _lock = lock_side_file(&dir.join("ca.lock"), &ThreadPause)?;
        let (key_path, certificate_path) = (dir.join("ca.key"), dir.join("ca.pem"));
        let (key, certificate) = (read_side_file(&key_path)?, read_side_file(&certificate_path)?);
        // The key is written first: alone it is what a crash left, and its certificate was never shown to anybody.
        let key = match key {
            Some(bytes) => read_key(&bytes).ok_or_else(|| damaged(&key_path, "holds no usable key"))?,
            None if certificate.is_some() => return Err(damaged(&key_path, "is missing")),
            None => make_key(&key_path)?,
        };
        let params = authority_params(&key, names, now_us);
        let pem = match certificate {
            Some(bytes) if !belongs_to(&bytes, &key) => {
                return Err(damaged(&certificate_path, "does not belong to ca.key"));
            }
            Some(bytes) => bytes,
            None => {
                let certificate = params.self_signed(&key).map_err(|error| failed(&error))?;
                write_side_file(&certificate_path, certificate.pem().as_bytes(), Readers::All)?;
                certificate.pem().into_bytes()
            }
        };
        let authority = Self { issuer: Issuer::new(params, key), certificate_path };
        authority.check(&pem, names, now_us)?;
        Ok(authority)
    }

    /// Asks of every name what a client would: whether the authority, as it was once written, may speak for it. Its end is for clients to see.
    fn check(&self, pem: &[u8], names: &[String], now_us: u64) -> Result<(), EngineError> {
        let root = CertificateDer::from_pem_slice(pem).map_err(|error| failed(&error))?;
        let mut roots = RootCertStore::empty();
        roots.add(root).map_err(|error| damaged(&self.certificate_path, &error.to_string()))?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier = verifier.build().map_err(|error| failed(&error))?;
        let now = UnixTime::since_unix_epoch(Duration::from_micros(now_us));
        for name in names {
            let certified = self.certify(std::slice::from_ref(name), now_us)?;
            let asked = ServerName::try_from(name.replace('*', "index")).map_err(|error| failed(&error))?;
            for certificate in certified.cert.iter().take(1) {
                verifier.verify_server_cert(certificate, &[], &asked, &[], now).map_err(|error| {
                    let problem = format!("is no authority for {name} ({error})");
                    damaged(&self.certificate_path, &problem)
                })?;
            }
        }
        Ok(())
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
        CertifiedKey::from_der(vec![certificate.der().clone()], key, &provider())
            .map_err(|error| failed(&error))
    }
}

/// What issues is named by its key alone, so that nothing but the key has to be kept to issue certificates.
pub(super) fn authority_params(key: &KeyPair, names: &[String], now_us: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    // Authorities of several directories may stand in one client's store: each has a name of its own.
    let fingerprint = blake3::hash(key.der_bytes()).to_hex();
    let name = format!("Pinyon local CA {}", fingerprint.get(..8).unwrap_or_default());
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let permitted_subtrees = permitted(names);
    params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_micros(now_us);
    (params.not_before, params.not_after) = (now - CLOCK_SKEW, now + AUTHORITY_TIME);
    params
}

/// What the authority may speak for: each name with all below it, each address, all of loopback.
fn permitted(names: &[String]) -> Vec<GeneralSubtree> {
    let parents = names.iter().map(|name| name.strip_prefix("*.").unwrap_or(name));
    let parents: BTreeSet<&str> = parents.collect();
    let subtree = |name: &str| match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) if address.is_loopback() => {
            GeneralSubtree::IpAddress(CidrSubnet::V4([127, 0, 0, 0], [255, 0, 0, 0]))
        }
        Ok(IpAddr::V4(address)) => GeneralSubtree::IpAddress(CidrSubnet::V4(address.octets(), [255; 4])),
        Ok(IpAddr::V6(address)) => GeneralSubtree::IpAddress(CidrSubnet::V6(address.octets(), [255; 16])),
        Err(_) => GeneralSubtree::DnsName(name.to_owned()),
    };
    parents.into_iter().map(subtree).collect()
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
        "{}: {problem}. Put back the file that was there, or move {dir} away for a new authority, which clients must then \
         be told to trust",
        path.display()
    );
    EngineError::new(ErrorCode::FailedPrecondition, message)
}

fn failed(error: &impl std::fmt::Display) -> EngineError {
    EngineError::new(ErrorCode::Internal, format!("no certificate was made: {error}"))
}
