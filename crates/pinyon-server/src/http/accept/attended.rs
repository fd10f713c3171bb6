//! Requests of a connection, counted from their head to the last piece of their answer: what the connection's class, its
//! idle time and its protection depend on. A request costs a few loads and stores of its own thread; keys are looked at
//! until the connection is admitted, never after.

use super::held::{Class, Held};
use crate::auth::Access;
use axum::{body::Body, http::HeaderValue, response::Response};
use hyper::{
    HeaderMap, Request, Version,
    body::{Bytes, Frame, Incoming, SizeHint},
    header::CONNECTION,
};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower::{Service, ServiceExt, util::Oneshot};

/// A service whose requests are counted.
#[derive(Debug, Clone)]
pub(super) struct Attended<S> {
    pub(super) service: S,
    pub(super) held: Arc<Held>,
    pub(super) access: Arc<Access>,
}

impl<S> Attended<S> {
    /// Whether a request is let in, before it runs. Where no key is asked for, everybody's is.
    fn admits(&self, headers: &HeaderMap) -> bool {
        if self.held.class() == Class::Admitted || self.access.is_open() {
            return true;
        }
        let is_admitted = self.access.admits(headers);
        if is_admitted {
            self.held.raise(Class::Admitted);
        }
        is_admitted
    }
}

impl<S> hyper::service::Service<Request<Incoming>> for Attended<S>
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone,
    S::Future: Unpin,
{
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Attending<S>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.held.begin_request(self.admits(request.headers()));
        let running = Running { held: Arc::clone(&self.held), has_answer: false };
        let is_http1 = request.version() < Version::HTTP_2;
        let is_open = self.access.is_open();
        Attending { answer: self.service.clone().oneshot(request), running, is_http1, is_open }
    }
}

/// A handler that runs. It may be dropped before it has an answer, with its stream.
#[derive(Debug)]
struct Running {
    held: Arc<Held>,
    has_answer: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_answer {
            self.held.drop_request();
        }
    }
}

/// A request that is being answered.
pub(super) struct Attending<S: Service<Request<Incoming>>> {
    answer: Oneshot<S, Request<Incoming>>,
    running: Running,
    is_http1: bool,
    is_open: bool,
}

impl<S> Future for Attending<S>
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible>,
    S::Future: Unpin,
    Oneshot<S, Request<Incoming>>: Unpin,
{
    type Output = Result<Response<Answer>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut response = match ready!(Pin::new(&mut this.answer).poll(context)) {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let held = Arc::clone(&this.running.held);
        if held.class() != Class::Admitted {
            held.raise(if this.is_open && has_succeeded(&response) {
                Class::Admitted
            } else {
                Class::Refused
            });
        }
        if this.is_http1 && held.is_closing() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        held.begin_answer();
        this.running.has_answer = true;
        Poll::Ready(Ok(response.map(|body| Answer { body, held })))
    }
}

/// gRPC says in a header what HTTP says by the status.
fn has_succeeded(response: &Response) -> bool {
    let is_good = |status: &HeaderValue| status.as_bytes() == b"0";
    response.status().is_success() && response.headers().get("grpc-status").is_none_or(is_good)
}

/// An answer's body; counts as running until it was taken whole or given up.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    held: Arc<Held>,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.held.moved();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.held.end_answer();
    }
}
