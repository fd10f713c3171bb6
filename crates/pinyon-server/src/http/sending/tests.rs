//! What is held for an answer, piece by piece.

use super::*;
use crate::http::gate::{Gate, Purpose};
use http_body_util::BodyExt;
use pinyon_wire::bounded::Lender;

const POOL: usize = 10 << 20;
/// No timer ends before the test does.
const LONG: Duration = Duration::from_secs(600);

/// A request for whose answer so many bytes were lent.
fn lent(gate: &Arc<Gate>, bytes: usize) -> Unpaid {
    let ticket = gate.enter(Purpose::Read, None).unwrap();
    assert!(ticket.lend(bytes));
    Unpaid(ticket)
}

/// A body that says nothing of its length and is made when it is asked for, as gRPC's.
struct Unsaid(Option<Vec<u8>>);

impl HttpBody for Unsaid {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data.into()))))
    }
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|number| (number % 251) as u8).collect()
}

#[tokio::test]
async fn an_answer_is_paid_for_by_its_length_until_the_last_piece_is_taken() {
    const LENGTH: usize = 3 * PIECE_BYTES + 5;
    for body in [Body::from(bytes(LENGTH)), Body::new(Unsaid(Some(bytes(LENGTH))))] {
        let gate = Gate::new(POOL);
        let mut body = paid(body, lent(&gate, 3 * LENGTH), LONG);
        assert!(gate.has_all_places());
        let mut taken = Vec::new();
        while let Some(piece) = body.frame().await {
            let piece = piece.unwrap().into_data().unwrap();
            assert!(piece.len() <= PIECE_BYTES);
            taken.extend_from_slice(&piece);
            assert_eq!(gate.bytes_free(), POOL - LENGTH);
        }
        drop(body);
        assert_eq!(gate.bytes_free(), POOL);
        assert!(taken == bytes(LENGTH));
    }
}

#[tokio::test]
async fn what_is_longer_than_was_thought_is_charged_and_sent_also_without_room() {
    let gate = Gate::new(POOL);
    let body = paid(Body::from(bytes(POOL / 2)), lent(&gate, 1), LONG);
    assert_eq!(gate.bytes_free(), POOL / 2);
    let other = paid(Body::from(bytes(POOL / 2 + 1)), lent(&gate, 1), LONG);
    assert_eq!(gate.bytes_free(), POOL / 2 - 1);
    assert_eq!(other.collect().await.unwrap().to_bytes().len(), POOL / 2 + 1);
    drop(body);
    assert_eq!(gate.bytes_free(), POOL);
}

#[tokio::test]
async fn a_client_that_hangs_up_midway_gives_everything_back() {
    let gate = Gate::new(POOL);
    let mut body = paid(Body::from(bytes(1 << 20)), lent(&gate, 3 << 20), LONG);
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), PIECE_BYTES);
    assert_eq!(gate.bytes_free(), POOL - (1 << 20));
    drop(body);
    assert_eq!(gate.bytes_free(), POOL);
}

#[tokio::test]
async fn who_takes_nothing_for_too_long_is_cut_and_who_is_slow_is_not() {
    let time = Duration::from_millis(400);
    let gate = Gate::new(POOL);
    let body = Body::from(bytes(4 * PIECE_BYTES));
    let mut body = paid(body, lent(&gate, 4 * PIECE_BYTES), time);
    // Longer in all than may pass without progress.
    for _ in 0..3 {
        tokio::time::sleep(time / 2).await;
        assert!(body.frame().await.unwrap().is_ok());
    }
    tokio::time::sleep(time * 2).await;
    // Nobody asked the body meanwhile.
    assert_eq!(gate.bytes_free(), POOL);
    let cut = body.frame().await.unwrap().unwrap_err().to_string();
    assert_eq!(cut, "the answer was not read for too long");
}
