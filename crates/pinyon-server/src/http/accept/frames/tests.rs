//! The budget of frames: floods end, clients that do what clients do never.

use super::*;
use proptest::prelude::*;
use std::time::Duration;
use tokio::time::Instant;

const PING: u8 = 6;
const PRIORITY: u8 = 2;
const WINDOW_UPDATE: u8 = 8;

fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload).unwrap().to_be_bytes();
    let mut bytes = vec![a, b, c, kind, flags, 0, 0, 0, 0];
    // A payload that looks like heads of expensive frames.
    bytes.extend([0, 0, 0, SETTINGS, 0].iter().cycle().take(payload));
    bytes
}

fn begun() -> Frames {
    let mut frames = Frames::new();
    assert!(frames.read(&[b'P'; PREFACE_BYTES]));
    assert!(frames.read(&frame(SETTINGS, 0, 18)) && frames.read(&frame(SETTINGS, ACK, 0)));
    frames
}

/// Lets time pass.
fn advance(frames: &mut Frames, time: Duration) {
    frames.budget.filled -= time;
}

/// How many of a frame a client may send at once.
fn allowed(frames: &mut Frames, bytes: &[u8]) -> usize {
    (0..1_000_000).find(|_| !frames.read(bytes)).expect("a flood ends")
}

#[test]
fn every_flood_ends_within_its_budget() {
    for (kind, flags, payload) in [
        (PING, 0, 8),
        (PING, ACK, 8),
        (PRIORITY, 0, 5),
        (WINDOW_UPDATE, 0, 4),
        (99, 0, 100),
        (3, 0, 4),
        (9, 0, 0),
    ] {
        let sent = allowed(&mut begun(), &frame(kind, flags, payload));
        assert!((175..=210).contains(&sent), "{sent} frames of kind {kind}");
    }
    let sent = allowed(&mut begun(), &frame(SETTINGS, 0, 6));
    assert!((8..=10).contains(&sent), "{sent} SETTINGS");
}

#[test]
fn a_flood_ends_at_the_same_frame_however_its_bytes_are_cut() {
    for (kind, payload) in [(PING, 8), (SETTINGS, 6), (99, 100), (9, 0)] {
        let frame = frame(kind, 0, payload);
        let whole = allowed(&mut begun(), &frame);
        for cut in [1, 2, 5, 7, 9, 13] {
            let mut frames = begun();
            let sent = (0..1_000_000).find(|_| !frame.chunks(cut).all(|piece| frames.read(piece)));
            let sent: usize = sent.expect("a flood ends");
            assert!(sent.abs_diff(whole) <= 5, "kind {kind} in pieces of {cut}: {sent}, not {whole}");
        }
    }
}

#[test]
fn time_gives_fifty_a_second_and_never_more_than_a_thousand() {
    let mut frames = begun();
    allowed(&mut frames, &frame(PING, 0, 8));
    advance(&mut frames, Duration::from_secs(2));
    // A little more while the test runs.
    let sent = allowed(&mut frames, &frame(PING, 0, 8));
    assert!((99..=110).contains(&sent), "{sent}");
    advance(&mut frames, Duration::from_secs(86_400));
    let sent = allowed(&mut frames, &frame(PING, 0, 8));
    assert!((999..=1_010).contains(&sent), "{sent}");
}

#[test]
fn an_idle_client_that_pings_each_ten_seconds_stays_for_a_week() {
    let mut frames = begun();
    for _ in 0..7 * 8_640 {
        advance(&mut frames, Duration::from_secs(10));
        assert!(frames.read(&frame(PING, 0, 8)) && frames.read(&frame(PING, ACK, 8)));
    }
}

/// A client that reads a gibibyte of answers as greedily as Go's net/http2 (two WINDOW_UPDATE for 4 KiB) and sends one,
/// pinging for its bandwidth estimate with every 16 KiB in either direction; no time passes.
#[test]
fn a_gibibyte_each_way_with_updates_and_pings_is_no_flood() {
    let mut frames = begun();
    let (update, ping, data) = (frame(WINDOW_UPDATE, 0, 4), frame(PING, 0, 8), frame(DATA, 0, 16 << 10));
    for _ in 0..(1 << 30) / (16 << 10) {
        frames.sent(16 << 10);
        assert!((0..8).all(|_| frames.read(&update)) && frames.read(&ping));
        assert!(frames.read(&data) && frames.read(&ping) && frames.read(&update) && frames.read(&update));
    }
}

/// Answers that are sent before the client acknowledges any of it.
#[test]
fn sixteen_mebibytes_may_be_acknowledged_at_once() {
    let mut frames = begun();
    frames.sent(16 << 20);
    assert!((0..8 << 10).all(|_| frames.read(&frame(WINDOW_UPDATE, 0, 4))));
}

/// Many short requests: each with HEADERS, a body, two updates and a ping, as a hundred streams at once would send them.
#[test]
fn a_hundred_streams_of_short_requests_are_no_flood() {
    let mut frames = begun();
    for _ in 0..500 {
        let batch =
            [(HEADERS, 0, 40), (DATA, 1, 100), (WINDOW_UPDATE, 0, 4), (WINDOW_UPDATE, 0, 4), (PING, 0, 8)];
        for (kind, flags, payload) in batch {
            assert!((0..100).all(|_| frames.read(&frame(kind, flags, payload))));
            frames.sent(100 * 80);
        }
    }
}

/// Frames of any kind and length up to what h2 allows (16 KiB), as a client would send them.
fn streams() -> impl Strategy<Value = Vec<(u8, u8, usize)>> {
    prop::collection::vec((0_u8..12, 0_u8..2, prop_oneof![0_usize..40, Just(16 << 10)]), 0..80)
}

fn state(frames: &Frames) -> (i64, u64, usize, bool, usize, Vec<u8>) {
    let Frames { budget: Budget { tokens, sent: _, received, filled: _ }, skip, is_data, head, head_len } =
        frames;
    (*tokens, *received, *skip, *is_data, *head_len, head[..*head_len].to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn where_bytes_are_cut_changes_nothing(list in streams(), cuts in prop::collection::vec(1_usize..40, 1..200)) {
        let mut bytes = vec![b'P'; PREFACE_BYTES];
        list.iter().for_each(|(kind, flags, payload)| bytes.extend(frame(*kind, *flags, *payload)));
        let (mut whole, mut cut) = (Frames::new(), Frames::new());
        // Frames without a clock: the budget is filled by time only when it is empty.
        whole.budget.tokens = KEPT_MAX / 2;
        cut.budget.tokens = KEPT_MAX / 2;
        cut.budget.filled = Instant::now();
        whole.read(&bytes);
        let mut rest = bytes.as_slice();
        for length in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, others) = rest.split_at((*length).min(rest.len()));
            cut.read(piece);
            rest = others;
        }
        prop_assert_eq!(state(&whole), state(&cut));
        let spent: i64 = list.iter().map(|(kind, flags, _)| match (*kind, *flags) {
            (DATA, _) => 0,
            (HEADERS, _) => -PER_HEADERS,
            (SETTINGS, 0) => SETTINGS_PRICE,
            _ => 1,
        }).sum();
        let received: usize = list.iter().filter(|(kind, ..)| *kind == DATA).map(|(.., payload)| payload).sum();
        prop_assert_eq!(whole.budget.tokens, KEPT_MAX / 2 - spent + (received as u64 / RECEIVED_BYTES_PER_TOKEN) as i64);
    }
}
