//! Tests of certificates: kept, renewed, refused.

use super::{renewing::Renewing, *};
use pinyon_core::{Readers, write_side_file};
use pinyon_types::ManualClock;
use rcgen::KeyPair;
use std::time::Duration;

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
    let first = Authority::open(dir).unwrap();
    let certificate = text(first.certificate_path());
    let again = Authority::open(dir).unwrap();
    assert_eq!(text(again.certificate_path()), certificate);
    let other = KeyPair::generate().unwrap().serialize_pem();
    write_side_file(&dir.join("ca.key"), other.as_bytes(), Readers::Owner).unwrap();
    let refused = Authority::open(dir).unwrap_err().message;
    assert!(refused.contains("does not belong to ca.key") && refused.contains("remove"), "{refused}");
    write_side_file(&dir.join("ca.key"), b"nonsense", Readers::Owner).unwrap();
    assert!(Authority::open(dir).unwrap_err().message.contains("holds no usable key"));
}

#[test]
fn a_key_alone_gets_its_certificate_and_a_certificate_alone_is_refused() {
    let (key_alone, certificate_alone) = (scratch("key"), scratch("certificate"));
    let dir = &key_alone.0;
    let key = KeyPair::generate().unwrap().serialize_pem();
    write_side_file(&dir.join("ca.key"), key.as_bytes(), Readers::Owner).unwrap();
    let certificate = text(Authority::open(dir).unwrap().certificate_path());
    let dir = &certificate_alone.0;
    write_side_file(&dir.join("ca.pem"), certificate.as_bytes(), Readers::All).unwrap();
    assert!(Authority::open(dir).unwrap_err().message.contains("ca.key: is missing"));
}

#[test]
fn certificates_have_the_names_of_indexes_that_clients_ask_for() {
    let clock = Arc::new(ManualClock::default());
    let scratch = scratch("named");
    let authority = Authority::open(&scratch.0).unwrap();
    let names = names(IpAddr::from([127, 0, 0, 1]), Some(&AdvertisedHost::read("db.internal").unwrap()));
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
    let authority = Authority::open(&scratch.0).unwrap();
    let names = names(IpAddr::from([127, 0, 0, 1]), Some(&AdvertisedHost::read("vectors.internal").unwrap()));
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
