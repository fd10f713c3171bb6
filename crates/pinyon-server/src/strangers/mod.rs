//! What stands before every router of every port: strangers are refused by their head alone. Whoever needs a key is no
//! stranger with one, and a page of another origin has none; so most of it decides only where nobody needs a key.
//!
//! Ordinary requests pass without an allocation and without a lock that waits.

mod answer;
mod authority;
mod check;
mod rules;
#[cfg(test)]
mod tests;

pub(crate) use rules::{Allowed, Reached, Rules};

use crate::auth::{Guesses, KeyRefused, given_key};
use arc_swap::ArcSwap;
use axum::{
    http::{HeaderValue, Method, Request, header},
    response::Response,
};
use check::Refusal;
use pinyon_core::SystemClock;
use std::{
    convert::Infallible,
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};
use tower::Service;

/// Words of [`Refusal::reason`].
const REASONS: [&str; 7] = ["host", "site", "origin", "content_type", "preflight", "plain_text", "guesses"];

/// The rules of today, and how many they refused.
#[derive(Debug)]
pub(crate) struct Strangers {
    rules: ArcSwap<Rules>,
    refused: [AtomicU64; REASONS.len()],
    guesses: Guesses,
}

/// How a connection came.
#[derive(Debug, Clone, Copy, Default)]
struct Came {
    from: Option<IpAddr>,
    is_over_tls: bool,
}

/// What becomes of a request.
enum Verdict {
    /// It goes on.
    Pass,
    /// It goes on, and pages of this origin may read the answer.
    PassFor(HeaderValue),
    /// It is answered here.
    Answer(Response),
}

impl Strangers {
    pub(crate) fn new(rules: Rules) -> Self {
        let guesses = Guesses::new(Arc::new(SystemClock::new()));
        Self { rules: ArcSwap::from_pointee(rules), refused: Default::default(), guesses }
    }

    /// Takes other lists from the next request on.
    pub(crate) fn allow(&self, allowed: Allowed) {
        let rules = self.rules.load().with(allowed);
        self.rules.store(Arc::new(rules));
    }

    /// Requests that were refused since the start, by reason.
    pub(crate) fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REASONS.into_iter().zip(self.refused.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Who tried which keys.
    pub(crate) const fn guesses(&self) -> &Guesses {
        &self.guesses
    }

    /// Holds a request against the rules: first what costs nothing to know.
    fn check<B>(&self, rules: &Rules, request: &Request<B>, came: Came) -> Result<(), Refusal> {
        if rules.needs_tls() && !came.is_over_tls {
            return Err(Refusal::PlainText);
        }
        if rules.is_keyless() {
            return check::check(rules, request);
        }
        match self.guesses.wait(came.from) {
            Some(wait) if given_key(request.headers()).is_some() => Err(Refusal::Guesses(wait)),
            _ => Ok(()),
        }
    }

    fn judge<B>(&self, request: &Request<B>, came: Came) -> Verdict {
        let rules = self.rules.load();
        let checked = self.check(&rules, request, came);
        if let Err(refusal) = checked {
            return self.refuse(&refusal, request);
        }
        let origin = request.headers().get(header::ORIGIN);
        let origin = origin.filter(|origin| origin.to_str().is_ok_and(|origin| rules.allows_origin(origin)));
        match (origin.cloned(), request.method() == Method::OPTIONS) {
            (None, false) => Verdict::Pass,
            (Some(origin), false) => Verdict::PassFor(origin),
            (Some(origin), true) => Verdict::Answer(answer::preflight(request, origin)),
            (None, true) => self.refuse(&Refusal::Preflight, request),
        }
    }

    fn refuse<B>(&self, refusal: &Refusal, request: &Request<B>) -> Verdict {
        let reason = refusal.reason();
        tracing::debug!(reason, "request of a stranger refused");
        for (_, count) in REASONS.iter().zip(&self.refused).filter(|(one, _)| **one == reason) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Verdict::Answer(refusal.answer(request))
    }
}

/// A router behind the rules. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Guarded<S> {
    inner: S,
    strangers: Arc<Strangers>,
    came: Came,
}

impl<S: Clone> Guarded<S> {
    pub(crate) fn new(inner: S, strangers: Arc<Strangers>) -> Self {
        Self { inner, strangers, came: Came::default() }
    }

    /// The same for a connection from this address.
    pub(crate) fn of_peer(&self, from: Option<IpAddr>) -> Self {
        let came = Came { from, ..self.came };
        Self { inner: self.inner.clone(), strangers: Arc::clone(&self.strangers), came }
    }

    /// The same for a connection over TLS.
    pub(crate) fn over_tls(self) -> Self {
        let came = Came { is_over_tls: true, ..self.came };
        Self { came, ..self }
    }
}

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let origin = match self.strangers.judge(&request, self.came) {
            Verdict::Pass => None,
            Verdict::PassFor(origin) => Some(origin),
            Verdict::Answer(response) => return Answering::Here(Some(response)),
        };
        let strangers = Arc::clone(&self.strangers);
        Answering::Inner { future: self.inner.call(request), origin, strangers, from: self.came.from }
    }
}

/// An answer on its way out.
#[derive(Debug)]
pub(crate) enum Answering<F> {
    /// It was made here; taken when it is asked for.
    Here(Option<Response>),
    /// The router makes it.
    Inner { future: F, origin: Option<HeaderValue>, strangers: Arc<Strangers>, from: Option<IpAddr> },
}

impl<F: Future<Output = Result<Response, Infallible>> + Unpin> Future for Answering<F> {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = match &mut *self {
            // Futures are not asked again once they are done; an empty answer would be the least wrong.
            Self::Here(response) => response.take().unwrap_or_default(),
            Self::Inner { future, origin, strangers, from } => {
                let mut response = match ready!(Pin::new(future).poll(context)) {
                    Ok(response) => response,
                    Err(never) => match never {},
                };
                if let Some(KeyRefused { key }) = response.extensions().get() {
                    strangers.guesses.count(*from, *key);
                }
                if let Some(origin) = origin.take() {
                    answer::share(response.headers_mut(), origin);
                }
                response
            }
        };
        answer::protect(response.headers_mut());
        Poll::Ready(Ok(response))
    }
}
