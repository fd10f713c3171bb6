//! The settings of TLS.

use super::{ConfigError, Partial};
use crate::tls::TlsSettings;

/// What the layers ask for. Files need no word beside them; `off` switches off what a lower layer asked for.
pub(super) fn settings(merged: &Partial) -> Result<TlsSettings, ConfigError> {
    let word = merged.tls.as_deref();
    match (word, &merged.tls_cert, &merged.tls_key) {
        (Some("off"), _, _) | (None, None, None) => Ok(TlsSettings::Off),
        (Some("local"), None, None) => Ok(TlsSettings::Local),
        (Some("local"), _, _) => Err(ConfigError(
            "tls = local makes certificates, and tls_cert and tls_key name given ones: choose one of them"
                .into(),
        )),
        (Some(other), _, _) => Err(ConfigError(format!("setting tls: must be off or local, is {other:?}"))),
        (None, Some(certificate), Some(key)) => {
            Ok(TlsSettings::Files { certificate: certificate.clone(), key: key.clone() })
        }
        (None, Some(_), None) => {
            Err(ConfigError("setting tls_cert needs tls_key, the file with its key".into()))
        }
        (None, None, Some(_)) => {
            Err(ConfigError("setting tls_key needs tls_cert, the file with its certificate".into()))
        }
    }
}

/// For people.
pub(super) fn shown(settings: &TlsSettings) -> String {
    match settings {
        TlsSettings::Off => "off".into(),
        TlsSettings::Local => "local".into(),
        TlsSettings::Files { certificate, .. } => certificate.display().to_string(),
    }
}
