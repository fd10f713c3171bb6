//! One move, from wherever it is to its end: copy, catch up, switch, clean up. Whatever is interrupted is begun again from the phase that
//! the catalog has; copying once more over a copy that is there changes what differs.

use super::{
    copier::{Copier, Within},
    ground::{CopyHold, Ground},
    movers::Worked,
    pace::{Rates, Throttle},
    planning::{self, Entered, Switch},
    progress::Progress,
    record::{CopyPlace, MovePhase, MoveRecord},
    side::Side,
    surroundings::Surroundings,
    trouble::Trouble,
};
use crate::catalog::{EarlierReaders, JobId, NotCommitted};
use pinyon_backend::{Namespace, Noted, Until, Watch};
use pinyon_types::{Epoch, RecordId, TenantId};
use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

/// Bytes that the notes of one move take at most, about.
const NOTES_BYTES: usize = 64 << 20;
/// Rounds are over when one takes no longer than this: so long, about, writers will wait.
const ROUND_SHORT_US: u64 = 10_000;
/// Rounds in a row that did not get smaller: after so many the tenant's writers are slowed down, after so many it is given up.
const ROUNDS_STUCK_UNSLOWED: u32 = 3;
const ROUNDS_STUCK_MAX: u32 = 15;
/// How long a slowed write waits, at first and at most.
const SLOWED_MIN: Duration = Duration::from_millis(2);
const SLOWED_MAX: Duration = Duration::from_millis(20);
/// Longest that writers wait before the switch is sent; then they go on, and it is tried again.
const CLOSED_MAX: Duration = Duration::from_secs(2);
const MOMENT: Duration = Duration::from_millis(2);

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
        let pace = Throttle::new(environment, self.rates, Arc::clone(&self.progress));
        let MoveRecord { source, target, .. } = entered.record;
        let surroundings = Surroundings::of(Arc::clone(&self.ground), [source.shard, target.shard]);
        let pace = Arc::new(pace.amid(surroundings));
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
    pub(super) fn catch_up(&self, copier: &Copier, watch: &mut dyn Watch) -> Result<(), Trouble> {
        let caught_up = self.rounds(copier, watch);
        self.slow_down(&copier.source, Duration::ZERO);
        caught_up
    }

    /// Where they do not get smaller the tenant's writers are slowed down, and if that does not help either, it cannot be done.
    fn rounds(&self, copier: &Copier, watch: &mut dyn Watch) -> Result<(), Trouble> {
        let (mut before, mut stuck, mut taken_us) = (u64::MAX, 0, self.now_us());
        let mut slowed = Duration::ZERO;
        loop {
            let noted = watch.take()?;
            let began_us = self.now_us();
            let rows = copier.catch_up(&noted)?.rows.max(noted.ids.len() as u64);
            self.progress.rounds.fetch_add(u64::from(!noted.is_empty()), Relaxed);
            let now_us = self.now_us();
            if noted.is_empty() || now_us.saturating_sub(began_us) <= ROUND_SHORT_US {
                return Ok(());
            }
            stuck = if rows < before { 0 } else { stuck + 1 };
            if stuck == ROUNDS_STUCK_MAX {
                let changed = per_second(rows, taken_us, began_us);
                let copied = per_second(rows, began_us, now_us);
                return Err(Trouble::Fatal(format!(
                    "the tenant's clients change {changed} records a second, each write slowed down by {} ms, and {copied} a second are \
                     copied: move it when they write less",
                    SLOWED_MAX.as_millis()
                )));
            }
            slowed = slowed.max(slowed_by(stuck));
            self.slow_down(&copier.source, slowed);
            (before, taken_us) = (rows, began_us);
        }
    }

    /// Has each write of the tenant wait so long.
    fn slow_down(&self, source: &Side, pause: Duration) {
        let is_slowed = self.progress.slowed_us.swap(pause.as_micros() as u64, Relaxed) > 0;
        if is_slowed || !pause.is_zero() {
            let hold = (!pause.is_zero()).then_some(CopyHold::Slowed(pause));
            self.ground.hold(source.namespace.id(), hold);
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
        self.ground.hold(source.namespace.id(), None);
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
        self.ground.hold(namespace.id(), Some(CopyHold::Closed(frozen.seq)));
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
        self.drop_copy(&copier.source)?;
        planning::end(self.ground.routing(), self.id, self.now_us())?;
        self.ground.hold(entered.record.source.number, None);
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
        self.drop_copy(&target)?;
        Ok(planning::end(self.ground.routing(), self.id, self.now_us())?)
    }

    /// Drops a copy, and has its room back as soon as there is time.
    fn drop_copy(&self, Side { backend, namespace }: &Side) -> Result<(), Trouble> {
        backend.drop_copy(namespace, Until::NEVER)?;
        if let Err(error) = backend.reclaim(namespace) {
            tracing::warn!(%error, job = self.id.get(), "the room of a copy that was dropped comes back later");
        }
        Ok(())
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

    /// What was done for it until now.
    pub(super) fn worked(&self) -> Worked {
        let work_us = self.now_us().saturating_sub(self.taken_up_us);
        Worked { progress: Arc::clone(&self.progress), work_us }
    }

    pub(super) fn now_us(&self) -> u64 {
        self.ground.environment().clock().now_us()
    }
}

/// How long each write waits after so many rounds that did not get smaller.
fn slowed_by(stuck: u32) -> Duration {
    let doublings = stuck.checked_sub(ROUNDS_STUCK_UNSLOWED);
    doublings.map_or(Duration::ZERO, |doublings| (SLOWED_MIN * 2_u32.pow(doublings.min(4))).min(SLOWED_MAX))
}

/// So many from one time to another, a second.
fn per_second(count: u64, from_us: u64, to_us: u64) -> u64 {
    count.saturating_mul(1_000_000) / to_us.saturating_sub(from_us).max(1)
}

/// Whether notes explain a difference.
fn is_noted(noted: &Noted, id: &RecordId) -> bool {
    let in_range = noted.range.as_ref().is_some_and(|(first, last)| first <= id && id <= last);
    noted.is_cleared || in_range || noted.ids.contains(id)
}
