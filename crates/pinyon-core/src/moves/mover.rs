//! One move, from wherever it is to its end: copy, catch up, switch, clean up. Whatever is interrupted is begun again from the phase that
//! the catalog has; copying once more over a copy that is there changes what differs.

use super::{
    copier::{Copier, Within},
    error::CopyError,
    ground::Ground,
    pace::{Rates, Throttle},
    planning::{self, Entered, PlanError, Switch},
    progress::Progress,
    record::{CopyPlace, MovePhase},
    side::Side,
};
use crate::{
    EngineError,
    catalog::{EarlierReaders, JobId, NotCommitted},
};
use pinyon_backend::{BackendError, Namespace, Noted, Until, Watch, WriteError};
use pinyon_types::{Epoch, RecordId, TenantId};
use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

/// Bytes that the notes of one move take at most, about.
const NOTES_BYTES: usize = 64 << 20;
/// Rounds are over when one takes no longer than this: so long, about, writers will wait.
const ROUND_SHORT_US: u64 = 10_000;
/// Rounds in a row that did not get smaller.
const ROUNDS_STUCK_MAX: u32 = 10;
/// Longest that writers wait before the switch is sent; then they go on, and it is tried again.
const CLOSED_MAX: Duration = Duration::from_secs(2);
const MOMENT: Duration = Duration::from_millis(2);

/// Why an attempt ended without its phase being over.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Somebody ended it.
    Ended,
    /// Another attempt may do better.
    Later(String),
    /// Nobody knows what became of the switch. The source stays closed until the catalog was read again: what one copy took may be out of
    /// sight.
    Unknown(String),
    /// It cannot be done.
    Fatal(String),
}

/// Works at one move.
#[derive(Debug)]
pub(super) struct Mover {
    pub(super) ground: Arc<dyn Ground>,
    pub(super) id: JobId,
    pub(super) rates: Rates,
    pub(super) progress: Arc<Progress>,
    taken_up_us: u64,
    /// Of the attempt that is under way.
    pace: Mutex<Option<Arc<Throttle>>>,
    /// What clients change at the target since before the switch.
    touched: Mutex<Option<Box<dyn Watch>>>,
}

impl Mover {
    pub(super) fn new(ground: Arc<dyn Ground>, id: JobId, rates: Rates) -> Self {
        let taken_up_us = ground.environment().clock().now_us();
        let (pace, touched) = (Mutex::default(), Mutex::default());
        Self { ground, id, rates, progress: Arc::default(), taken_up_us, pace, touched }
    }

    /// Ends the attempt that is under way.
    pub(super) fn interrupt(&self) {
        if let Some(pace) = &*self.pace.lock().unwrap_or_else(PoisonError::into_inner) {
            pace.end();
        }
    }

