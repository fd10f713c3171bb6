//! Tests of certificates: kept, renewed, refused.

use super::{renewing::Renewing, *};
use pinyon_core::{Readers, write_side_file};
use pinyon_types::ManualClock;
use rcgen::KeyPair;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::time::Duration;

/// A day of 2026.
const NOW_US: u64 = 1_790_000_000_000_000;

fn local_names() -> Vec<String> {
    names(IpAddr::from([127, 0, 0, 1]), None)
}

fn open_authority(dir: &Path) -> Result<Authority, EngineError> {
    Authority::open(dir, &local_names(), NOW_US)
}

/// A directory that no other test uses, gone at the end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn scratch(name: &str) -> Scratch {
    Scratch(std::env::temp_dir().join(format!("pinyon-tls-{}-{name}", std::process::id())))
}

fn text(path: &Path) -> String {
    String::from_utf8(pinyon_core::read_side_file(path).unwrap().unwrap()).unwrap()
}

#[test]
fn the_authority_is_made_once_and_refused_when_half_of_it_is_gone() {
    let scratch = scratch("authority");
    let dir = &scratch.0;
    let first = open_authority(dir).unwrap();
    let certificate = text(first.certificate_path());
    let again = open_authority(dir).unwrap();
    assert_eq!(text(again.certificate_path()), certificate);
    let other = KeyPair::generate().unwrap().serialize_pem();
    write_side_file(&dir.join("ca.key"), other.as_bytes(), Readers::Owner).unwrap();
    let refused = open_authority(dir).unwrap_err().message;
    assert!(refused.contains("does not belong to ca.key") && refused.contains("move"), "{refused}");
    write_side_file(&dir.join("ca.key"), b"nonsense", Readers::Owner).unwrap();
    assert!(open_authority(dir).unwrap_err().message.contains("holds no usable key"));
}

#[test]
fn a_key_alone_gets_its_certificate_and_a_certificate_alone_is_refused() {
    let (key_alone, certificate_alone) = (scratch("key"), scratch("certificate"));
    let dir = &key_alone.0;
    let key = KeyPair::generate().unwrap().serialize_pem();
    write_side_file(&dir.join("ca.key"), key.as_bytes(), Readers::Owner).unwrap();
    let certificate = text(open_authority(dir).unwrap().certificate_path());
    let dir = &certificate_alone.0;
    write_side_file(&dir.join("ca.pem"), certificate.as_bytes(), Readers::All).unwrap();
    assert!(open_authority(dir).unwrap_err().message.contains("ca.key: is missing"));
}

#[test]
fn certificates_have_the_names_of_indexes_that_clients_ask_for() {
    let clock = Arc::new(ManualClock::default());
    let scratch = scratch("named");
    let names = names(IpAddr::from([127, 0, 0, 1]), Some(&AdvertisedHost::read("db.internal").unwrap()));
    let authority = Authority::open(&scratch.0, &names, NOW_US).unwrap();
    let renewing = Renewing::new(authority, names, Arc::clone(&clock) as _).unwrap();
    let has = |asked: &str, name: &str| {
        let key = renewing.certificate_for(Some(asked));
        key.cert[0].windows(name.len()).any(|bytes| bytes == name.as_bytes())
    };
    for asked in ["movies.localhost", "Movies.LOCALHOST", "movies.db.internal"] {
        let name = asked.to_ascii_lowercase();
        assert!(has(asked, &name) && has(asked, "db.internal"), "{asked}");
        let first = renewing.certificate_for(Some(asked));
        assert_eq!(renewing.certificate_for(Some(asked)).cert, first.cert);
    }
    for stranger in
        ["localhost", "movies.example.com", "a.b.localhost", "-a.localhost", ".localhost", "movies."]
    {
        assert_eq!(renewing.certificate_for(Some(stranger)).cert, renewing.current().cert, "{stranger}");
    }
    assert_eq!(renewing.certificate_for(None).cert, renewing.current().cert);
    for number in 0..600 {
        assert!(has(&format!("i{number}.localhost"), &format!("i{number}.localhost")));
    }
    let before = renewing.certificate_for(Some("movies.localhost"));
    clock.advance(Duration::from_secs(200 * 24 * 3600));
    assert_ne!(renewing.certificate_for(Some("movies.localhost")).cert, before.cert, "they are renewed too");
}

