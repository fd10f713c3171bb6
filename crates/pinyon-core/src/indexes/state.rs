//! How all indexes together are.

use super::Indexes;
use crate::{EngineServices, Scrubbed};
use pinyon_shard::ResidentBytes;

impl Indexes {
    /// Whether the parts work that all indexes lean on; the embedder is that of the tenants' index.
    pub fn services(&self) -> EngineServices {
        let of_each = self.all().into_iter().map(|index| index.engine.services());
        of_each.fold(self.tenants().services(), |sum, one| EngineServices {
            shards: sum.shards && one.shards,
            routing: sum.routing && one.routing,
            embedder: sum.embedder,
        })
    }

    /// What reading files again has found in all of them.
    pub fn scrubbed(&self) -> Scrubbed {
        let of_each = self.all().into_iter().map(|index| index.engine.scrubbed());
        let together = of_each.reduce(|sum, one| Scrubbed {
            bytes: sum.bytes + one.bytes,
            mended: sum.mended + one.mended,
            quarantined: sum.quarantined + one.quarantined,
            looks: sum.looks.min(one.looks),
        });
        together.unwrap_or_default()
    }

    /// Bytes that all of them keep in memory.
    pub fn resident(&self) -> ResidentBytes {
        self.all().into_iter().map(|index| index.engine.resident()).sum()
    }

    /// Whether any shard of any index is served.
    pub fn answers_reads(&self) -> bool {
        self.all().iter().any(|index| index.engine.serves())
    }

    /// Whether every shard that is served, and every routing store, takes changes.
    pub fn takes_writes(&self) -> bool {
        self.settings.check_disk().is_ok() && self.all().iter().all(|index| index.engine.takes_writes())
    }
}
