//! Makes a target hold what a source holds.

use super::{
    difference::{Difference, is_same},
    error::CopyError,
    pace::{Pace, Spent},
    side::{PAGE_ROWS, Side, patiently},
};
use pinyon_backend::{BackendError, Located, Noted};
use pinyon_types::RecordId;
use std::{collections::BTreeSet, sync::Arc};

/// Copies from one side to another. The only one who writes to the target, and one call after the other.
#[derive(Debug, Clone)]
pub(crate) struct Copier {
    pub(crate) source: Side,
    pub(crate) target: Side,
    pub(crate) pace: Arc<dyn Pace>,
}

/// Which ids are walked over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Within {
    /// From this one on; from the first one without it.
    pub(crate) first: Option<RecordId>,
    /// Up to this one; to the last one without it.
    pub(crate) last: Option<RecordId>,
}

/// What a walk or a round found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Walked {
    /// Records of the source that were looked at.
    pub(crate) rows: u64,
    /// Bytes of them, about.
    pub(crate) bytes: u64,
    /// Records that were put or removed.
    pub(crate) changed: u64,
}

impl std::ops::AddAssign for Walked {
    fn add_assign(&mut self, other: Self) {
        let Self { rows, bytes, changed } = other;
        self.rows += rows;
        self.bytes += bytes;
        self.changed += changed;
    }
}

impl Copier {
    /// Walks over both sides and makes the target hold what the source holds. What changes meanwhile is held or not.
    ///
    /// # Errors
    /// A side's; it was ended.
    pub(crate) fn walk(&self, within: &Within) -> Result<Walked, CopyError> {
        let mut walked = Walked::default();
        self.pages(within, |page, difference| {
            self.target.put(&difference.puts, &*self.pace)?;
            self.target.remove(&difference.gone, &*self.pace)?;
            let changed = (difference.puts.len() + difference.gone.len()) as u64;
            walked += Walked { rows: page.rows, bytes: page.bytes, changed };
            Ok(())
        })?;
        Ok(walked)
    }

    /// Walks over both sides and says which records differ. Changes nothing.
    ///
    /// # Errors
    /// As [`Self::walk`].
    pub(crate) fn differences(&self, within: &Within) -> Result<BTreeSet<RecordId>, CopyError> {
        let mut found = BTreeSet::new();
        self.pages(within, |_, difference| {
            found.extend(difference.ids().cloned());
            Ok(())
        })?;
        Ok(found)
    }

    /// Brings the target up to what was noted of the source, and looks whether it kept it.
    ///
    /// # Errors
    /// As [`Self::walk`]; [`CopyError::NotKept`].
    pub(crate) fn catch_up(&self, noted: &Noted) -> Result<Walked, CopyError> {
        let mut walked = Walked::default();
        if noted.is_cleared {
            // Whatever the source has now was written behind the clear, and is noted.
            self.target.clear(&*self.pace)?;
        }
        if let Some((first, last)) = noted.range.clone() {
            walked += self.walk(&Within { first: Some(first), last: Some(last) })?;
        }
        let ids: Vec<RecordId> = noted.ids.iter().cloned().collect();
        for ids in ids.chunks(PAGE_ROWS) {
            walked += self.copy(ids)?;
        }
        Ok(walked)
    }

    /// Whether both sides have as many records.
    ///
    /// # Errors
    /// As [`Self::walk`].
    pub(crate) fn has_all(&self) -> Result<bool, CopyError> {
        let source = self.source(Side::count)?;
        Ok(source == self.target(Side::count)?)
    }

    fn source<T>(&self, read: impl Fn(&Side) -> Result<T, BackendError>) -> Result<T, CopyError> {
        patiently(&*self.pace, || read(&self.source), CopyError::Source)
    }

    fn target<T>(&self, read: impl Fn(&Side) -> Result<T, BackendError>) -> Result<T, CopyError> {
        patiently(&*self.pace, || read(&self.target), CopyError::Target)
    }

