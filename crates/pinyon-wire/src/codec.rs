//! Protobuf messages for gRPC: tonic's own codec, but that a query's vector is copied in one piece. The general reader
//! takes numbers one by one out of a buffer that may be in pieces, which for 1536 of them is most of a query's cost.

use crate::grpc;
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
    /// # Errors
    /// Bytes that are no encoding of it.
    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(bytes)
    }
}

macro_rules! read_generally {
    ($($message:ident)*) => { $(impl Read for grpc::$message {})* };
}

read_generally! {
    UpsertRequest UpsertResponse DeleteRequest DeleteResponse FetchRequest FetchResponse FetchByMetadataRequest
    FetchByMetadataResponse ListRequest ListResponse QueryResponse UpdateRequest UpdateResponse
    DescribeIndexStatsRequest DescribeIndexStatsResponse ListNamespacesRequest ListNamespacesResponse
    DescribeNamespaceRequest DeleteNamespaceRequest CreateNamespaceRequest NamespaceDescription
}

/// Field number of a query's vector.
const QUERY_VECTOR: u32 = 7;

impl Read for grpc::QueryRequest {
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
        // Tonic's own codec says Internal, which tells of a fault of the server.
        let refused =
            |error: DecodeError| Status::invalid_argument(format!("the message cannot be read: {error}"));
        U::read(&bytes).map(Some).map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use grpc::QueryRequest;
    use proptest::prelude::*;

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
