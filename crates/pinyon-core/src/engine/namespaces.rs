//! Tenants as namespaces of an index: which there are, made explicitly or by their first record, and gone when dropped.

use super::{Engine, Inner};
use crate::{EngineError, ErrorCode};
use pinyon_shard::Change;
use pinyon_types::{Invalid, ShardId, TenantId};

/// Most fields that a namespace may name for filters (Pinecone's limit).
const FIELDS_MAX: usize = 50;

/// One namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceReport {
    /// Its name.
    pub name: TenantId,
    /// Its records.
    pub records: u64,
    /// Bytes of its vectors.
    pub vector_bytes: u64,
    /// The metadata fields that were named for filters, if it was made explicitly; none means all.
    pub fields: Vec<String>,
}

impl Engine {
    /// The namespaces that have records or were made explicitly, with this prefix, ordered by name. Those of a shard that is kept out
    /// are as the routing table knows them, without records.
    pub fn namespaces(&self, prefix: &str) -> Vec<NamespaceReport> {
        let inner = &self.inner;
        let routes = inner.routing.routes();
        let mut found: std::collections::BTreeMap<TenantId, u64> =
            routes.all_declared().map(|(name, _)| (name.clone(), 0)).collect();
        found.extend(inner.of_quarantined().into_iter().map(|name| (name, 0)));
        found.extend(inner.owned_copies().map(|(_, copy)| (copy.namespace.name().clone(), copy.records)));
        let found = found.into_iter().filter(|(name, _)| name.as_str().starts_with(prefix));
        found.map(|(name, records)| inner.namespace_report(name, records)).collect()
    }

    /// One namespace, if it has records or was made explicitly.
    ///
    /// # Errors
    /// The name is not one a namespace can have.
    pub fn namespace(&self, name: &str) -> Result<Option<NamespaceReport>, EngineError> {
        let tenant = self.tenant(name)?;
        let (records, name) = (tenant.count(None)?, tenant.name);
        let exists = records > 0 || self.inner.routing.routes().declared(name.as_str()).is_some();
        Ok(exists.then(|| self.inner.namespace_report(name, records)))
    }

    /// Makes a namespace that is there without records; durable when this returns.
    ///
    /// # Errors
    /// A name that exists or cannot be one, too many fields, the catalog's.
    pub fn declare_namespace(&self, name: &str, fields: Vec<String>) -> Result<NamespaceReport, EngineError> {
        if self.namespace(name)?.is_some() {
            let message = format!("Namespace '{name}' already exists");
            return Err(EngineError::new(ErrorCode::AlreadyExists, message));
        }
        if fields.len() > FIELDS_MAX {
            let problem = format!("must have at most {FIELDS_MAX} fields, has {}", fields.len());
            return Err(Invalid::new("schema", problem).into());
        }
        let name = TenantId::new(name)?;
        self.inner.home_or_place(&name)?;
        self.inner.routing.declare(&name, Some(fields), self.inner.clock.now_us())?;
        Ok(self.inner.namespace_report(name, 0))
    }

    /// Deletes a namespace with its records; durable when this returns. The tenant's place is kept: who writes to the
    /// name again comes back to the same shard.
    ///
    /// # Errors
    /// No such namespace, or the shard's or catalog's.
    pub fn drop_namespace(&self, name: &str) -> Result<(), EngineError> {
        let Some(report) = self.namespace(name)? else {
            return Err(EngineError::new(ErrorCode::NotFound, format!("Namespace '{name}' not found")));
        };
        // Records first: a crash in between leaves an empty namespace, not records without one.
        self.write(name, Change::DeleteAll)?;
        if self.inner.routing.routes().declared(report.name.as_str()).is_some() {
            self.inner.routing.declare(&report.name, None, self.inner.clock.now_us())?;
        }
        Ok(())
    }
}

impl Inner {
    /// The tenants whose shard is kept out.
    fn of_quarantined(&self) -> Vec<TenantId> {
        let kept_out: Vec<ShardId> = self.fleet.quarantined().map(|(shard, _)| shard).collect();
        if kept_out.is_empty() {
            return Vec::new();
        }
        let tenants = self.routing.all().into_iter().filter(|(_, route)| kept_out.contains(&route.shard));
        tenants.map(|(tenant, _)| tenant).collect()
    }

    fn namespace_report(&self, name: TenantId, records: u64) -> NamespaceReport {
        let fields = self.routing.routes().declared(name.as_str()).unwrap_or_default().to_vec();
        let vector_bytes = records * u64::from(self.settings.dim.get()) * 4;
        NamespaceReport { name, records, vector_bytes, fields }
    }
}
