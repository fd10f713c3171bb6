//! Values of settings that no layer names.

/// Where the control port listens when nobody says otherwise.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:5080";
/// Where the data are when nobody says otherwise.
pub const DATA_DIR_DEFAULT: &str = "pinyon-data";
/// What is logged when nobody says otherwise: warnings, but none of h2, which warns of what any client can do.
pub const LOG_DEFAULT: &str = "warn,h2=error";
/// Where embeddings are asked for when nobody says otherwise.
pub(super) const OPENAI_BASE_URL_DEFAULT: &str = "https://api.openai.com/v1";
/// The model that is asked for there when nobody says otherwise.
pub(super) const OPENAI_MODEL_DEFAULT: &str = "text-embedding-3-small";

/// The index of the tenant API, where nobody named it otherwise.
pub const TENANTS_INDEX: &str = "tenants";

/// Milliseconds for a scan, usually: what a person does not notice yet.
pub(super) const SCAN_MS_MAX_DEFAULT: u64 = 20;
