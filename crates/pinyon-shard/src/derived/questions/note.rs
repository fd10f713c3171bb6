//! Which questions are noted.

use super::files::forget;
use crate::{Query, QuestionsKept, Scope, inner::Inner, rows::part::Part};

/// Questions for more results than this say more about how far one looks than about what one looks for.
const QUESTION_K_MAX: usize = 100;

impl Inner {
    /// Keeps a question, perhaps, about rows that are to have a graph; one under a filter says as well what people ask.
    pub(crate) fn note_question(&self, scope: Scope<'_>, query: Query<'_>) {
        let plain = query.sparse.is_none() && query.top_k.get() <= QUESTION_K_MAX;
        let Some(vector) = query.vector.filter(|_| plain) else { return };
        if self.options.questions_kept == QuestionsKept::None {
            return;
        }
        match scope {
            Scope::All | Scope::AllBut(_) => self.questions.note(Part::Whole, vector.as_slice()),
            Scope::Namespaces([one]) => {
                let part = Part::Namespace(one.id());
                self.questions.note(part, vector.as_slice());
                // Whoever deleted the namespace meanwhile may have forgotten its questions before this one.
                if !self.snapshot.load().has_records(one.id()) {
                    forget(self, part);
                }
            }
            Scope::Namespaces(_) => {}
        }
    }
}
