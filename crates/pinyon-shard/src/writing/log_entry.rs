//! What a log frame says: the operations of one write on one namespace. Physical operations: a record whole, an id
//! gone, a namespace emptied. Whatever a request left to be found out (a filter, a merge of metadata) was found out
//! before it was logged, so a replay needs no rules that a later version could change.

use crate::{Namespace, ShardError};
use pinyon_storage::{
    bytes::{BytesError, Reader},
    metadata_bytes::{self, MetadataView},
    wal::Frame,
};
use pinyon_types::{Dim, Epoch, NamespaceId, Record, RecordId, SparseVector, TenantId, Vector};
use std::path::Path;

/// Kind of a log frame that holds operations on one namespace.
pub(crate) const KIND_OPERATIONS: u8 = 1;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const CLEAR: u8 = 3;
/// As [`PUT`], with a sparse vector behind the metadata.
const PUT_SPARSE: u8 = 4;

/// One change of one record, or of a whole namespace.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operation {
    Put(Record),
    Delete(RecordId),
    Clear,
}

/// The bytes that open an entry: which namespace, and how many operations follow.
pub(crate) fn encode_head(namespace: &Namespace, operations: usize) -> Vec<u8> {
    let count =
        u32::try_from(operations).expect("invariant: a batch is limited to far fewer than 2^32 operations");
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(&namespace.id().get().to_le_bytes());
    out.extend_from_slice(&namespace.epoch().get().to_le_bytes());
    put_text(&mut out, namespace.name().as_str());
    out.extend_from_slice(&count.to_le_bytes());
    out
}

/// The bytes of the operations.
pub(crate) fn encode_operations(operations: &[Operation]) -> Vec<u8> {
    let mut out = Vec::new();
    for operation in operations {
        match operation {
            Operation::Put(record) => put_record(&mut out, record),
            Operation::Delete(id) => {
                out.push(DELETE);
                put_text(&mut out, id.as_str());
            }
            Operation::Clear => out.push(CLEAR),
        }
    }
    out
}

