//! The control port's other face: who asks for the host `<index>.localhost` speaks to that index's data plane, as on its
//! own port. For places where one port is all there is.

use super::{App, index_router::index_router};
use axum::{Router, extract::Request, response::Response};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tower::Service;

/// Chooses between the control plane and the indexes' data planes. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct ByHost {
    app: App,
    control: Router,
    /// Routers by index, made when first asked for: building one costs more than most requests.
    made: Arc<Mutex<BTreeMap<String, Router>>>,
}

impl ByHost {
    pub(super) fn new(app: App, control: Router) -> Self {
        Self { app, control, made: Arc::default() }
    }

    /// The index's router if the request names an index that there is.
    fn index_router(&self, request: &Request) -> Option<Router> {
        let name = self.app.hosts().index_named(request)?;
        let index = self.app.indexes().get(&name)?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(router) = made.get(&name) {
            return Some(router.clone());
        }
        // As many as there are indexes (LIM-1).
        made.retain(|name, _| self.app.indexes().get(name).is_some());
        let router = index_router(&self.app, &index.description.name);
        made.insert(name, router.clone());
        Some(router)
    }
}

impl Service<Request> for ByHost {
    type Response = Response;
    type Error = Infallible;
    type Future = <Router as Service<Request>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Routers are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match self.index_router(&request) {
            Some(mut router) => router.call(request),
            None => self.control.call(request),
        }
    }
}
