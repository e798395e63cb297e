//! Cuts long values into pieces, each a record of its own, and puts them together again.
//!
//! sled keeps a node above 128 KiB in a file of its own, which it never syncs; and when such a file cannot be
//! written, its next flush waits for ever. A node holds about 20 records, so pieces of 4 KiB stay well below.
//!
//! The first piece lies under the value's key and begins with the number of further ones, which lie in a table of
//! their own. Called by `group`, `read`, `scan` and `repair`.

use sled::{Db, IVec};

use crate::store::codec::{BadRecord, Reader};
use crate::store::error::StoreError;
use crate::store::keys;
use crate::store::read::{bad_record, read_error};

const PIECE_BYTES: usize = 4096;

/// The records that hold `value` under `key`, that of `key` itself first.
pub(super) fn split(key: &[u8], value: &[u8]) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let (first, rest) = value.split_at(value.len().min(PIECE_BYTES));
    let further = rest.chunks(PIECE_BYTES);
    let count = u32::try_from(further.len()).expect("a value in memory has fewer than 2^32 pieces");
    let head = (key.to_vec(), [&count.to_be_bytes(), first].concat());
    let further = (0..count).zip(further).map(|(index, piece)| (keys::part(key, index), piece.to_vec()));
    std::iter::once(head).chain(further)
}

/// The keys of the records beyond `head`, the record under `key`.
pub(super) fn further_keys(key: &[u8], head: &[u8]) -> Result<impl Iterator<Item = Vec<u8>>, BadRecord> {
    let count = Reader::new(head).u32()?;
    Ok((0..count).map(move |index| keys::part(key, index)))
}

/// What the value begins with: all of it up to the length of a piece.
pub(super) fn first_piece(head: &[u8]) -> Result<&[u8], BadRecord> {
    let mut reader = Reader::new(head);
    reader.u32()?;
    Ok(reader.rest())
}

/// The value under `key`, where `head` was just found. `None` when it was deleted meanwhile: the store's thread does
/// not wait for readers, so a value is whole only if its head is still the same once its pieces are read.
pub(super) fn join(db: &Db, key: &[u8], mut head: IVec) -> Result<Option<Vec<u8>>, StoreError> {
    loop {
        let mut value = first_piece(&head).map_err(|cause| bad_record(key, cause))?.to_vec();
        let mut keys = further_keys(key, &head).map_err(|cause| bad_record(key, cause))?.peekable();
        if keys.peek().is_none() {
            return Ok(Some(value));
        }
        let mut is_whole = true;
        for key in keys {
            match db.get(&key).map_err(read_error)? {
                Some(piece) => value.extend_from_slice(&piece),
                None => is_whole = false,
            }
        }
        match db.get(key).map_err(read_error)? {
            None => return Ok(None),
            Some(now) if now != head => head = now,
            Some(_) if is_whole => return Ok(Some(value)),
            Some(_) => return Err(bad_record(key, BadRecord::Short)),
        }
    }
}