#[test]
fn the_servers_certificate_is_replaced_before_it_ends() {
    let clock = Arc::new(ManualClock::default());
    let scratch = scratch("renewing");
    let names = names(IpAddr::from([127, 0, 0, 1]), Some(&AdvertisedHost::read("vectors.internal").unwrap()));
    let authority = Authority::open(&scratch.0, &names, NOW_US).unwrap();
    let renewing = Renewing::new(authority, names, Arc::clone(&clock) as _).unwrap();
    let first = renewing.current();
    clock.advance(Duration::from_secs(190 * 24 * 3600));
    assert_eq!(renewing.current().cert, first.cert);
    clock.advance(Duration::from_secs(10 * 24 * 3600));
    let second = renewing.current();
    assert_ne!(second.cert, first.cert);
    assert_eq!(renewing.current().cert, second.cert);
}

#[test]
fn names_are_this_machines_and_the_advertised_one() {
    let any = IpAddr::from([0, 0, 0, 0]);
    assert_eq!(names(any, None), ["127.0.0.1", "::1", "localhost"]);
    let advertised = |text: &str| AdvertisedHost::read(text).unwrap();
    let found = names(IpAddr::from([10, 0, 0, 7]), Some(&advertised("[fd00::7]")));
    assert_eq!(found, ["10.0.0.7", "127.0.0.1", "::1", "fd00::7", "localhost"]);
    let found = names(any, Some(&advertised("{index}.db.internal")));
    assert_eq!(found, ["*.db.internal", "127.0.0.1", "::1", "db.internal", "localhost"]);
}