fn put_record(out: &mut Vec<u8>, record: &Record) {
    out.push(if record.sparse.is_some() { PUT_SPARSE } else { PUT });
    put_text(out, record.id.as_str());
    out.extend_from_slice(bytemuck::cast_slice(record.vector.as_slice()));
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    metadata_bytes::encode(&record.metadata, out);
    let length = u32::try_from(out.len() - length_at - 4).expect("invariant: metadata is limited to 256 KiB");
    out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    if let Some(sparse) = &record.sparse {
        let components = sparse.as_ref();
        let count =
            u32::try_from(components.indices.len()).expect("invariant: sparse vectors have few components");
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(bytemuck::cast_slice(components.indices));
        out.extend_from_slice(bytemuck::cast_slice(components.values));
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).expect("invariant: names and ids have at most 512 bytes");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Reads an entry back. `path` is named in errors.
///
/// # Errors
/// A frame that passed its checksum and still does not make sense: another program wrote it, or memory was damaged.
pub(crate) fn decode(
    frame: &Frame<'_>,
    dim: Dim,
    path: &Path,
) -> Result<(Namespace, Vec<Operation>), ShardError> {
    let say = |what: String| ShardError::damaged(path, format!("log entry {}: {what}", frame.seq));
    if frame.kind != KIND_OPERATIONS {
        return Err(say(format!("has the unknown kind {}", frame.kind)));
    }
    read_entry(frame.payload, dim).map_err(say)
}

fn read_entry(payload: &[u8], dim: Dim) -> Result<(Namespace, Vec<Operation>), String> {
    let mut reader = Reader::new(payload);
    let text = |error: BytesError| error.to_string();
    let id = NamespaceId::new(reader.u64().map_err(text)?);
    let epoch = Epoch::new(reader.u64().map_err(text)?);
    let name = TenantId::new(get_text(&mut reader).map_err(text)?).map_err(|error| error.to_string())?;
    let count = reader.u32().map_err(text)?;
    let mut operations = Vec::new();
    for _ in 0..count {
        operations.push(read_operation(&mut reader, dim)?);
    }
    reader.finish().map_err(text)?;
    Ok((Namespace::routed(id, name, epoch), operations))
}

fn read_operation(reader: &mut Reader<'_>, dim: Dim) -> Result<Operation, String> {
    let text = |error: BytesError| error.to_string();
    match reader.u8().map_err(text)? {
        PUT => read_record(reader, dim).map(Operation::Put),
        PUT_SPARSE => {
            let record = read_record(reader, dim)?;
            Ok(Operation::Put(Record { sparse: Some(read_sparse(reader)?), ..record }))
        }
        DELETE => {
            let id = get_text(reader).map_err(text)?;
            Ok(Operation::Delete(RecordId::new(id).map_err(|error| error.to_string())?))
        }
        CLEAR => Ok(Operation::Clear),
        other => Err(format!("has the unknown operation {other}")),
    }
}

fn read_record(reader: &mut Reader<'_>, dim: Dim) -> Result<Record, String> {
    let text = |error: BytesError| error.to_string();
    let id = RecordId::new(get_text(reader).map_err(text)?).map_err(|error| error.to_string())?;
    let components = reader.f32s(dim.as_usize()).map_err(text)?;
    let vector = Vector::new(components, dim).map_err(|error| error.to_string())?;
    let length = reader.u32().map_err(text)? as usize;
    let view = MetadataView::parse(reader.take(length).map_err(text)?).map_err(text)?;
    Ok(Record { id, vector, sparse: None, metadata: view.to_metadata() })
}

fn read_sparse(reader: &mut Reader<'_>) -> Result<SparseVector, String> {
    let text = |error: BytesError| error.to_string();
    let count = reader.u32().map_err(text)? as usize;
    let indices = reader.u32s(count).map_err(text)?;
    let values = reader.f32s(count).map_err(text)?;
    SparseVector::new(indices, values).map_err(|error| error.to_string())
}

fn get_text<'a>(reader: &mut Reader<'a>) -> Result<&'a str, BytesError> {
    let length = reader.u16()?;
    reader.str(usize::from(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_types::{Metadata, MetadataValue, SeqNo};

    fn entry() -> Vec<u8> {
        let dim = Dim::new(3).unwrap();
        let namespace = Namespace::routed(NamespaceId::new(7), TenantId::new("acme").unwrap(), Epoch::new(9));
        let fields = [("k".to_owned(), MetadataValue::Strings(["a", ""].into()))];
        let operations = [
            Operation::Put(Record {
                id: RecordId::new("r-1").unwrap(),
                vector: Vector::new(vec![1.0, -2.5, 0.0], dim).unwrap(),
                sparse: None,
                metadata: Metadata::new(fields.into_iter().collect()).unwrap(),
            }),
            Operation::Put(Record {
                id: RecordId::new("r-3").unwrap(),
                vector: Vector::new(vec![0.5; 3], dim).unwrap(),
                sparse: Some(SparseVector::new(vec![3, u32::MAX], vec![-0.5, 8.0]).unwrap()),
                metadata: Metadata::empty(),
            }),
            Operation::Delete(RecordId::new("r-2").unwrap()),
            Operation::Clear,
        ];
        let mut bytes = encode_head(&namespace, operations.len());
        bytes.extend(encode_operations(&operations));
        bytes
    }

    fn read(payload: &[u8]) -> Result<(Namespace, Vec<Operation>), ShardError> {
        let frame = Frame { seq: SeqNo::new(1), kind: KIND_OPERATIONS, payload };
        decode(&frame, Dim::new(3).unwrap(), Path::new("wal"))
    }

    #[test]
    fn entries_survive_a_round_trip() {
        let (namespace, operations) = read(&entry()).unwrap();
        assert_eq!(
            (namespace.id().get(), namespace.name().as_str(), namespace.epoch().get()),
            (7, "acme", 9)
        );
        let mut again = encode_head(&namespace, operations.len());
        again.extend(encode_operations(&operations));
        assert_eq!(again, entry());
    }

    #[test]
    fn hostile_entries_are_refused_without_a_panic() {
        let bytes = entry();
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            for flip in [0xff, 0x01, 0x80] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                let _ = read(&damaged); // an error or another valid entry; the frame's checksum tells which
            }
        }
    }
}
