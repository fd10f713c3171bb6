//! Namespaces that somebody made explicitly: they are there although they have no records, and may say which metadata
//! fields are meant for filters. One small value each.

use super::{
    checked::Image,
    codec,
    layout::REMOVED_KEY,
    routing_table::{RoutingTable, lock},
    store::{CatalogError, Change},
};
use pinyon_types::TenantId;
use std::{collections::BTreeMap, sync::Arc};

const PREFIX: &[u8] = b"namespace/";

/// By name: the metadata fields that filters may ask about; none means all.
pub(super) type Declared = BTreeMap<TenantId, Vec<String>>;

pub(super) fn read(image: &Image) -> Result<Declared, String> {
    let entries = image.entries.range(PREFIX.to_vec()..);
    let entries = entries.map_while(|(key, value)| Some((key.strip_prefix(PREFIX)?, value)));
    let entry = |(name, value): (&[u8], &Vec<u8>)| {
        let name = std::str::from_utf8(name).map_err(|error| error.to_string())?;
        let name = TenantId::new(name).map_err(|error| error.to_string())?;
        Ok((name, codec::decode_fields(value)?))
    };
    entries.map(entry).collect()
}

impl RoutingTable {
    /// The namespaces that were made explicitly. Takes no lock.
    pub(crate) fn declared(&self) -> Arc<Declared> {
        self.declared.load_full()
    }

    /// Remembers or forgets that a namespace was made explicitly; durable when this returns. What is forgotten stays in the store's files
    /// until [`Self::rewrite`] or, some time after `now_us`, [`Self::rewrite_removed`].
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn declare(
        &self,
        name: &TenantId,
        fields: Option<Vec<String>>,
        now_us: u64,
    ) -> Result<(), CatalogError> {
        let mut writer = lock(&self.writer);
        let value = fields.as_ref().map(codec::encode_fields).transpose();
        let value = value.map_err(|problem| writer.failed(problem))?;
        let mut changes = vec![Change { key: [PREFIX, name.as_str().as_bytes()].concat(), value }];
        let removed_since = writer.removed_since.or_else(|| fields.is_none().then_some(now_us));
        let removed = removed_since.map(|since| since.to_le_bytes().to_vec());
        changes.extend(removed.map(|since| Change { key: REMOVED_KEY.to_vec(), value: Some(since) }));
        let epoch = writer.store.epoch().next();
        writer.store.commit(&changes, epoch)?;
        writer.removed_since = removed_since;
        self.publish(|view| view.epoch = epoch);
        let mut declared = Declared::clone(&self.declared.load());
        match fields {
            Some(fields) => drop(declared.insert(name.clone(), fields)),
            None => drop(declared.remove(name.as_str())),
        }
        self.declared.store(Arc::new(declared));
        Ok(())
    }
}
