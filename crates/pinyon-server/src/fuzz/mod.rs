//! What comes from outside as text, changed by somebody: bodies of every route, filters, settings. It is read as what it says, or
//! refused with the place that is wrong.

mod bodies;
mod filters;
mod json;
mod settings;
