//! What others are told of a server's settings.

use super::{Reloadable, Settings};

impl Settings {
    /// What the tenants' index is called.
    pub fn tenants_index(&self) -> &str {
        &self.pinecone.tenants_index
    }

    /// The part that a running server takes anew.
    pub fn reloadable(&self) -> Reloadable {
        Reloadable { keys: self.key_source.clone(), allowed: self.allowed.clone() }
    }
}
