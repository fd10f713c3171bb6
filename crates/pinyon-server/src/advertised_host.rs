//! The host that clients are told, as the settings name it: what it stands for in certificates, in known hosts and in index models.

/// What clients are told in place of the name under which they reached the control port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AdvertisedHost {
    /// A name or an address.
    pub(crate) domain: String,
    /// Whether every index has a name of its own before the domain: `{index}.DOMAIN`, for a wildcard in the DNS.
    pub(crate) names_indexes: bool,
}

impl AdvertisedHost {
    /// Reads the setting.
    ///
    /// # Errors
    /// Nothing, or a placeholder that does not stand alone in front.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let (domain, names_indexes) = match text.strip_prefix("{index}.") {
            Some(domain) => (domain, true),
            None => (text, false),
        };
        if domain.is_empty() || domain.contains(['{', '}', '/']) {
            return Err(format!("must be a host name, or {{index}}. and one, is {text:?}"));
        }
        Ok(Self { domain: domain.to_owned(), names_indexes })
    }

    /// The host that clients are told for an index.
    pub(crate) fn of(&self, index: &str) -> String {
        if self.names_indexes { format!("{index}.{}", self.domain) } else { self.domain.clone() }
    }
}
