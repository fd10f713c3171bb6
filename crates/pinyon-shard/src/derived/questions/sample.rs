//! The sample itself.

use crate::rows::part::Part;
use pinyon_index::Drift;
use pinyon_types::SeededRng;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Questions that are kept about a part.
const KEPT: usize = 512;
/// Every question has the same chance to be kept among about so many of the latest.
const AMONG: u64 = 10_000;
/// Every so many questions one is asked once more, to see whether answers still are as good as the test said.
const RECENT_EVERY: u64 = 1_000;
/// Of these, those that wait.
const RECENT_MAX: usize = 16;
/// So many new ones at least, and half of what is kept, are worth a file.
const UNSAVED_MIN: usize = 64;

/// The questions of a shard.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    parts: Mutex<HashMap<Part, Sample>>,
}

/// The questions about a part.
#[derive(Debug)]
pub(super) struct Sample {
    kept: Vec<Vec<f32>>,
    /// A number of each that equal ones have in common; beside each other, because every question is held against all of them.
    hashes: Vec<u32>,
    asked: u64,
    /// How many of those that are kept no file has.
    pub(super) unsaved: usize,
    rng: SeededRng,
    recent: Vec<Vec<f32>>,
    drift: Drift,
}

impl Questions {
    /// Notes a question. Whoever would have to wait for another thread leaves it.
    pub(crate) fn note(&self, part: Part, vector: &[f32]) {
        if let Ok(mut parts) = self.parts.try_lock() {
            parts.entry(part).or_insert_with(Sample::new).note(vector);
        }
    }

    /// Those that are kept about a part.
    pub(crate) fn of(&self, part: Part) -> Vec<Vec<f32>> {
        let parts = self.lock();
        parts.get(&part).map_or_else(Vec::new, |sample| sample.kept.clone())
    }

    /// How many these are.
    pub(crate) fn count(&self, part: Part) -> usize {
        self.lock().get(&part).map_or(0, |sample| sample.kept.len())
    }

    /// A part with so many questions that no file has that one is due, and all of its questions. From now on they count as saved.
    pub(super) fn take_due(&self) -> Option<(Part, Vec<Vec<f32>>)> {
        self.take_unsaved(|sample| sample.unsaved >= UNSAVED_MIN.max(sample.kept.len() / 2))
    }

    pub(super) fn take_unsaved(&self, is_wanted: impl Fn(&Sample) -> bool) -> Option<(Part, Vec<Vec<f32>>)> {
        let mut parts = self.lock();
        let (part, sample) = parts.iter_mut().find(|(_, sample)| is_wanted(sample))?;
        sample.unsaved = 0;
        Some((*part, sample.kept.clone()))
    }

    /// Takes back what a file kept.
    pub(super) fn put_back(&self, part: Part, questions: &[f32], components: usize) {
        let mut parts = self.lock();
        let sample = parts.entry(part).or_insert_with(Sample::new);
        questions.chunks_exact(components.max(1)).for_each(|question| sample.note(question));
        sample.unsaved = 0;
    }

    /// Questions of late that are to be asked once more.
    pub(crate) fn take_recent(&self, part: Part) -> Vec<Vec<f32>> {
        self.lock().get_mut(&part).map_or_else(Vec::new, |sample| std::mem::take(&mut sample.recent))
    }

    /// Adds what these missed, of how many; whether all of late find too little. If so, they are forgotten: what comes is another graph
    /// or another effort.
    pub(crate) fn has_drifted(&self, part: Part, missed: &[(usize, usize)], recall_min: f64) -> bool {
        let mut parts = self.lock();
        let Some(sample) = parts.get_mut(&part) else { return false };
        missed.iter().for_each(|(missed, results)| sample.drift.add(*missed, *results));
        let has_drifted = sample.drift.is_below(recall_min);
        if has_drifted {
            sample.drift = Drift::default();
        }
        has_drifted
    }

    /// Forgets everything about a part.
    pub(super) fn forget(&self, part: Part) {
        self.lock().remove(&part);
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&self) {
        self.lock().clear();
    }

