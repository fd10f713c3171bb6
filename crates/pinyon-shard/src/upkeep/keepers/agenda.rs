//! Which shard is stepped next: a queue by due time, in which a shard stands at most once, and never while it is being stepped.

use crate::{Shard, upkeep::bell::Need};
use pinyon_types::SeqNo;
use std::collections::{BTreeMap, HashMap};

/// After this time without a write what was left for it is done ([`crate::inner::Inner::quiet_step`]).
pub(super) const QUIET_US: u64 = 2_000_000;
/// How long to rest after a failed step (a full disk, mostly) before trying again.
pub(super) const RETRY_US: u64 = 1_000_000;

/// Which of the two queues, when, and the turn among those that are due at the same time.
type Ticket = (Need, (u64, u64));

/// A shard's place.
#[derive(Debug)]
struct Seat {
    shard: Shard,
    ticket: Option<Ticket>,
    is_stepped: bool,
    /// Whether a seal was asked for during the step.
    wants_seal: bool,
    /// Not stepped again before this time, because a step has failed.
    rests_until: u64,
    /// The position since which nobody has written, as of the last step that found nothing to do.
    quiet_since: Option<SeqNo>,
}

/// A step to be done.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) number: u64,
    pub(super) shard: Shard,
    pub(super) need: Need,
    /// If nobody has written since, the time is a quiet one.
    pub(super) quiet_since: Option<SeqNo>,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Something was done, so there may be more, of this kind first.
    Did(Need),
    /// There was nothing to do, as of this position.
    Idle(SeqNo),
    /// There was nothing to do either that is left for when nobody writes; something is at this time.
    Rested(Option<u64>),
    /// It failed.
    Failed,
}

/// Every shard's place, and the queue.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    seats: HashMap<u64, Seat>,
    seals: BTreeMap<(u64, u64), u64>,
    looks: BTreeMap<(u64, u64), u64>,
    turns: u64,
    seats_given: u64,
}

impl Agenda {
    /// Gives a shard a place, first in the queue for a look.
    pub(super) fn enter(&mut self, shard: Shard, now: u64) -> u64 {
        self.seats_given += 1;
        let number = self.seats_given;
        let seat = Seat {
            shard,
            ticket: None,
            is_stepped: false,
            wants_seal: false,
            rests_until: 0,
            quiet_since: None,
        };
        self.seats.insert(number, seat);
        self.put(number, Need::Look, now);
        number
    }

    /// Takes a shard out of the queue; it is not stepped again.
    pub(super) fn strike(&mut self, number: u64) {
        self.take_ticket(number);
        if let Some(seat) = self.seats.get_mut(&number) {
            // No ticket is given to it any more.
            seat.rests_until = u64::MAX;
        }
    }

    pub(super) fn is_stepped(&self, number: u64) -> bool {
        self.seats.get(&number).is_some_and(|seat| seat.is_stepped)
    }

    pub(super) fn leave(&mut self, number: u64) {
        self.take_ticket(number);
        self.seats.remove(&number);
    }

    /// Puts a shard into the queue, or further to the front.
    pub(super) fn ask(&mut self, number: u64, need: Need, now: u64) {
        let Some(seat) = self.seats.get_mut(&number) else { return };
        if seat.is_stepped {
            seat.wants_seal |= need == Need::Seal;
        } else if need == Need::Seal {
            self.put(number, need, now);
        } else if seat.ticket.is_none_or(|(_, (due, _))| due > now + QUIET_US) {
            seat.quiet_since = Some(seat.shard.last_seq());
            self.put(number, need, now + QUIET_US);
        }
    }

    /// The next shard that is due; of those that want more than a seal only if `any`.
    pub(super) fn next(&mut self, any: bool, now: u64) -> Option<Turn> {
        let is_due = |queue: &BTreeMap<(u64, u64), u64>| {
            queue.first_key_value().filter(|((due, _), _)| *due <= now).map(|(_, number)| *number)
        };
        let number = is_due(&self.seals).or_else(|| is_due(&self.looks).filter(|_| any))?;
        let (need, _) = self.take_ticket(number)?;
        let seat = self.seats.get_mut(&number)?;
        (seat.is_stepped, seat.wants_seal) = (true, false);
        Some(Turn { number, shard: seat.shard.clone(), need, quiet_since: seat.quiet_since.take() })
    }

    /// When the next shard is due.
    pub(super) fn next_due(&self, any: bool) -> Option<u64> {
        let first = |queue: &BTreeMap<(u64, u64), u64>| queue.first_key_value().map(|((due, _), _)| *due);
        first(&self.seals).into_iter().chain(first(&self.looks).filter(|_| any)).min()
    }

    /// Takes a shard back after a step, and puts it where it belongs.
    pub(super) fn ended(&mut self, number: u64, need: Need, ended: Ended, now: u64) {
        let Some(seat) = self.seats.get_mut(&number) else { return };
        seat.is_stepped = false;
        let wants_seal = std::mem::take(&mut seat.wants_seal);
        match ended {
            Ended::Failed => {
                seat.rests_until = seat.rests_until.max(now + RETRY_US);
                self.put(number, need, now);
            }
            Ended::Did(need) => self.put(number, if wants_seal { Need::Seal } else { need }, now),
            _ if wants_seal => self.put(number, Need::Seal, now),
            Ended::Idle(seq) => {
                seat.quiet_since = Some(seq);
                self.put(number, Need::Look, now + QUIET_US);
            }
            Ended::Rested(None) => {}
            Ended::Rested(Some(due)) => self.put(number, Need::Look, due.max(now)),
        }
    }

    fn put(&mut self, number: u64, need: Need, due: u64) {
        self.take_ticket(number);
        let Some(seat) = self.seats.get_mut(&number).filter(|seat| seat.rests_until < u64::MAX) else {
            return;
        };
        self.turns += 1;
        let key = (due.max(seat.rests_until), self.turns);
        seat.ticket = Some((need, key));
        self.queue(need).insert(key, number);
    }

    fn take_ticket(&mut self, number: u64) -> Option<Ticket> {
        let (need, key) = self.seats.get_mut(&number)?.ticket.take()?;
        self.queue(need).remove(&key);
        Some((need, key))
    }

    const fn queue(&mut self, need: Need) -> &mut BTreeMap<(u64, u64), u64> {
        match need {
            Need::Look => &mut self.looks,
            Need::Seal => &mut self.seals,
        }
    }

    /// How many shards wait for a step or are being stepped.
    pub(super) fn busy(&self) -> usize {
        self.seals.len() + self.looks.len() + self.seats.values().filter(|seat| seat.is_stepped).count()
    }

    #[cfg(test)]
    pub(super) fn seats(&self) -> usize {
        self.seats.len()
    }
}
