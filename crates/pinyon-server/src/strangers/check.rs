//! Whether a request may have been sent by somebody who has no business here: a web page of another origin, or one whose name
//! was rebound to this machine. Decided from the head alone, before anything of the body is read.
//!
//! Browsers say where a request comes from in `Sec-Fetch-Site` (Fetch Metadata), all but old ones; in `Origin` (RFC 6454);
//! or, where both are missing, in `Referer`. A program sends none of them.

use super::{
    authority::{Authority, scheme_and_authority},
    rules::Rules,
};
use axum::http::{HeaderMap, HeaderName, Method, Request, header};
use pinyon_planted::is_planted;
use std::time::Duration;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Type of a form's body, and of everything that `curl -d` sends.
const FORM: &str = "application/x-www-form-urlencoded";

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It names no host, or more than one.
    NoHost,
    /// It names a host that is not this server's.
    UnknownHost(String),
    /// A page of another site sent it.
    CrossSite,
    /// A page of another origin sent it.
    ForeignOrigin(String),
    /// Its body has a type that pages can send without asking.
    ContentType(String),
    /// It asks for a page's permission that nobody gave.
    Preflight,
    /// It came in plain text where TLS alone is spoken.
    PlainText,
    /// Its source tried too many keys and has to wait for so long.
    Guesses(Duration),
}

/// Checks a request at a server without keys.
///
/// # Errors
/// The first rule that it breaks.
pub(super) fn check<B>(rules: &Rules, request: &Request<B>) -> Result<(), Refusal> {
    let asked = check_host(rules, request)?;
    check_sender(rules, request, asked)?;
    let has_body = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if has_body { check_type(request.headers()) } else { Ok(()) }
}

/// The host that was asked. HTTP/2 names it beside the path, HTTP/1 in a header; where both are there, both count.
fn check_host<'a, B>(rules: &Rules, request: &'a Request<B>) -> Result<Authority<'a>, Refusal> {
    let mut asked = None;
    let in_headers = request.headers().get_all(header::HOST);
    if in_headers.iter().nth(1).is_some() {
        return Err(Refusal::NoHost);
    }
    let in_uri = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    for text in in_headers.iter().map(|value| value.as_bytes()).chain(in_uri) {
        let text = std::str::from_utf8(text).map_err(|_| Refusal::NoHost)?;
        if text.is_empty() {
            return Err(Refusal::NoHost);
        }
        let authority = Authority::read(text).filter(|authority| rules.knows(authority.host));
        asked = Some(authority.ok_or_else(|| Refusal::UnknownHost(text.to_owned()))?);
    }
    asked.ok_or(Refusal::NoHost)
}

fn check_sender<B>(rules: &Rules, request: &Request<B>, asked: Authority<'_>) -> Result<(), Refusal> {
    let headers = request.headers();
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("null"));
    if headers.contains_key(SEC_FETCH_SITE) {
        let is_near =
            headers.get_all(SEC_FETCH_SITE).iter().all(|site| site == "same-origin" || site == "none");
        let is_allowed =
            is_near || origin.is_some_and(|origin| rules.allows_origin(origin)) || is_link(request);
        return if is_allowed { Ok(()) } else { Err(Refusal::CrossSite) };
    }
    if headers.get_all(header::ORIGIN).iter().nth(1).is_some() {
        return Err(Refusal::ForeignOrigin("more than one".into()));
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let referer = headers.get(header::REFERER).map(|referer| referer.to_str().unwrap_or("null"));
    match origin.or_else(|| referer.filter(|_| changes)) {
        None => Ok(()),
        Some("null") if is_planted(26) => Ok(()),
        Some(sender) if is_own(sender, asked) || rules.allows_origin(origin_of(sender)) => Ok(()),
        Some(sender) => Err(Refusal::ForeignOrigin(origin_of(sender).to_owned())),
    }
}

/// Whether a page that sent this is of the very place that it asks.
fn is_own(sender: &str, asked: Authority<'_>) -> bool {
    scheme_and_authority(sender).is_some_and(|(scheme, authority)| authority.is_same_place(asked, scheme))
}

/// A URL's origin: what stands before its path.
fn origin_of(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let length = url.get(start..).and_then(|rest| rest.find(['/', '?', '#']));
    length.and_then(|length| url.get(..start + length)).unwrap_or(url)
}

/// Whether somebody followed a link to a page that is made for people.
fn is_link<B>(request: &Request<B>) -> bool {
    let navigates = request.headers().get(SEC_FETCH_MODE).is_some_and(|mode| mode == "navigate");
    navigates && request.method() == Method::GET && matches!(request.uri().path(), "/" | "/docs")
}

/// Pages may send forms, text and nothing else without asking first; programs send forms by mistake, like `curl -d`.
fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    for value in headers.get_all(header::CONTENT_TYPE) {
        let text = value.to_str().unwrap_or("unreadable");
        let kind = text.split(';').next().unwrap_or_default().trim();
        let is_good = is_machine_made(kind) || (kind.eq_ignore_ascii_case(FORM) && is_of_program(headers));
        if !is_good {
            return Err(Refusal::ContentType(kind.to_owned()));
        }
    }
    Ok(())
}

fn is_machine_made(kind: &str) -> bool {
    let ends_with = |end: &str| {
        let start = kind.len().checked_sub(end.len()).and_then(|at| kind.get(at..));
        start.is_some_and(|found| found.eq_ignore_ascii_case(end))
    };
    let starts_with =
        |start: &str| kind.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start));
    kind.is_empty()
        || kind.eq_ignore_ascii_case("application/json")
        || kind.eq_ignore_ascii_case("application/x-ndjson")
        || (starts_with("application/") && ends_with("+json"))
        || starts_with("application/grpc")
}

/// Whether nothing says that a browser sent it.
fn is_of_program(headers: &HeaderMap) -> bool {
    let told = [header::ORIGIN, SEC_FETCH_SITE, header::REFERER, header::COOKIE];
    !told.iter().any(|name| headers.contains_key(name))
}
