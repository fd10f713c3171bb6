//! Words of refusals that several readers say.

/// What stands in a message where derived code would name a struct of ours.
pub const EXPECTED: &str = "a JSON object";