    /// Does what the move's phase asks for; says whether the move is over.
    pub(super) fn attempt(&self) -> Result<bool, Trouble> {
        let routing = self.ground.routing();
        // What readers see may not be what a restart would find.
        if !routing.takes_changes() {
            routing.read_again().map_err(|error| Trouble::Later(error.to_string()))?;
        }
        let Some(entered) = Entered::find(routing, self.id) else { return Ok(true) };
        let environment = self.ground.environment().clone();
        let pace = Arc::new(Throttle::new(environment, self.rates, Arc::clone(&self.progress)));
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&pace));
        match entered.phase {
            MovePhase::Copying => self.copy(&entered, &pace)?,
            MovePhase::Cleaning => self.clean(&entered, &pace)?,
            MovePhase::Aborting | MovePhase::Failing => self.undo(&entered)?,
            MovePhase::Stopped | MovePhase::Done | MovePhase::Aborted | MovePhase::Failed => return Ok(true),
        }
        Ok(false)
    }

    /// Turns back a move that cannot be done.
    pub(super) fn fail(&self, error: String) -> Result<(), Trouble> {
        let routing = self.ground.routing();
        let turned = planning::turn_back(routing, self.id, (MovePhase::Failing, Some(error)), self.now_us());
        turned.map_err(Trouble::from)
    }

    fn copy(&self, entered: &Entered, pace: &Arc<Throttle>) -> Result<(), Trouble> {
        let source = self.side(entered.record.source, entered, entered.record.source_epoch)?;
        let target = self.side(entered.record.target, entered, Epoch::ZERO)?;
        // An attempt before this one may have been cut off.
        self.open(&source)?;
        // Who began before the copy was entered would find it too.
        self.wait_for(&self.ground.routing().begin_generation(), pace)?;
        source.backend.adopt(&source.namespace, Until::NEVER)?;
        self.progress.rows_in_all.store(source.count()?, Relaxed);
        let copier = Copier { source, target, pace: Arc::clone(pace) as _ };
        let at_once = Copier { pace: Arc::new(pace.unlimited()), ..copier.clone() };
        let Side { backend, namespace } = &copier.source;
        let mut watch = backend.watch(namespace, NOTES_BYTES)?;
        copier.walk(&Within::default())?;
        self.catch_up(&at_once, &mut *watch)?;
        self.compare(&copier, &at_once, &mut *watch)?;
        self.catch_up(&at_once, &mut *watch)?;
        self.switch(entered, &at_once, &mut *watch)
    }

    /// Rounds, until one is short enough for writers to wait for the next.
    fn catch_up(&self, copier: &Copier, watch: &mut dyn Watch) -> Result<(), Trouble> {
        let (mut before, mut stuck) = (u64::MAX, 0);
        loop {
            let began_us = self.now_us();
            let noted = watch.take()?;
            let rows = copier.catch_up(&noted)?.rows;
            self.progress.rounds.fetch_add(u64::from(!noted.is_empty()), Relaxed);
            let took_us = self.now_us().saturating_sub(began_us);
            if noted.is_empty() || took_us <= ROUND_SHORT_US {
                return Ok(());
            }
            stuck = if rows < before { 0 } else { stuck + 1 };
            before = rows;
            if stuck == ROUNDS_STUCK_MAX {
                return Err(Trouble::Fatal(format!(
                    "{rows} records changed while as many were copied in {} ms, {stuck} times in a row: the target takes \
                     them more slowly than the tenant's clients write them",
                    took_us / 1_000
                )));
            }
        }
    }

    /// Compares both sides while writers go on. What differs without a note is copied again, once.
    fn compare(&self, copier: &Copier, at_once: &Copier, watch: &mut dyn Watch) -> Result<(), Trouble> {
        for is_last in [false, true] {
            let differing = copier.differences(&Within::default())?;
            let noted = watch.take()?;
            at_once.catch_up(&noted)?;
            let unexplained: std::collections::BTreeSet<RecordId> =
                differing.into_iter().filter(|id| !is_noted(&noted, id)).collect();
            let Some(first) = unexplained.first().cloned() else { return Ok(()) };
            if is_last {
                return Err(Trouble::Fatal(format!(
                    "{} records differ on both sides although nobody changed them, the first is {first}",
                    unexplained.len()
                )));
            }
            tracing::warn!(record = %first, "a copied record differs and is copied again");
            at_once.catch_up(&Noted { ids: unexplained, ..Noted::default() })?;
        }
        Ok(())
    }

    /// Closes the source to the tenant's writers, copies what is left, and makes the target the owner.
    fn switch(&self, entered: &Entered, copier: &Copier, watch: &mut dyn Watch) -> Result<(), Trouble> {
        let closed_us = self.now_us();
        let switched = self.close_and_switch(entered, copier, watch);
        self.progress.closed_us.store(self.now_us().saturating_sub(closed_us), Relaxed);
        if matches!(switched, Err(Trouble::Ended | Trouble::Later(_) | Trouble::Fatal(_))) {
            self.open(&copier.source)?;
        }
        switched
    }

    /// Lets the tenant's writers go on at the source.
    fn open(&self, source: &Side) -> Result<(), Trouble> {
        source.backend.open(&source.namespace)?;
        self.ground.freeze_position(source.namespace.id(), None);
        Ok(())
    }

    fn close_and_switch(
        &self,
        entered: &Entered,
        copier: &Copier,
        watch: &mut dyn Watch,
    ) -> Result<(), Trouble> {
        let clock = Arc::clone(self.ground.environment().clock());
        let until = Until::within(&*clock, CLOSED_MAX);
        let Side { backend, namespace } = &copier.source;
        let frozen = backend.close(namespace, until)?;
        self.ground.freeze_position(namespace.id(), Some(frozen.seq));
        copier.catch_up(&watch.take()?)?;
        copier.target.backend.settle(&copier.target.namespace, until)?;
        if !copier.has_all()? {
            return Err(Trouble::Later("both sides have not as many records".into()));
        }
        let touched = copier.target.backend.watch(&copier.target.namespace, NOTES_BYTES)?;
        if until.is_over() {
            return Err(Trouble::Later("the last round took too long for writers to wait".into()));
        }
        let routes = self.ground.routing().routes();
        let base = routes.get(&entered.job.tenant).map_or(0, |home| home.position_base);
        let at_target = copier.target.backend.position().unwrap_or_default().get();
        let position_base = (base + frozen.seq.get()).saturating_sub(at_target);
        drop(routes);
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = Some(touched);
        let switch = Switch { position_base, now_us: self.now_us() };
        match planning::switch(self.ground.routing(), self.id, switch) {
            Ok(epoch) => {
                let (from, to) = (entered.record.source.shard, entered.record.target.shard);
                tracing::info!(job = self.id.get(), %from, %to, %epoch, "tenant switched to another shard");
                Ok(())
            }
            Err(NotCommitted::Unknown(error)) => Err(Trouble::Unknown(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the target's copy known as the tenant's to its shard, and drops the source's once nobody reads it.
    fn clean(&self, entered: &Entered, pace: &Arc<Throttle>) -> Result<(), Trouble> {
        let switched = entered.record.switched;
        let target = self.side(entered.record.target, entered, switched)?;
        target.backend.adopt(&target.namespace, Until::NEVER)?;
        let source = self.side(entered.record.source, entered, switched)?;
        self.wait_for(&self.ground.routing().begin_generation(), pace)?;
        let copier = Copier { source, target, pace: Arc::clone(pace) as _ };
        // After a restart there are no notes, and what differs may be what clients changed.
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = &mut *touched {
            let differing = copier.differences(&Within::default())?;
            let noted = watch.take()?;
            *touched = None;
            if let Some(first) = differing.iter().find(|id| !is_noted(&noted, id)) {
                return self.stop(first);
            }
        }
        copier.source.backend.drop_copy(&copier.source.namespace, Until::NEVER)?;
        planning::end(self.ground.routing(), self.id, self.now_us())?;
        self.ground.freeze_position(entered.record.source.number, None);
        Ok(())
    }

    /// Leaves both copies as they are, for people to look at.
    fn stop(&self, first: &RecordId) -> Result<(), Trouble> {
        let error = format!(
            "record {first} is not what it was before the move: both copies are kept; run `pinyon doctor`"
        );
        tracing::error!(error, job = self.id.get(), "a move was stopped");
        Ok(planning::stop(self.ground.routing(), self.id, error, self.now_us())?)
    }

    /// Drops the target's copy.
    fn undo(&self, entered: &Entered) -> Result<(), Trouble> {
        let target = self.side(entered.record.target, entered, Epoch::new(self.id.get()))?;
        target.backend.settle(&target.namespace, Until::NEVER)?;
        target.backend.drop_copy(&target.namespace, Until::NEVER)?;
        Ok(planning::end(self.ground.routing(), self.id, self.now_us())?)
    }

    fn side(&self, place: CopyPlace, entered: &Entered, epoch: Epoch) -> Result<Side, Trouble> {
        let tenant = TenantId::new(&entered.job.tenant).map_err(|error| Trouble::Fatal(error.to_string()))?;
        let backend = self.ground.backend(place.shard)?;
        Ok(Side { backend, namespace: Namespace::routed(place.number, tenant, epoch) })
    }

    /// Waits until nobody reads by an earlier state any more.
    fn wait_for(&self, readers: &EarlierReaders, pace: &Throttle) -> Result<(), Trouble> {
        self.progress.waits_for_readers.store(!readers.are_gone(), Relaxed);
        while !readers.are_gone() {
            pace.check()?;
            self.ground.environment().pause(MOMENT);
        }
        self.progress.waits_for_readers.store(false, Relaxed);
        Ok(())
    }

    /// Whether the attempt that is under way, or was the last, was ended.
    pub(super) fn is_ended(&self) -> bool {
        let pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.as_ref().is_some_and(|pace| pace.check().is_err())
    }

    /// Since when it was taken up.
    pub(super) fn worked_us(&self) -> u64 {
        self.now_us().saturating_sub(self.taken_up_us)
    }

    pub(super) fn now_us(&self) -> u64 {
        self.ground.environment().clock().now_us()
    }
}

/// Whether notes explain a difference.
fn is_noted(noted: &Noted, id: &RecordId) -> bool {
    let in_range = noted.range.as_ref().is_some_and(|(first, last)| first <= id && id <= last);
    noted.is_cleared || in_range || noted.ids.contains(id)
}

impl From<CopyError> for Trouble {
    fn from(error: CopyError) -> Self {
        use BackendError::{Damaged, Full, Invalid, OtherShape};
        match &error {
            CopyError::Ended => Self::Ended,
            CopyError::NotKept(_)
            | CopyError::Source(Damaged(_) | OtherShape(_))
            | CopyError::Target(Damaged(_) | OtherShape(_) | Full(_) | Invalid(_)) => {
                Self::Fatal(error.to_string())
            }
            CopyError::Source(_) | CopyError::Target(_) => Self::Later(error.to_string()),
        }
    }
}

impl From<BackendError> for Trouble {
    fn from(error: BackendError) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<WriteError> for Trouble {
    fn from(error: WriteError) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<NotCommitted<PlanError>> for Trouble {
    fn from(error: NotCommitted<PlanError>) -> Self {
        Self::Later(match error {
            NotCommitted::Refused(error) => error.to_string(),
            NotCommitted::Unavailable(error) | NotCommitted::Unknown(error) => error.to_string(),
        })
    }
}
