//! Leaving nothing of a tenant behind: neither in the table nor in the files of its store.

use super::{
    codec::{self, CopyToDrop},
    draft::NotCommitted,
    layout::{DECLARED, REMOVED_KEY},
    routing_table::{RoutingTable, lock},
    store::{CatalogError, Change},
    view::{Assignment, View},
    writer::Writer,
};
use pinyon_types::TenantId;
use std::{convert::Infallible, sync::Arc};

impl RoutingTable {
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
        let value = value.map_err(|problem| writer.damaged(problem))?;
        let mut changes = vec![Change { key: [DECLARED, name.as_str().as_bytes()].concat(), value }];
        let removed_since = writer.stored.removed_since.or_else(|| fields.is_none().then_some(now_us));
        let removed = removed_since.map(|since| since.to_le_bytes().to_vec());
        changes.extend(removed.map(|since| Change { key: REMOVED_KEY.to_vec(), value: Some(since) }));
        let epoch = writer.store.epoch().next();
        writer.store.commit(&changes, epoch)?;
        writer.stored.removed_since = removed_since;
        self.publish(|view| {
            view.epoch = epoch;
            match fields {
                Some(fields) => view.declared.set(name.clone(), fields),
                None => view.declared.remove(name.as_str()),
            }
        });
        Ok(())
    }

    /// Forgets where a tenant lives, durably, if that is still where it was when somebody looked; says whether it did. With it go the jobs
    /// about it that have ended. Its name stays in the store's files until [`Self::rewrite`].
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn forget(&self, tenant: &TenantId, seen: Assignment) -> Result<bool, CatalogError> {
        let _one_at_a_time = lock(&self.upkeep);
        let mut writer = lock(&self.writer);
        if self.lookup(tenant.as_str()) != Some(seen) {
            return Ok(false);
        }
        let mut view = View::clone(&self.view.load());
        view.tenants.remove(tenant.as_str());
        let jobs = Arc::make_mut(&mut view.jobs);
        let ended = jobs.ended_about(tenant.as_str());
        let others = ended.into_iter().filter_map(|id| jobs.remove(id)).collect();
        view.epoch = writer.store.epoch().next();
        // A delta would name it again.
        writer.fold_all(&view, others)?;
        self.view.store(Arc::new(view));
        Ok(true)
    }

    /// Strikes the copies of a tenant that no move will drop, once they are gone: those that a repair found left over.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn strike_copies(&self, tenant: &TenantId) -> Result<(), CatalogError> {
        let struck = self.change(|draft| {
            let of_tenant = |(_, _, copy): &(_, _, &CopyToDrop)| copy.tenant == tenant.as_str();
            let left: Vec<_> = draft.view().copies_to_drop().iter().filter(of_tenant).collect();
            let left: Vec<_> = left.into_iter().map(|(shard, number, _)| (shard, number)).collect();
            left.into_iter().for_each(|(shard, number)| draft.remove_copy(shard, number));
            Ok::<_, Infallible>(())
        });
        struck.map_err(|error| match error {
            NotCommitted::Refused(never) => match never {},
            NotCommitted::Unavailable(error) | NotCommitted::Unknown(error) => error,
        })
    }

    /// Writes the store and `catalog.json` anew, without anything of what was ever removed.
    ///
    /// # Errors
    /// The store's; it goes on as it was, or takes no more changes.
    pub(crate) fn rewrite(&self) -> Result<(), CatalogError> {
        let _one_at_a_time = lock(&self.upkeep);
        rewrite(&mut lock(&self.writer))?;
        self.export()
    }

    /// The same, if something was removed at `before_us` or earlier and nobody is at work in it.
    ///
    /// # Errors
    /// The store's; it goes on as it was.
    pub(crate) fn rewrite_removed(&self, before_us: u64) -> Result<(), CatalogError> {
        let Ok(_one_at_a_time) = self.upkeep.try_lock() else { return Ok(()) };
        let Ok(mut writer) = self.writer.try_lock() else { return Ok(()) };
        if writer.stored.removed_since.is_none_or(|since| since > before_us) {
            return Ok(());
        }
        rewrite(&mut writer)?;
        drop(writer);
        self.export()
    }
}

fn rewrite(writer: &mut Writer) -> Result<(), CatalogError> {
    // What fails now is tried again with the next removal or start, not many times a second.
    let removed_since = writer.stored.removed_since.take();
    writer.store.rewrite()?;
    if removed_since.is_some() {
        let epoch = writer.store.epoch();
        writer.store.commit(&[Change { key: REMOVED_KEY.to_vec(), value: None }], epoch)?;
    }
    Ok(())
}
