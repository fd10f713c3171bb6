//! An open file of the fault disk.

use super::{FaultDisk, FaultKind, Operation};
use crate::io::File;
use std::{io, path::PathBuf};

#[derive(Debug)]
pub(super) struct FaultFile {
    pub(super) disk: FaultDisk,
    /// Its name when it was opened.
    pub(super) path: PathBuf,
    pub(super) inner: Box<dyn File>,
    pub(super) inode: u64,
}

impl File for FaultFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let fault = self.disk.call();
        let written = match fault {
            None => bytes,
            Some(FaultKind::Short) => bytes.get(..bytes.len() / 2).unwrap_or_default(),
            Some(kind) => return Err(kind.error(&self.path)),
        };
        self.inner.write_at(written, offset)?;
        self.disk.journal(Operation::Write { inode: self.inode, offset, bytes: written.to_vec() });
        fault.map_or(Ok(()), |kind| Err(kind.error(&self.path)))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.check(&self.path)?;
        self.inner.read_at(buffer, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.disk.check(&self.path)?;
        let length = length.max(self.inner.len()?);
        self.inner.set_len(length)?;
        self.disk.journal(Operation::SetLen { inode: self.inode, length });
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.check(&self.path)?;
        self.inner.set_len(length)?;
        self.disk.journal(Operation::SetLen { inode: self.inode, length });
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.disk.check(&self.path)?;
        self.inner.len()
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.disk.call() {
            None => {
                self.disk.journal(Operation::SyncData { inode: self.inode });
                Ok(())
            }
            Some(kind) => {
                self.disk.journal(Operation::SyncFailed { inode: self.inode });
                Err(kind.error(&self.path))
            }
        }
    }
}