    /// Memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let of_sample = |sample: &Sample| -> usize {
            let vectors = sample.kept.iter().chain(&sample.recent);
            vectors.map(|vector| size_of_val(vector.as_slice()) + size_of::<(Vec<f32>, u32)>()).sum()
        };
        self.lock().values().map(of_sample).sum()
    }

    /// Whatever a thread that panicked left is a sample all the same.
    fn lock(&self) -> MutexGuard<'_, HashMap<Part, Sample>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sample {
    fn new() -> Self {
        let (kept, hashes, recent) = (Vec::new(), Vec::new(), Vec::new());
        let (rng, drift) = (SeededRng::new(0x7175_6573), Drift::default());
        Self { kept, hashes, asked: 0, unsaved: 0, rng, recent, drift }
    }

    fn note(&mut self, vector: &[f32]) {
        self.asked += 1;
        if self.asked.is_multiple_of(RECENT_EVERY) && self.recent.len() < RECENT_MAX {
            self.recent.push(vector.to_vec());
        }
        if self.kept.len() < KEPT {
            return self.keep(vector, None);
        }
        let place = self.rng.below(self.asked.min(AMONG));
        if place < KEPT as u64 {
            self.keep(vector, Some(place as usize));
        }
    }

    /// Keeps a question, in the place of another one or in one of its own. Who asks the same again and again has one vote.
    fn keep(&mut self, vector: &[f32], place: Option<usize>) {
        // An instruction a word: a hash that guards against an enemy took a tenth of a short query. What happens to have an equal one is
        // not kept, which no answer depends on.
        let hash = crc32c::crc32c(bytemuck::cast_slice(vector));
        // All of them, so that many are compared at once.
        if self.hashes.iter().fold(false, |found, one| found | (*one == hash)) {
            return;
        }
        self.unsaved += 1;
        match place.and_then(|place| self.kept.get_mut(place).zip(self.hashes.get_mut(place))) {
            Some((kept, old)) => (*kept, *old) = (vector.to_vec(), hash),
            None => {
                self.kept.push(vector.to_vec());
                self.hashes.push(hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_types::NamespaceId;

    const PART: Part = Part::Namespace(NamespaceId::new(3));

    #[test]
    fn the_latest_questions_are_kept_and_equal_ones_once() {
        let questions = Questions::default();
        (0..100).for_each(|_| questions.note(PART, &[1.0, 2.0]));
        assert_eq!(questions.of(PART), [[1.0, 2.0]]);
        for number in 0..40_000 {
            questions.note(PART, &[number as f32, 0.0]);
        }
        let kept = questions.of(PART);
        assert_eq!(kept.len(), KEPT);
        let age = |question: &Vec<f32>| 40_000.0 - question[0];
        let old = kept.iter().filter(|question| age(question) > 30_000.0).count();
        let young = kept.iter().filter(|question| age(question) <= 10_000.0).count();
        assert!(old < KEPT / 10 && (KEPT / 2..KEPT).contains(&young), "{old} old, {young} young");
        assert!(questions.bytes() < KEPT * 64);
    }

    #[test]
    fn what_is_not_kept_is_forgotten_and_others_stay() {
        let questions = Questions::default();
        [PART, Part::Whole].iter().for_each(|part| questions.note(*part, &[1.0]));
        questions.forget(PART);
        assert_eq!([PART, Part::Whole].map(|part| questions.count(part)), [0, 1]);
    }

    #[test]
    fn one_question_of_a_thousand_is_asked_once_more() {
        let questions = Questions::default();
        (0..2_500).for_each(|number| questions.note(PART, &[number as f32]));
        assert_eq!(questions.take_recent(PART), [[999.0], [1999.0]]);
        assert_eq!(questions.take_recent(PART), Vec::<Vec<f32>>::new());
        assert!(!questions.has_drifted(PART, &[(0, 10); 50], 0.99));
        assert!(questions.has_drifted(PART, &[(5, 10); 50], 0.99));
        assert!(!questions.has_drifted(PART, &[(0, 10)], 0.99), "it was forgotten");
    }
}
