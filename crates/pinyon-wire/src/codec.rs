//! Protobuf messages for gRPC: tonic's own codec, but for two things. Requests are measured before they are decoded
//! ([`crate::measure`]), and a query's vector is copied in one piece: the general reader takes numbers one by one out of a
//! buffer that may be in pieces, which for 1536 of them is most of a query's cost.

use crate::{
    bounded::{self, NO_ROOM},
    grpc,
    measure::{self, Unfit, measure},
};
use bytes::Buf;
use prost::{DecodeError, Message};
use std::marker::PhantomData;
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstEncoder};

/// A message that is read from the bytes of its encoding.
pub trait Read: Message + Default {
    /// What it is measured by, if it comes from clients.
    #[doc(hidden)]
    const REQUEST: Option<Request> = None;

    /// # Errors
    /// Bytes that are no encoding of it.
    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(bytes)
    }
}

/// A request's rows in the table of what messages hold.
#[derive(Debug, Clone, Copy)]
pub struct Request(pub(crate) &'static measure::Message);

macro_rules! read_requests {
    ($($message:ident $rows:ident)*) => {
        $(impl Read for grpc::$message {
            const REQUEST: Option<Request> = Some(Request(&measure::$rows));
        })*
    };
}

macro_rules! read_answers {
    ($($message:ident)*) => { $(impl Read for grpc::$message {})* };
}

read_requests! {
    UpsertRequest UPSERT
    DeleteRequest DELETE
    FetchRequest FETCH
    FetchByMetadataRequest FETCH_BY_METADATA
    ListRequest LIST
    UpdateRequest UPDATE
    DescribeIndexStatsRequest DESCRIBE_INDEX_STATS
    ListNamespacesRequest LIST_NAMESPACES
    DescribeNamespaceRequest DESCRIBE_NAMESPACE
    DeleteNamespaceRequest DELETE_NAMESPACE
    CreateNamespaceRequest CREATE_NAMESPACE
}

read_answers! {
    UpsertResponse DeleteResponse FetchResponse FetchByMetadataResponse ListResponse QueryResponse UpdateResponse
    DescribeIndexStatsResponse ListNamespacesResponse NamespaceDescription
}

/// Field number of a query's vector.
const QUERY_VECTOR: u32 = 7;

impl Read for grpc::QueryRequest {
    const REQUEST: Option<Request> = Some(Request(&measure::QUERY));

    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some((vector, before, after)) = take_floats(bytes, QUERY_VECTOR) else {
            return Self::decode(bytes);
        };
        let rest = Self::decode(before.chain(after))?;
        // It may come in parts, of which the one that was taken is the first.
        Ok(Self {
            vector: if rest.vector.is_empty() { vector } else { [vector, rest.vector].concat() },
            ..rest
        })
    }
}

/// The first packed floats in a field of the message, and what stands before and behind them. Nothing where anything is
/// unusual: the general reader knows what to say.
fn take_floats(bytes: &[u8], field: u32) -> Option<(Vec<f32>, &[u8], &[u8])> {
    let mut rest = bytes;
    loop {
        let before = bytes.len() - rest.len();
        let (number, kind) = prost::encoding::decode_key(&mut rest).ok()?;
        if kind != prost::encoding::WireType::LengthDelimited {
            if number == field {
                return None;
            }
            prost::encoding::skip_field(kind, number, &mut rest, Default::default()).ok()?;
            continue;
        }
        let length = usize::try_from(prost::encoding::decode_varint(&mut rest).ok()?).ok()?;
        let (value, after) = rest.split_at_checked(length)?;
        if number == field {
            let (floats, []) = value.as_chunks::<4>() else { return None };
            return Some((
                floats.iter().map(|four| f32::from_le_bytes(*four)).collect(),
                bytes.get(..before)?,
                after,
            ));
        }
        rest = after;
    }
}

/// Tonic's codec with [`Read`].
#[derive(Debug)]
pub struct MessageCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for MessageCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + Send + 'static, U: Read + Send + 'static> Codec for MessageCodec<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = MessageDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        MessageDecoder(PhantomData)
    }
}

/// Reads messages.
#[derive(Debug)]
pub struct MessageDecoder<U>(PhantomData<U>);

impl<U: Read> Decoder for MessageDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        if let Some(request) = U::REQUEST {
            take_room(request, &bytes)?;
        }
        // Tonic's own codec says Internal, which tells of a fault of the server.
        let refused =
            |error: DecodeError| Status::invalid_argument(format!("the message cannot be read: {error}"));
        U::read(&bytes).map(Some).map_err(refused)
    }
}

