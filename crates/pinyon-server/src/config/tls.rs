//! The settings of TLS.

use super::{error::ConfigError, partial::Partial};
use crate::tls::{TlsDemands, TlsSettings};

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

/// What is asked of connections.
pub(super) fn demands(merged: &Partial, settings: &TlsSettings) -> Result<TlsDemands, ConfigError> {
    let (only, client_ca) = (merged.tls_only.unwrap_or(false), merged.tls_client_ca.clone());
    let is_off = *settings == TlsSettings::Off;
    match (only, &client_ca) {
        (true, _) if is_off => Err(without_tls("tls_only")),
        (_, Some(_)) if is_off => Err(without_tls("tls_client_ca")),
        // A client's certificate would keep nobody out who may come without TLS.
        _ => Ok(TlsDemands { only: only || client_ca.is_some(), client_ca, dir: merged.tls_dir.clone() }),
    }
}

fn without_tls(setting: &str) -> ConfigError {
    ConfigError(format!("setting {setting} needs TLS: set tls to local, or tls_cert and tls_key"))
}
