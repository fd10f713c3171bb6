//! Tests of the lists that people set; the tables of hosts, origins and types are held against real ports in `tests/it`.

use super::*;
use crate::advertised_host::AdvertisedHost;
use axum::body::Body;
use std::net::IpAddr;

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

fn allowed(hosts: &[&str], origins: &[&str]) -> Allowed {
    Allowed::read(&texts(hosts), &texts(origins)).unwrap()
}

fn strangers(advertised: Option<&str>, is_keyless: bool, allowed: Allowed) -> Strangers {
    let advertised = advertised.map(|text| AdvertisedHost::read(text).unwrap());
    let listen = IpAddr::from([10, 0, 0, 7]);
    Strangers::new(Rules::new(Reached { listen, advertised, is_keyless, needs_tls: false }, allowed))
}

async fn ask(strangers: Strangers, head: &[(&str, &str)], method: Method) -> Response {
    let inner = tower::service_fn(|_: Request<Body>| std::future::ready(Ok(Response::new(Body::from("in")))));
    let mut request = Request::builder().method(method).uri("/query");
    for (name, value) in head {
        request = request.header(*name, *value);
    }
    Guarded::new(inner, Arc::new(strangers)).call(request.body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn hosts_are_the_servers_own_the_advertised_one_and_those_that_are_allowed() {
    for (host, status) in [
        ("10.0.0.7:5080", 200),
        ("vectors.example.com", 200),
        ("movies.vectors.example.com:5080", 200),
        ("db", 200),
        ("DB.:5080", 200),
        ("a.lan", 200),
        ("x.a.lan", 200),
        ("lan", 403),
        ("evil-lan", 403),
        ("a.db", 403),
        ("evil-vectors.example.com", 403),
        ("vectors.example.com.evil.com", 403),
        ("10.0.0.8", 403),
    ] {
        let strangers = strangers(Some("{index}.vectors.example.com"), true, allowed(&["db", "*.lan"], &[]));
        assert_eq!(ask(strangers, &[("host", host)], Method::POST).await.status(), status, "{host}");
    }
}

#[tokio::test]
async fn an_origin_that_is_nobodys_does_not_pass() {
    for (name, sender, status) in [
        ("origin", "null", 403),
        ("referer", "null", 403),
        ("origin", "http://evil.com", 403),
        ("origin", "http://10.0.0.7", 200),
    ] {
        let strangers = strangers(None, true, Allowed::default());
        let head = [("host", "10.0.0.7"), (name, sender)];
        assert_eq!(ask(strangers, &head, Method::POST).await.status(), status, "{name}: {sender}");
    }
}

#[tokio::test]
async fn pages_of_allowed_origins_ask_and_read_at_servers_with_and_without_keys() {
    for is_keyless in [true, false] {
        let strangers = || strangers(None, is_keyless, allowed(&[], &["https://app.example.com:443/"]));
        for (origin, is_allowed) in [
            ("https://app.example.com", true),
            ("HTTPS://App.Example.com:443", true),
            ("http://app.example.com", false),
            ("https://app.example.com.evil.com", false),
            ("https://app.example.com:8443", false),
            ("null", false),
        ] {
            let head = [("host", "localhost"), ("origin", origin), ("sec-fetch-site", "cross-site")];
            let preflight = [&head[..], &[("access-control-request-headers", "api-key")]].concat();
            let asked = ask(strangers(), &preflight, Method::OPTIONS).await;
            assert_eq!(asked.status(), if is_allowed { 204 } else { 403 }, "{origin} {is_keyless}");
            let shared = asked.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(shared.is_some_and(|shared| shared == origin), is_allowed, "{origin}");
            let names = asked.headers().get(header::ACCESS_CONTROL_ALLOW_HEADERS);
            assert_eq!(names.is_some_and(|names| names == "api-key"), is_allowed, "{origin}");
            let answer = ask(strangers(), &head, Method::POST).await;
            // With keys the request goes on, for the key to decide; without leave no page reads the answer.
            assert_eq!(answer.status(), if is_allowed || !is_keyless { 200 } else { 403 }, "{origin}");
            let shared = answer.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(shared.is_some_and(|shared| shared == origin), is_allowed, "{origin}");
            assert_eq!(answer.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert_eq!(answer.headers()["cross-origin-resource-policy"], "same-origin");
        }
    }
}

#[tokio::test]
async fn lists_are_replaced_while_the_server_runs_and_refusals_are_counted() {
    let strangers = Arc::new(strangers(None, true, Allowed::default()));
    let request = || Request::builder().uri("/").header("host", "db").body(()).unwrap();
    assert!(matches!(strangers.judge(&request(), Came::default()), Verdict::Answer(_)));
    strangers.allow(allowed(&["db"], &[]));
    assert!(matches!(strangers.judge(&request(), Came::default()), Verdict::Pass));
    let counts: Vec<_> = strangers.refused().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counts, [("host", 1)]);
}

#[tokio::test]
async fn a_source_that_tries_many_keys_waits_and_others_do_not() {
    let strangers = Arc::new(strangers(None, false, Allowed::default()));
    let inner = tower::service_fn(|request: Request<Body>| {
        std::future::ready(Ok(crate::auth::mark_refused(request.headers(), Response::new(Body::empty()))))
    });
    let router = Guarded::new(inner, Arc::clone(&strangers));
    let ask = async |from: [u8; 4], key: Option<usize>| {
        let mut request = Request::builder().uri("/");
        if let Some(key) = key {
            request = request.header("api-key", format!("wrong-key-{key}"));
        }
        let answer = router.of_peer(Some(IpAddr::from(from))).call(request.body(Body::empty()).unwrap());
        answer.await.unwrap()
    };
    for key in 0..11 {
        assert_eq!(ask([192, 0, 2, 1], Some(key)).await.status(), 200, "the router answers");
    }
    let held_up = ask([192, 0, 2, 1], Some(0)).await;
    assert_eq!(
        (held_up.status(), &held_up.headers()[header::RETRY_AFTER]),
        (429.try_into().unwrap(), &"1".parse::<HeaderValue>().unwrap())
    );
    assert_eq!(ask([192, 0, 2, 1], None).await.status(), 200, "nothing is tried without a key");
    assert_eq!(ask([192, 0, 2, 2], Some(0)).await.status(), 200);
    assert_eq!(strangers.guesses().counts(), [("wrong", 12), ("missing", 1)]);
    assert!(strangers.refused().any(|counted| counted == ("guesses", 1)));
}

#[tokio::test]
async fn plain_text_is_refused_where_tls_is_needed() {
    let reached = Reached {
        listen: IpAddr::from([127, 0, 0, 1]),
        advertised: None,
        is_keyless: false,
        needs_tls: true,
    };
    let inner = tower::service_fn(|_: Request<Body>| std::future::ready(Ok(Response::new(Body::empty()))));
    let router = Guarded::new(inner, Arc::new(Strangers::new(Rules::new(reached, Allowed::default()))));
    let request = || Request::builder().uri("/").body(Body::empty()).unwrap();
    assert_eq!(router.of_peer(None).call(request()).await.unwrap().status(), 400);
    assert_eq!(router.of_peer(None).over_tls().call(request()).await.unwrap().status(), 200);
}

#[test]
fn every_refusal_has_a_reason_that_is_counted() {
    let text = String::new;
    let all = [
        Refusal::NoHost,
        Refusal::UnknownHost(text()),
        Refusal::CrossSite,
        Refusal::ForeignOrigin(text()),
        Refusal::ContentType(text()),
        Refusal::Preflight,
        Refusal::PlainText,
        Refusal::Guesses(std::time::Duration::ZERO),
    ];
    assert!(all.iter().all(|refusal| REASONS.contains(&refusal.reason())));
}

#[test]
fn lists_name_the_item_that_is_wrong() {
    for host in ["", "*", "*.", "http://db", "db:5080", "a b", "db/"] {
        let problem = Allowed::read(&texts(&[host]), &[]).unwrap_err();
        assert!(problem.contains("allowed_hosts") && problem.contains(&format!("{host:?}")), "{problem}");
    }
    for origin in
        ["", "*", "null", "app.example.com", "https://", "https://app.example.com/page", "https://u@a.b"]
    {
        let problem = Allowed::read(&[], &texts(&[origin])).unwrap_err();
        assert!(problem.contains("allowed_origins") && problem.contains(&format!("{origin:?}")), "{problem}");
    }
}