    /// Copies these records, in their order, or removes them where the source has them no more.
    fn copy(&self, ids: &[RecordId]) -> Result<Walked, CopyError> {
        debug_assert!(ids.is_sorted(), "ids are in their order");
        let wanted = self.source(|side| side.find(ids))?;
        let there = self.target(|side| side.find(ids))?;
        let difference = Difference::between(&wanted, &there);
        self.target.put(&difference.puts, &*self.pace)?;
        self.target.remove(&difference.gone, &*self.pace)?;
        self.check_kept(&wanted, ids)?;
        let changed = (difference.puts.len() + difference.gone.len()) as u64;
        let spent = spent_on(&wanted);
        self.pace.spent(spent)?;
        Ok(Walked { rows: spent.rows, bytes: spent.bytes, changed })
    }

    fn check_kept(&self, wanted: &[Located], ids: &[RecordId]) -> Result<(), CopyError> {
        let kept = self.target(|side| side.find(ids))?;
        let other = wanted.iter().zip(&kept).find(|(a, b)| a.id_text() != b.id_text() || !is_same(a, b));
        match other
            .map(|(wanted, _)| wanted)
            .or_else(|| wanted.get(kept.len()))
            .or_else(|| kept.get(wanted.len()))
        {
            Some(one) => Err(CopyError::NotKept(one.id())),
            None => Ok(()),
        }
    }

    /// Calls `each` with what was spent on every page of the source and what the target's page lacks.
    fn pages(
        &self,
        within: &Within,
        mut each: impl FnMut(Spent, Difference) -> Result<(), CopyError>,
    ) -> Result<(), CopyError> {
        // Pages begin behind an id: the first one is looked up by itself.
        if let Some(first) = &within.first {
            let alone = std::slice::from_ref(first);
            let wanted = self.source(|side| side.find(alone))?;
            let there = self.target(|side| side.find(alone))?;
            each(spent_on(&wanted), Difference::between(&wanted, &there))?;
        }
        let mut after = within.first.clone();
        loop {
            let (mut wanted, has_more) = self.source(|side| side.page(after.as_ref()))?;
            let page_end = wanted.last().map(Located::id).filter(|_| has_more);
            let (end, is_last) = within.cut(page_end);
            wanted.retain(|one| is_up_to(one, end.as_ref()));
            let there = self.target_page(after.as_ref(), end.as_ref())?;
            each(spent_on(&wanted), Difference::between(&wanted, &there))?;
            self.pace.spent(spent_on(&wanted))?;
            if is_last {
                return Ok(());
            }
            after = end;
        }
    }

    /// All that the target has behind one id and up to another.
    fn target_page(
        &self,
        after: Option<&RecordId>,
        end: Option<&RecordId>,
    ) -> Result<Vec<Located>, CopyError> {
        let (mut found, mut has_more): (Vec<Located>, bool) = (Vec::new(), true);
        while has_more && found.last().is_none_or(|last| is_up_to(last, end)) {
            let last = found.last().map(Located::id);
            let (page, follows) = self.target(|side| side.page(last.as_ref().or(after)))?;
            found.extend(page);
            has_more = follows;
        }
        found.retain(|one| is_up_to(one, end));
        Ok(found)
    }
}

impl Within {
    /// Up to which id a page is taken that ends with one, or with everything that is left; and whether it is the last.
    fn cut(&self, page_end: Option<RecordId>) -> (Option<RecordId>, bool) {
        match (page_end, &self.last) {
            (Some(end), None) => (Some(end), false),
            (Some(end), Some(last)) if end < *last => (Some(end), false),
            (_, last) => (last.clone(), true),
        }
    }
}

fn is_up_to(one: &Located, end: Option<&RecordId>) -> bool {
    end.is_none_or(|end| one.id_text() <= end.as_str())
}

fn spent_on(records: &[Located]) -> Spent {
    Spent { rows: records.len() as u64, bytes: records.iter().map(|one| one.bytes() as u64).sum() }
}
