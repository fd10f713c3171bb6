//! `catalog.json`: the routing table as text, for people and for moving to another store. Nothing reads it back.

use super::view::{Assignment, Pin};
use pinyon_types::{Epoch, TenantId};

/// Tenants in one piece of the export: the whole of a large table is never in memory as text.
const EXPORT_TENANTS_PER_PIECE: usize = 4_096;

/// `catalog.json`, piece by piece: one line per tenant, so that people and line tools can read it.
pub(super) fn export_pieces(all: Vec<(TenantId, Assignment)>, epoch: Epoch) -> impl Iterator<Item = Vec<u8>> {
    let count = all.len();
    let pieces = (0..count).step_by(EXPORT_TENANTS_PER_PIECE).map(move |from| {
        let piece = &all[from..(from + EXPORT_TENANTS_PER_PIECE).min(count)];
        let lines = piece.iter().zip(from + 1..).map(|(entry, number)| export_line(entry, number < count));
        lines.collect::<String>().into_bytes()
    });
    std::iter::once(export_head(epoch)).chain(pieces).chain([b"]}\n".to_vec()])
}

/// What an export of an epoch begins with.
pub(super) fn export_head(epoch: Epoch) -> Vec<u8> {
    format!("{{\"epoch\": {epoch}, \"tenants\": [\n").into_bytes()
}

fn export_line((tenant, one): &(TenantId, Assignment), has_next: bool) -> String {
    // Control characters are not allowed in names, so two escapes are all that JSON needs.
    let name = tenant.as_str().replace('\\', "\\\\").replace('"', "\\\"");
    let pinned = one.pin == Pin::Explicit;
    let comma = if has_next { "," } else { "" };
    format!(
        "{{\"tenant\": \"{name}\", \"namespace\": {}, \"shard\": {}, \"epoch\": {}, \"pinned\": {pinned}}}{comma}\n",
        one.namespace, one.shard, one.epoch
    )
}
