//! Reading what a store holds.

use super::{
    StoredSettings,
    checked::Image,
    codec, copies_to_drop,
    identity::{self, Identity},
    jobs,
    layout::{
        BASES, DECLARED, DELTAS, IDENTITY_KEY, REMOVED_KEY, SETTINGS_KEY, STATE_KEY, base_prefix,
        decode_state,
    },
    packing::unpack,
    view::View,
    writer::{Part, Stored},
};
use pinyon_types::{Epoch, NamespaceId, TenantId};
use std::sync::Arc;

/// No table comes to numbers beyond this one.
const NUMBER_MAX: u64 = 1_000_000_000_000_000_000;

/// All that a store holds.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) view: View,
    pub(super) stored: Stored,
    pub(super) settings: Option<StoredSettings>,
    pub(super) identity: Option<Identity>,
}

impl Contents {
    /// Reads them. An error says what is wrong with them.
    pub(super) fn read(image: &Image, epoch: Epoch) -> Result<Self, String> {
        let entry = |key: &[u8]| image.entries.get(key);
        let settings = entry(SETTINGS_KEY).map(|bytes| codec::decode(bytes)).transpose()?;
        let identity = entry(IDENTITY_KEY).map(|bytes| identity::decode(bytes)).transpose()?;
        let (generation, next_namespace) = match entry(STATE_KEY) {
            Some(bytes) => decode_state(bytes).and_then(believed)?,
            None => (0, 1),
        };
        let removed_since = entry(REMOVED_KEY).and_then(|bytes| removed_since(bytes));
        let mut view = View { epoch, ..View::default() };
        let prefix = base_prefix(generation);
        let base = read_parts(image, &prefix, &mut view)?;
        let deltas = read_parts(image, DELTAS, &mut view)?.into();
        read_declared(image, &mut view)?;
        read_jobs_and_copies(image, &mut view)?;
        // What a crash while folding left.
        let unnamed = with_prefix(image, BASES).filter(|(key, _)| !key.starts_with(&prefix));
        let unnamed = unnamed.map(|(key, value)| part(key, value)).collect();
        check_numbers(&view, next_namespace)?;
        let stored = Stored { generation, next_namespace, base, deltas, unnamed, removed_since };
        Ok(Self { view, stored, settings, identity })
    }
}

fn with_prefix<'a>(image: &'a Image, prefix: &'a [u8]) -> impl Iterator<Item = (&'a Vec<u8>, &'a Vec<u8>)> {
    image.entries.range(prefix.to_vec()..).take_while(move |(key, _)| key.starts_with(prefix))
}

fn part(key: &[u8], value: &[u8]) -> Part {
    Part { key: key.to_vec(), bytes: value.len() }
}

/// Takes the assignments of all parts with a prefix, in their order.
fn read_parts(image: &Image, prefix: &[u8], view: &mut View) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    for (key, value) in with_prefix(image, prefix) {
        let assignments =
            unpack(value).map_err(|problem| format!("{}: {problem}", String::from_utf8_lossy(key)))?;
        for (tenant, assignment) in assignments {
            match assignment {
                Some(assignment) => view.tenants.set(tenant, assignment),
                None => view.tenants.remove(tenant.as_str()),
            }
        }
        parts.push(part(key, value));
    }
    Ok(parts)
}

fn read_declared(image: &Image, view: &mut View) -> Result<(), String> {
    for (key, value) in with_prefix(image, DECLARED) {
        let name = std::str::from_utf8(&key[DECLARED.len()..]).map_err(|error| error.to_string())?;
        let name = TenantId::new(name).map_err(|error| error.to_string())?;
        view.declared.set(name, codec::decode_fields(value)?);
    }
    Ok(())
}

fn read_jobs_and_copies(image: &Image, view: &mut View) -> Result<(), String> {
    let of = |key: &[u8], problem: String| format!("{}: {problem}", String::from_utf8_lossy(key));
    for (key, value) in with_prefix(image, jobs::PREFIX) {
        Arc::make_mut(&mut view.jobs).read(key, value).map_err(|problem| of(key, problem))?;
    }
    for (key, value) in with_prefix(image, copies_to_drop::PREFIX) {
        Arc::make_mut(&mut view.copies_to_drop).read(key, value).map_err(|problem| of(key, problem))?;
    }
    Ok(())
}

/// Refuses numbers that no table comes to, so that counting on from any other cannot overflow.
fn believed((generation, next_namespace): (u64, u64)) -> Result<(u64, u64), String> {
    if generation.max(next_namespace) > NUMBER_MAX {
        return Err(format!("its state: base {generation}, next namespace {next_namespace}"));
    }
    Ok((generation, next_namespace))
}

fn removed_since(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// A namespace that was given and would be given again could be read by two tenants (TEN-1).
fn check_numbers(view: &View, next: u64) -> Result<(), String> {
    let is_given = |number: NamespaceId| number.get() >= next;
    if let Some((tenant, assignment)) = view.iter().find(|(_, one)| is_given(one.namespace)) {
        return Err(format!(
            "its state: the next namespace is {next}, and {tenant} has {} already",
            assignment.namespace
        ));
    }
    match view.copies_to_drop.iter().find(|(_, number, _)| is_given(*number)) {
        Some((_, number, copy)) => Err(format!(
            "its state: the next namespace is {next}, and a copy of {} has {number} already",
            copy.tenant
        )),
        None => Ok(()),
    }
}
