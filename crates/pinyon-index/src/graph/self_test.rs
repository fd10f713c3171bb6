//! The self-test: how much effort does a graph need for the recall that is promised, on questions that people asked or, until there are
//! enough of them, on probes made of its rows?

use super::{Graph, GraphRequest};
use crate::{
    DenseQuery, RowBlock, Work,
    coded::CodedRows,
    probes::{self, CLASSES, Told, Truth},
    sequential::{Asked, Evidence, K, Look, Recall, Verdict, looks},
};
use pinyon_distance::QueryScorer;
use pinyon_types::Metric;
use std::{ops::Range, sync::OnceLock};

/// Efforts tried.
const LADDER: [usize; 20] =
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768];
/// Among so many of the nearest are those that are rescored: a walk ends early once they have not changed for a while.
pub(super) const SETTLED: usize = 3 * K;
/// Questions from which on they decide instead of probes.
const QUESTIONS_MIN: usize = 64;
/// Questions that are enough to be sure by themselves.
pub const QUESTIONS_SURE: usize = 512;
/// Probes that are made.
const PROBES: usize = 2_048;
/// Queries by which the effort is looked for that is then confirmed.
const AIMED_BY: usize = 128;
/// The share of what may be missed that is aimed at: certainty is cheap where the recall lies well above the target.
const AIMED_SHARE: f64 = 0.6;

/// How much more effort, in halves, a test by questions tries that seem to be answered well enough: few of them are sure only where none of
/// their results is missed, which costs many times what they need. Until there are more, probes are asked whether that is enough.
const DEARER_TWICE: usize = 3;

/// What the self-test demands, and of what.
#[derive(Debug, Clone, Copy)]
pub struct SelfTest<'a> {
    /// The metric.
    pub metric: Metric,
    /// Recall@10 to reach.
    pub recall_min: f64,
    /// Which probes are made.
    pub seed: u64,
    /// Questions that people asked.
    pub questions: &'a [Vec<f32>],
    /// Rows that the graph lacks: questions of the rows' own kind.
    pub held_out: HeldOut<'a>,
    /// What an earlier test of the same graph found.
    pub before: Option<GraphTest>,
}

/// Rows that a graph lacks.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeldOut<'a> {
    /// One of each crowd of them.
    pub asked: &'a [u32],
    /// All of them.
    pub rows: &'a [u32],
}

/// What the self-test found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GraphTest {
    /// The effort for ten results: the least that is sure to reach the recall, else the least that seems to, or the greatest.
    pub ef: usize,
    /// The recall that it has.
    pub recall: Recall,
    /// Whether that is enough, as sure as the test is.
    pub is_enough: bool,
}

impl GraphTest {
    /// What both tests of a graph say, the later by more questions: too few of them to be sure do not undo what was sure before.
    fn after(self, before: Self) -> Self {
        Self { ef: self.ef.max(before.ef), is_enough: before.is_enough, ..self }
    }

    /// Whether these are too few questions to be sure of what they say: that they find enough.
    fn is_open(&self, recall_min: f64) -> bool {
        let seems_enough = self.recall.mean >= recall_min && self.recall.upper >= recall_min;
        !self.is_enough && seems_enough && self.recall.queries < QUESTIONS_SURE
    }
}

/// Whether so many questions decide.
pub const fn are_enough(questions: usize) -> bool {
    questions >= QUESTIONS_MIN
}