/// Takes room for what decoding makes, of what was charged with the message and of what is lent. One that came compressed was
/// charged by a guess: what it is more than that it needs for itself, and for what the engine makes of it.
///
/// # Errors
/// It is above a limit, no message, or there is no room for it.
fn take_room(Request(rows): Request, bytes: &[u8]) -> Result<(), Status> {
    let refused = |unfit: Unfit| Status::invalid_argument(format!("the message cannot be read: {unfit}"));
    let made = measure(rows, bytes).map_err(refused)?;
    let uncharged = bytes.len().saturating_sub(bounded::left());
    let wanted = made.saturating_add(2 * uncharged);
    let charged = wanted.min(bounded::left());
    if bounded::try_take(charged) && bounded::try_take(wanted - charged) {
        return Ok(());
    }
    Err(Status::resource_exhausted(format!("the message {NO_ROOM}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use grpc::QueryRequest;
    use proptest::prelude::*;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    struct Pool(AtomicUsize);

    impl bounded::Lender for Pool {
        fn lend(&self, bytes: usize) -> bool {
            let taken = |free: usize| free.checked_sub(bytes);
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
        }
    }

    /// The code that taking room for a message ends with, and bytes that were lent for it.
    fn room<T: Read>(bytes: &[u8], charged: usize, free: usize) -> (Option<tonic::Code>, usize) {
        let pool = Arc::new(Pool(AtomicUsize::new(free)));
        let lender = Some(Arc::clone(&pool) as Arc<dyn bounded::Lender>);
        let taken = bounded::within(charged, lender, || take_room(T::REQUEST.unwrap(), bytes));
        (taken.err().map(|status| status.code()), free - pool.0.load(Ordering::Relaxed))
    }

    #[test]
    fn what_a_message_stands_for_beyond_what_was_charged_is_lent_or_it_is_refused() {
        const MIB: usize = 1 << 20;
        let records = |count: usize| [0x0a, 0].repeat(count);
        let free = |count: usize, free: usize| room::<grpc::UpsertRequest>(&records(count), 2 * count, free);
        assert_eq!(free(10, 0).0, Some(tonic::Code::ResourceExhausted));
        assert_eq!(free(10, MIB), (None, 256 << 10));
        assert_eq!(free(1_001, MIB), (Some(tonic::Code::InvalidArgument), 0));
        // What comes as long as it is needs nothing more.
        let text = grpc::ListRequest { prefix: Some("a".repeat(MIB)), ..Default::default() }.encode_to_vec();
        assert_eq!(room::<grpc::ListRequest>(&text, text.len() + 100, 0), (None, 0));
        // Charged as compressed: itself, what is made of it, and what the engine makes of that.
        let (code, lent) = room::<grpc::ListRequest>(&text, 1_000, 10 * MIB);
        assert!(code.is_none() && (3 * MIB - 3_000..3 * MIB + 1_000).contains(&lent), "{lent}");
        assert_eq!(room::<grpc::ListRequest>(&text, 1_000, 2 * MIB).0, Some(tonic::Code::ResourceExhausted));
    }

    fn query() -> QueryRequest {
        QueryRequest {
            namespace: "n".into(),
            top_k: 3,
            include_values: true,
            vector: vec![1.5, -2.0, f32::MAX],
            id: "i".into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_query_reads_as_it_was_written() {
        let bytes = query().encode_to_vec();
        assert!(take_floats(&bytes, QUERY_VECTOR).is_some());
        assert_eq!(QueryRequest::read(&bytes).unwrap(), query());
        assert_eq!(QueryRequest::read(&[]).unwrap(), QueryRequest::default());
    }

    #[test]
    fn floats_in_parts_and_one_by_one_are_read_in_their_order() {
        let part = |vector: Vec<f32>| QueryRequest { vector, ..Default::default() }.encode_to_vec();
        let single = [&[0x3d_u8], 9.0_f32.to_le_bytes().as_slice()].concat();
        let [first, second] = [part(vec![1.0, 2.0]), part(vec![3.0])];
        for (parts, expected) in [
            ([&first, &second, &single], [1.0, 2.0, 3.0, 9.0]),
            ([&single, &first, &second], [9.0, 1.0, 2.0, 3.0]),
            ([&first, &single, &second], [1.0, 2.0, 9.0, 3.0]),
        ] {
            assert_eq!(QueryRequest::read(&parts.map(Vec::clone).concat()).unwrap().vector, expected);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_read_as_the_general_reader_reads_them(
            cut in 0_usize..80, change in proptest::option::of((0_usize..80, any::<u8>())), tail: Vec<u8>,
        ) {
            let mut bytes = query().encode_to_vec();
            bytes.truncate(cut);
            bytes.extend(tail);
            if let Some((at, byte)) = change && let Some(there) = bytes.get_mut(at) {
                *there = byte;
            }
            let (read, expected) = (QueryRequest::read(&bytes), QueryRequest::decode(&*bytes));
            prop_assert_eq!(read.is_ok(), expected.is_ok(), "{:?} {:?}", read, expected);
            if let (Ok(read), Ok(expected)) = (read, expected) {
                prop_assert_eq!(read.encode_to_vec(), expected.encode_to_vec());
            }
        }
    }
}
