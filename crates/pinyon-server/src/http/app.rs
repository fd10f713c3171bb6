//! What all handlers share: the indexes, the keys, the limits, and the way into the engine.

use super::{Door, Gate, Limits, Listeners, gate::Ticket};
use crate::{
    ApiError,
    pinecone::{Hosts, StatsFilter},
};
use axum::http::HeaderMap;
use pinyon_core::{
    Change, Engine, EngineError, ErrorCode, Index, Indexes, Receipt, Tenant, WriteAttempt, WriteHold, reading,
};
use std::{sync::Arc, time::Duration};
use tokio::{runtime::Handle, sync::Semaphore};

/// Requests that may be in the engine at once; others that the gate has let in wait for them (LIM-1).
const IN_FLIGHT_MAX: usize = 64;

/// Bytes from which on reading or writing them would keep the other connections of the thread waiting for longer than
/// handing them over takes.
const LARGE_BYTES: usize = 64 << 10;

/// How often it is looked whether a tenant has its new route.
const ROUTE_LOOK: Duration = Duration::from_millis(5);
/// Looks before a write is tried anyhow: it says then what is wrong.
const ROUTE_LOOKS_MAX: u32 = 2_000;

/// What handlers share. Cheap to clone: every request does so more than once.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    indexes: Arc<Indexes>,
    listeners: Arc<Listeners>,
    hosts: Hosts,
    door: Door,
    /// Where the accept loops and the threads that may block belong.
    runtime: Handle,
    stats_filter: StatsFilter,
    gate: Arc<Gate>,
    in_flight: Arc<Semaphore>,
}

impl App {
    /// To be made in the runtime that the server was started in.
    pub(crate) fn new(
        indexes: Arc<Indexes>,
        listeners: Arc<Listeners>,
        hosts: Hosts,
        stats_filter: StatsFilter,
        door: Door,
        gate: Arc<Gate>,
    ) -> Self {
        Self(Arc::new(Shared {
            indexes,
            listeners,
            hosts,
            door,
            runtime: Handle::current(),
            stats_filter,
            gate,
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
        }))
    }

    pub(crate) fn indexes(&self) -> &Indexes {
        &self.0.indexes
    }

    /// The same for work on another thread.
    pub(crate) fn shared_indexes(&self) -> Arc<Indexes> {
        Arc::clone(&self.0.indexes)
    }

    pub(crate) fn listeners(&self) -> &Listeners {
        &self.0.listeners
    }

    pub(crate) fn hosts(&self) -> &Hosts {
        &self.0.hosts
    }

    /// What every port asks of a connection.
    pub(crate) fn door(&self) -> &Door {
        &self.0.door
    }

    pub(crate) fn stats_filter(&self) -> StatsFilter {
        self.0.stats_filter
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.door.limits
    }

    /// Where requests wait for nothing: they are let in, or told to come back.
    pub(crate) fn gate(&self) -> &Arc<Gate> {
        &self.0.gate
    }

    /// Whether a request has one of the keys.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        self.0.door.access.admits(headers)
    }

    /// Runs work in the tenants' index on a thread that may block, if there is room.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let indexes = Arc::clone(&self.0.indexes);
        self.admit(move || work(&indexes.tenants())).await
    }

    /// Runs work in an index.
    pub(crate) async fn run_in<T: Send + 'static>(
        &self,
        index: Arc<Index>,
        work: impl FnOnce(&Engine) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        self.admit(move || work(&index.engine)).await
    }

    /// Makes a change of one tenant's records durable; `change` says which, in a place. Who has to wait because the tenant is between two
    /// routes holds no place meanwhile, of those that let in or of those in the engine.
    pub(crate) async fn write(
        &self,
        index: Arc<Index>,
        tenant: String,
        change: impl FnOnce(&Engine) -> Result<Change, EngineError> + Send + 'static,
    ) -> Result<Receipt, EngineError> {
        self.await_hold(&index, &tenant).await;
        let name = tenant.clone();
        let first = move |engine: &Engine| engine.try_write(&name, change(engine)?);
        let mut attempt = self.run_in(Arc::clone(&index), first).await?;
        loop {
            match attempt {
                WriteAttempt::Done(receipt) => return Ok(receipt),
                WriteAttempt::Waits(waiting) => {
                    outside(ROUTE_LOOK).await;
                    self.await_hold(&index, &tenant).await;
                    attempt = self.run_in(Arc::clone(&index), |engine| engine.try_again(waiting)).await?;
                }
            }
        }
    }

    /// Waits for what a tenant's writes are to wait for.
    async fn await_hold(&self, index: &Index, tenant: &str) {
        for _ in 0..ROUTE_LOOKS_MAX {
            match index.engine.write_hold(tenant) {
                None => return,
                Some(WriteHold::Slowed(pause)) => return outside(pause).await,
                Some(WriteHold::Closed) => outside(ROUTE_LOOK).await,
            }
        }
    }

    /// Runs a read of one tenant of an index. Where it touches little it runs here and now: waking another thread and being woken
    /// by it costs more than such a read does.
    pub(crate) async fn read_tenant<T: Send + 'static>(
        &self,
        index: &Index,
        name: &str,
        work: impl FnOnce(&Tenant) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let tenant = index.engine.tenant(name).map_err(|error| self.relative(error))?;
        if tenant.is_small() {
            return reading(|| work(&tenant)).map_err(|error| self.relative(error));
        }
        self.admit(move || work(&tenant)).await
    }

    /// Turns about so many bytes into something else: here and now if they are few, else on a thread that may block.
    pub(crate) async fn transform<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        if bytes < LARGE_BYTES {
            return Ok(work());
        }
        self.0.runtime.spawn_blocking(Ticket::held(work)).await.map_err(|error| panicked(&error).into())
    }

    /// Makes, changes or deletes indexes.
    pub(crate) async fn change_indexes<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Indexes, &Listeners) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let (indexes, listeners) = (Arc::clone(&self.0.indexes), Arc::clone(&self.0.listeners));
        self.admit(move || work(&indexes, &listeners)).await
    }

    async fn admit<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let closed = |_| EngineError::new(ErrorCode::Internal, "the server stops");
        let permit = Arc::clone(&self.0.in_flight).acquire_owned().await.map_err(closed)?;
        let work = Ticket::held(work);
        let done = self.0.runtime.spawn_blocking(move || {
            let result = reading(work);
            drop(permit);
            result
        });
        let done = done.await.unwrap_or_else(|error| Err(panicked(&error)));
        done.map_err(|error| self.relative(error))
    }

    /// Clients learn which file it is, not where this machine keeps it.
    fn relative(&self, error: EngineError) -> EngineError {
        error.relative_to(self.0.indexes.data_dir())
    }
}

/// Waits without a place at the gate: others that wait for nothing are to have it.
async fn outside(pause: Duration) {
    if let Some(ticket) = Ticket::current() {
        ticket.leave_place();
    }
    tokio::time::sleep(pause).await;
}

fn panicked(error: &tokio::task::JoinError) -> EngineError {
    tracing::error!(error = %error, "request panicked");
    EngineError::new(ErrorCode::Internal, "the request failed; the server's log has the reason")
}