/// Finds the effort that a graph needs; `None` if it was stopped. Questions decide; where they are too few to be sure, probes are asked
/// whether what seems enough is. Cost: up to a thousand queries, each about ten times, and their exact answers, for which codes are
/// scanned if there are any.
pub fn calibrate(
    graph: &dyn Graph,
    rows: (RowBlock<'_>, Option<&CodedRows>),
    test: SelfTest<'_>,
    stop: &dyn Fn() -> bool,
) -> Option<GraphTest> {
    if !are_enough(test.questions.len()) {
        return calibrate_by(Asked::Probes, graph, rows, test, stop);
    }
    let found = calibrate_by(Asked::Questions, graph, rows, test, stop)?;
    if !found.is_open(test.recall_min) {
        return Some(found);
    }
    let sure_before = test.before.filter(|before| before.is_enough);
    let before = sure_before.or_else(|| calibrate_by(Asked::Probes, graph, rows, test, stop))?;
    Some(found.after(before))
}

/// The same by one kind of queries.
fn calibrate_by(
    asked: Asked,
    graph: &dyn Graph,
    (block, codes): (RowBlock<'_>, Option<&CodedRows>),
    test: SelfTest<'_>,
    stop: &dyn Fn() -> bool,
) -> Option<GraphTest> {
    let (classes, queries): (Vec<usize>, Vec<Vec<f32>>) = match asked {
        Asked::Questions => test.questions.iter().map(|question| (0, question.clone())).unzip(),
        Asked::Probes => {
            let told = codes.map(|codes| Told::by(codes, block, test.seed));
            probes::classes(block, told.as_ref(), test.held_out.asked, PROBES, test.seed).into_iter().unzip()
        }
    };
    let count = queries.len();
    let truth = Truth::new((block, codes), test.metric, queries).without(test.held_out.rows);
    let mut trial = Trial { graph, block, truth, asked, classes, stop };
    let least = trial.least(count, test.recall_min)?;
    trial.confirmed(least, count, test.recall_min)
}

/// What queries of each class found: all together have to be sure to find enough, and none may find too little, because a good mean
/// hides a bad class.
#[derive(Debug, Clone, Copy)]
struct Classes([Evidence; CLASSES]);

impl Classes {
    fn of(asked: Asked) -> Self {
        Self([Evidence::of(asked); CLASSES])
    }

    /// Those that were asked.
    fn asked(&self) -> impl Iterator<Item = &Evidence> {
        self.0.iter().filter(|evidence| !evidence.is_empty())
    }

    fn worst(&self) -> Evidence {
        let worst = self.asked().max_by(|a, b| a.missed_share().total_cmp(&b.missed_share()));
        worst.copied().unwrap_or_default()
    }

    fn missed_share(&self) -> f64 {
        self.worst().missed_share()
    }

    fn verdict(&self, recall_min: f64, look: Look) -> Verdict {
        let verdicts = || self.asked().map(|evidence| evidence.verdict(recall_min, look));
        match verdicts().find(|verdict| *verdict == Verdict::Missed) {
            Some(missed) => missed,
            None if self.missed_share() > 1.0 - recall_min => Verdict::Open,
            None => self.all().verdict(recall_min, look),
        }
    }

    fn all(&self) -> Evidence {
        self.0.into_iter().reduce(Evidence::plus).unwrap_or_default()
    }
}

/// A graph under test.
struct Trial<'a> {
    graph: &'a dyn Graph,
    block: RowBlock<'a>,
    truth: Truth<'a>,
    asked: Asked,
    /// Of each query.
    classes: Vec<usize>,
    stop: &'a dyn Fn() -> bool,
}

impl Trial<'_> {
    /// The place in the ladder of the least effort that some queries seem to need.
    fn least(&mut self, count: usize, recall_min: f64) -> Option<usize> {
        let aim = AIMED_SHARE * (1.0 - recall_min);
        let mut stopped = false;
        let least = LADDER.partition_point(|ef| {
            let mut classes = Classes::of(self.asked);
            stopped |= self.ask(*ef, 0..AIMED_BY.min(count), &mut classes).is_none();
            // Of all classes together: the worst of few answers of each would be the unluckiest. All are confirmed later.
            !stopped && classes.all().missed_share() > aim
        });
        (!stopped).then_some(least.min(LADDER.len() - 1))
    }

    /// The least effort from there on that is sure to be enough, else the first that seems to be.
    fn confirmed(&mut self, least: usize, count: usize, recall_min: f64) -> Option<GraphTest> {
        let aim = AIMED_SHARE * (1.0 - recall_min);
        let (mut best, mut undecided) = (None, None);
        for ef in LADDER.into_iter().skip(least) {
            let is_dear = undecided.is_some_and(|found: GraphTest| ef * 2 > found.ef * DEARER_TWICE);
            if self.asked == Asked::Questions && is_dear {
                break;
            }
            let (verdict, classes) = self.confirm(ef, count, recall_min)?;
            let is_enough = verdict == Verdict::Reached;
            let found = GraphTest { ef, recall: classes.worst().recall(self.asked), is_enough };
            if is_enough {
                return Some(found);
            }
            if verdict == Verdict::Open && classes.missed_share() <= aim {
                undecided = undecided.or(Some(found));
            }
            best = Some(found);
        }
        undecided.or(best)
    }

    /// Asks some of the queries; `None` if it was stopped.
    fn ask(&mut self, ef: usize, queries: Range<usize>, classes: &mut Classes) -> Option<()> {
        for query in queries {
            let (missed, results) = missed(self.graph, self.block, &mut self.truth, (query, ef), self.stop)?;
            classes.0[self.classes[query]].add(missed, results);
        }
        Some(())
    }

    /// Asks until it is known whether the recall is reached, or no query is left.
    fn confirm(&mut self, ef: usize, queries: usize, recall_min: f64) -> Option<(Verdict, Classes)> {
        let (mut classes, mut asked) = (Classes::of(self.asked), 0);
        for look in looks(queries) {
            self.ask(ef, asked..look.queries, &mut classes)?;
            asked = look.queries;
            let verdict = classes.verdict(recall_min, look);
            if verdict != Verdict::Open {
                return Some((verdict, classes));
            }
        }
        Some((Verdict::Open, classes))
    }
}

/// How many results of a question a walk misses, of how many, as a scan of codes tells.
pub fn missed_by(
    graph: &dyn Graph,
    ef: usize,
    (block, codes): (RowBlock<'_>, &CodedRows),
    metric: Metric,
    question: &[f32],
) -> (usize, usize) {
    let mut truth = Truth::believing((block, codes), metric, vec![question.to_vec()]);
    missed(graph, block, &mut truth, (0, ef), &|| false).unwrap_or_default()
}

/// How many results a walk misses, of how many; `None` if it was stopped.
fn missed(
    graph: &dyn Graph,
    block: RowBlock<'_>,
    truth: &mut Truth<'_>,
    (query, ef): (usize, usize),
    stop: &dyn Fn() -> bool,
) -> Option<(usize, usize)> {
    let results = truth.results(query, stop)?;
    let query = truth.query(query);
    let scorer = QueryScorer::new(truth.metric(), query);
    let codes = OnceLock::new();
    let request = GraphRequest { k: ef, ef, settled: SETTLED };
    let walked = graph.search(DenseQuery::new(query, &codes), request, &mut Work::default());
    let distance = |row: usize| scorer.distance(block.vector(row), block.inverse_norms[row]);
    let close = walked.close(graph, K, |_| true);
    let missed = results.missed(close.rows.iter().map(|row| distance(row.get() as usize)));
    Some((missed, results.count))
}