#[test]
fn given_files_are_refused_with_the_reason() {
    let scratch = scratch("files");
    let dir = &scratch.0;
    let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let open = |certificate: &Path, key: &Path| {
        let settings = TlsSettings::Files { certificate: certificate.into(), key: key.into() };
        Tls::open(&settings, dir, Vec::new()).map(|tls| tls.unwrap())
    };
    assert!(open(&certificate, &key).unwrap_err().message.contains("there is no file"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    write_side_file(&certificate, made.cert.pem().as_bytes(), Readers::All).unwrap();
    write_side_file(&key, b"no key", Readers::All).unwrap();
    assert!(open(&certificate, &key).unwrap_err().message.contains("no unencrypted private key"));
    let other = KeyPair::generate().unwrap().serialize_pem();
    write_side_file(&key, other.as_bytes(), Readers::Owner).unwrap();
    assert!(open(&certificate, &key).unwrap_err().message.contains("is not the key of"));
    write_side_file(&key, made.signing_key.serialize_pem().as_bytes(), Readers::Owner).unwrap();
    assert!(open(&certificate, &key).unwrap().authority.is_none());
    assert!(open(&key, &key).unwrap_err().message.contains("no certificate"));
}

#[test]
fn an_authority_speaks_for_the_names_that_it_was_made_for_and_for_ten_years() {
    let scratch = scratch("constraints");
    let dir = &scratch.0;
    let open = |host: Option<&str>, days: u64| {
        let advertised = host.map(|host| AdvertisedHost::read(host).unwrap());
        let names = names(IpAddr::from([127, 0, 0, 1]), advertised.as_ref());
        Authority::open(dir, &names, NOW_US + days * 24 * 3600 * 1_000_000)
    };
    open(Some("{index}.db.internal"), 0).unwrap();
    for host in
        [None, Some("db.internal"), Some("a.db.internal"), Some("{index}.b.db.internal"), Some("127.0.0.9")]
    {
        open(host, 1).unwrap_or_else(|error| panic!("{host:?}: {error}"));
    }
    for host in ["example.com", "evil-db.internal", "internal", "10.0.0.1", "fd00::7"] {
        let refused = open(Some(host), 1).unwrap_err().message;
        assert!(
            refused.contains(&format!("no authority for {host}")) && refused.contains("move"),
            "{refused}"
        );
    }
    let pem = pinyon_core::read_side_file(&dir.join("ca.pem")).unwrap().unwrap();
    let certificate = CertificateDer::from_pem_slice(&pem).unwrap();
    // As UTCTime: a day of 2036.
    assert!(certificate.windows(6).any(|bytes| bytes == b"360920"));
}

#[test]
fn an_authority_of_an_earlier_version_is_still_read() {
    let scratch = scratch("earlier");
    let dir = &scratch.0;
    let key = KeyPair::generate().unwrap();
    let mut params = authority::authority_params(&key, &[], NOW_US);
    params.name_constraints = None;
    params.not_after = rcgen::date_time_ymd(9999, 12, 31);
    let certificate = params.self_signed(&key).unwrap().pem();
    write_side_file(&dir.join("ca.key"), key.serialize_pem().as_bytes(), Readers::Owner).unwrap();
    write_side_file(&dir.join("ca.pem"), certificate.as_bytes(), Readers::All).unwrap();
    let advertised =
        names(IpAddr::from([10, 0, 0, 7]), Some(&AdvertisedHost::read("db.example.com").unwrap()));
    Authority::open(dir, &advertised, NOW_US).unwrap();
    assert_eq!(text(&dir.join("ca.pem")), certificate, "nobody has to trust another one");
}

#[test]
fn changed_files_are_read_again_and_broken_ones_change_nothing() {
    let scratch = scratch("again");
    let dir = &scratch.0;
    let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let write = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        write_side_file(&certificate, made.cert.pem().as_bytes(), Readers::All).unwrap();
        write_side_file(&key, made.signing_key.serialize_pem().as_bytes(), Readers::Owner).unwrap();
    };
    write();
    let settings = TlsSettings::Files { certificate: certificate.clone(), key: key.clone() };
    let tls = Tls::open(&settings, dir, Vec::new()).unwrap().unwrap();
    assert_eq!(tls.files(), [certificate.clone(), key.clone()]);
    let first = tls.config();
    write();
    tls.read_again().unwrap();
    let second = tls.config();
    assert!(!Arc::ptr_eq(&first, &second));
    write_side_file(&key, b"broken", Readers::Owner).unwrap();
    assert!(tls.read_again().unwrap_err().message.contains("no unencrypted private key"));
    assert!(Arc::ptr_eq(&tls.config(), &second));
    write();
    for (content, problem) in [(&b"nothing"[..], "no certificate in PEM"), (b"", "no certificate in PEM")] {
        let file = dir.join("clients.pem");
        write_side_file(&file, content, Readers::All).unwrap();
        let refused = tls.clone().asking_clients(Some(file)).map(|_| ()).unwrap_err().message;
        assert!(refused.contains("tls_client_ca") && refused.contains(problem), "{refused}");
    }
    assert!(tls.asking_clients(Some(dir.join("missing"))).is_err());
}

#[test]
fn an_old_authority_in_the_data_directory_is_used_until_it_is_moved() {
    let scratch = scratch("place");
    let (data, new) = (scratch.0.join("data"), scratch.0.join("new"));
    let found = || authority_dir(Some(&new), &data).unwrap();
    assert_eq!(found(), new);
    write_side_file(&data.join("tls/ca.pem"), b"old", Readers::All).unwrap();
    assert_eq!(found(), data.join("tls"));
    write_side_file(&new.join("ca.pem"), b"moved", Readers::All).unwrap();
    assert_eq!(found(), new);
}
