//! What a running server takes anew: keys, certificates, lists and the level of its log, by a file that changes and by SIGHUP;
//! and who is let in by a certificate.

use crate::server::{Server, Starting, scratch};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

const FIRST: &str = "first-key-of-20-bytes";
const SECOND: &str = "second-key-of-20-bytes";

fn status(server: &Server, path: &str, headers: &[(&str, &str)]) -> u16 {
    let mut request = server.agent().get(format!("{}{path}", server.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.call().unwrap().status().as_u16()
}

/// Waits for what takes a second, or as long as a busy machine makes it.
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A server whose log is a file.
fn start_logged(dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> (Server, PathBuf) {
    fs::create_dir_all(dir).unwrap();
    let log = dir.join("log");
    let errors = Stdio::from(fs::File::create(&log).unwrap());
    (Starting::new(&dir.join("data"), arguments, environment, errors).wait(), log)
}

fn hang_up(server: &Server) {
    assert!(Command::new("kill").args(["-HUP", &server.pid().to_string()]).status().unwrap().success());
}

#[test]
fn keys_are_replaced_by_their_file_and_a_broken_one_keeps_the_old() {
    let dir = scratch("rotation-keys");
    fs::create_dir_all(&dir).unwrap();
    let keys = dir.join("keys");
    fs::write(&keys, format!("ci {FIRST}\n")).unwrap();
    let environment = [("PINYON_API_KEYS_FILE", keys.to_str().unwrap())];
    let (server, log) = start_logged(&dir, &["--vector-dimension", "8"], &environment);
    let is_let_in = |key: &str| status(&server, "/indexes", &[("api-key", key)]) == 200;
    assert!(is_let_in(FIRST) && !is_let_in(SECOND));
    assert_eq!(status(&server, "/indexes", &[("authorization", &format!("bearer {FIRST}"))]), 200);
    fs::write(&keys, format!("ci {SECOND} what is this\n")).unwrap();
    eventually("the log says that the file is broken", || {
        fs::read_to_string(&log).unwrap().contains("line 1")
    });
    assert!(is_let_in(FIRST) && !is_let_in(SECOND));
    let hashed = Command::new(crate::server::binary())
        .args(["keys", "hash", "ci"])
        .stdin(Stdio::from(fs::File::open(write(&dir.join("key"), SECOND)).unwrap()))
        .output()
        .unwrap();
    fs::write(&keys, hashed.stdout).unwrap();
    eventually("the second key is let in", || is_let_in(SECOND));
    assert!(!is_let_in(FIRST));
    let said = fs::read_to_string(&log).unwrap();
    assert!(!said.contains(FIRST) && !said.contains(SECOND), "{said}");
    drop(server);
    fs::remove_dir_all(&dir).unwrap();
}

fn write<'a>(path: &'a Path, text: &str) -> &'a Path {
    fs::write(path, text).unwrap();
    path
}

#[test]
fn hanging_up_reads_settings_again() {
    let dir = scratch("rotation-hup");
    fs::create_dir_all(&dir).unwrap();
    let config = dir.join("pinyon.toml");
    fs::write(&config, "vector_dimension = 8\n").unwrap();
    let (server, log) = start_logged(&dir, &["--config", config.to_str().unwrap()], &[]);
    let is_known = || status(&server, "/indexes", &[("host", "db")]) == 200;
    let is_shared = || status(&server, "/indexes", &[("origin", "https://app.example.com")]) == 200;
    assert!(!is_known() && !is_shared());
    let lists =
        "allowed_hosts = [\"db\"]\nallowed_origins = [\"https://app.example.com\"]\nlog = \"debug\"\n";
    fs::write(&config, format!("vector_dimension = 8\n{lists}")).unwrap();
    hang_up(&server);
    eventually("the lists are those of the file", || is_known() && is_shared());
    assert_eq!(status(&server, "/indexes", &[("host", "evil.com")]), 403);
    eventually("the log says more", || fs::read_to_string(&log).unwrap().contains("stranger refused"));
    fs::write(&config, "allowed_hosts = [\"http://db\"]\n").unwrap();
    hang_up(&server);
    eventually("the log says what is wrong", || fs::read_to_string(&log).unwrap().contains("is not a host"));
    assert!(is_known() && is_shared(), "the old lists stay");
    fs::write(&config, format!("api_keys = [\"{FIRST}\"]\n")).unwrap();
    hang_up(&server);
    eventually("keys are not begun with", || fs::read_to_string(&log).unwrap().contains("restart it"));
    drop(server);
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn refused_keys_are_logged_with_their_source_and_counted() {
    let dir = scratch("rotation-refused");
    let (server, log) = start_logged(&dir, &["--vector-dimension", "8"], &[("PINYON_API_KEYS", FIRST)]);
    for _ in 0..3 {
        assert_eq!(status(&server, "/indexes", &[("api-key", SECOND)]), 401);
    }
    assert_eq!(status(&server, "/indexes", &[]), 401);
    let mut answer =
        server.agent().get(format!("{}/metrics", server.url)).header("api-key", FIRST).call().unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    for line in
        [r#"pinyon_keys_refused_total{kind="wrong"} 3"#, r#"pinyon_keys_refused_total{kind="missing"} 1"#]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.contains("127.0.0.1") && said.contains("none of ours") && !said.contains(SECOND), "{said}");
    drop(server);
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn health_tells_the_shape_of_the_data_to_who_has_a_key() {
    let dir = scratch("rotation-health");
    let (server, _) = start_logged(&dir, &["--vector-dimension", "8"], &[("PINYON_API_KEYS", FIRST)]);
    let health = |headers: &[(&str, &str)]| {
        let mut request = server.agent().get(format!("{}/health", server.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.call().unwrap();
        serde_json::from_str::<serde_json::Value>(&answer.body_mut().read_to_string().unwrap()).unwrap()
    };
    let (bare, whole) = (health(&[]), health(&[("api-key", FIRST)]));
    assert_eq!((&bare["status"], bare.get("config")), (&"healthy".into(), None));
    assert_eq!(whole["config"]["vector_dimension"], 8);
    drop(server);
    fs::remove_dir_all(&dir).unwrap();
}

/// A certificate for localhost that is its own authority, and its key.
fn write_certificate(certificate: &Path, key: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(key, made.signing_key.serialize_pem()).unwrap();
    fs::write(certificate, made.cert.pem()).unwrap();
}

/// A client that trusts this file, with or without a certificate of its own.
fn client(trusted: &Path, own: Option<ClientCert>) -> ureq::Agent {
    let certificate = Certificate::from_pem(&fs::read(trusted).unwrap()).unwrap();
    let tls =
        TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(vec![certificate]))).client_cert(own);
    let config = ureq::Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        .max_idle_connections(0)
        .timeout_global(Some(Duration::from_secs(60)));
    config.build().into()
}

fn lives(agent: &ureq::Agent, server: &Server) -> bool {
    let url = server.url.replace("http://127.0.0.1", "https://localhost");
    agent.get(format!("{url}/livez")).call().is_ok_and(|answer| answer.status() == 200)
}

#[test]
fn certificates_are_replaced_by_their_files() {
    let dir = scratch("rotation-tls");
    fs::create_dir_all(&dir).unwrap();
    let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    write_certificate(&certificate, &key);
    let environment =
        [("PINYON_TLS_CERT", certificate.to_str().unwrap()), ("PINYON_TLS_KEY", key.to_str().unwrap())];
    let (server, log) = start_logged(&dir, &["--vector-dimension", "8"], &environment);
    let old = client(&certificate, None);
    assert!(lives(&old, &server));
    fs::write(&certificate, "half a file").unwrap();
    eventually("the log says that the file is broken", || {
        fs::read_to_string(&log).unwrap().contains("cert.pem")
    });
    assert!(lives(&old, &server), "what was there stays");
    write_certificate(&certificate, &key);
    let new = client(&certificate, None);
    eventually("the new certificate is shown", || lives(&new, &server));
    assert!(!lives(&old, &server));
    drop(server);
    fs::remove_dir_all(&dir).unwrap();
}

/// An authority for clients, and a certificate of it.
fn make_client(ca: &Path) -> ClientCert {
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fs::write(ca, params.self_signed(&ca_key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, ca_key);
    let mut leaf = CertificateParams::new(["client".to_owned()]).unwrap();
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = leaf.signed_by(&key, &issuer).unwrap();
    let chain = [Certificate::from_pem(certificate.pem().as_bytes()).unwrap()];
    let key = PrivateKey::from_pem(key.serialize_pem().as_bytes()).unwrap();
    ClientCert::new_with_certs(&chain, key)
}

#[test]
fn only_clients_with_a_certificate_are_answered_where_one_is_asked_for() {
    let dir = scratch("rotation-mtls");
    fs::create_dir_all(&dir).unwrap();
    let (certificate, key, ca) = (dir.join("cert.pem"), dir.join("key.pem"), dir.join("clients.pem"));
    write_certificate(&certificate, &key);
    let first = make_client(&ca);
    let stranger = make_client(&dir.join("others.pem"));
    let environment = [
        ("PINYON_TLS_CERT", certificate.to_str().unwrap()),
        ("PINYON_TLS_KEY", key.to_str().unwrap()),
        ("PINYON_TLS_CLIENT_CA", ca.to_str().unwrap()),
    ];
    let (server, _) = start_logged(&dir, &["--vector-dimension", "8"], &environment);
    let is_let_in = |own: Option<&ClientCert>| lives(&client(&certificate, own.cloned()), &server);
    assert!(is_let_in(Some(&first)));
    assert!(!is_let_in(None) && !is_let_in(Some(&stranger)));
    assert_eq!(status(&server, "/livez", &[]), 400, "plain text is refused");
    let second = make_client(&ca);
    eventually("the new authority's clients are let in", || is_let_in(Some(&second)));
    assert!(!is_let_in(Some(&first)));
    drop(server);
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn plain_text_is_refused_where_tls_alone_is_spoken() {
    let dir = scratch("rotation-tls-only");
    let environment = [("PINYON_TLS_ONLY", "true")];
    let (server, _) = start_logged(&dir, &["--vector-dimension", "8", "--tls", "local"], &environment);
    let mut answer = server.agent().get(format!("{}/livez", server.url)).call().unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    assert!(answer.status() == 400 && text.contains("https"), "{text}");
    assert!(lives(&client(server.authority().unwrap(), None), &server));
    drop(server);
    fs::remove_dir_all(&dir).unwrap();
}
