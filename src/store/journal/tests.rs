//! The journal as a file: what comes back from it, whole and cut.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::store::journal::{Changes, FoundJournal, Journal, JournalDamage, Limits, NewJournal, Tail, replay};
use crate::store::keys::{SingleKey, Table, single};

fn key(n: u8) -> SingleKey {
    single(Table::Hook, &[n; 16])
}

fn changes(changes: &[(u8, Option<&str>)]) -> Changes {
    let change = |(n, record): &(u8, Option<&str>)| (key(*n), record.map(|record| record.as_bytes().to_vec()));
    changes.iter().map(change).collect()
}

/// Two records from the start in one frame, then two frames.
fn journal(path: &Path) -> Journal {
    let first = [(key(1), b"one".to_vec()), (key(2), b"two".to_vec())];
    let new = NewJournal::write(path, 3, 10, first.into_iter().map(Ok)).unwrap();
    let mut journal = new.put_in_place().unwrap();
    journal.append(11, &changes(&[(1, None), (3, Some("three"))])).unwrap();
    journal.append(14, &changes(&[(2, Some("two again"))])).unwrap();
    journal
}

/// The last group, what is behind it, and the records.
fn read(path: &Path) -> Result<(u64, Tail, Changes), JournalDamage> {
    match Journal::find(path).unwrap() {
        FoundJournal::Read(file, end, contents) => {
            let mut records = Changes::new();
            let visit = &mut |key, record: Option<&[u8]>| match record {
                Some(record) => drop(records.insert(key, Some(record.to_vec()))),
                None => drop(records.remove(&key)),
            };
            assert!(replay(&file, visit).is_ok());
            let there = records.iter().map(|(key, record)| (*key, record.as_deref().unwrap()));
            assert_eq!(contents.differences(there), 0);
            assert_eq!(contents.hooks(), records.len() as u64);
            Ok((end.sequence, end.tail, records))
        }
        FoundJournal::Damaged(damage) => Err(damage),
        FoundJournal::Missing | FoundJournal::Newer(_) => panic!("it is gone"),
    }
}

#[test]
fn records_come_back_as_they_were_left() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("journal");
    assert!(matches!(Journal::find(&path).unwrap(), FoundJournal::Missing));
    journal(&path);
    let expected = changes(&[(2, Some("two again")), (3, Some("three"))]);
    assert_eq!(read(&path), Ok((14, Tail::Clean, expected)));
}

#[test]
fn a_cut_at_any_byte_leaves_whole_groups_or_is_damage() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("journal");
    journal(&path);
    let whole = fs::read(&path).unwrap();
    // The header is followed by frames of 32 bytes and their entries.
    let first = 52 + 32 + 2 * (1 + 17 + 4 + 3);
    let second = first + 32 + (1 + 17) + (1 + 17 + 4 + 5);
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let tail = if length == first || length == second { Tail::Clean } else { Tail::Torn };
        let expected = match length {
            ..52 => Err(JournalDamage::Header),
            _ if length < first => Err(JournalDamage::Short(10)),
            _ if length < second => Ok((10, tail, changes(&[(1, Some("one")), (2, Some("two"))]))),
            _ => Ok((11, tail, changes(&[(2, Some("two")), (3, Some("three"))]))),
        };
        assert_eq!(read(&path), expected, "{length} bytes");
    }
}

#[test]
fn no_byte_can_change_unnoticed() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("journal");
    journal(&path);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        fs::write(&path, bytes).unwrap();
        match read(&path) {
            Ok((sequence, tail, _)) => assert_eq!((sequence < 14, tail), (true, Tail::Torn), "byte {at}"),
            Err(JournalDamage::Header | JournalDamage::Short(10)) => (),
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
}

#[test]
fn a_frame_does_not_fit_in_another_place() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("journal");
    let mut journal = journal(&path);
    let length = fs::read(&path).unwrap().len();
    journal.append(15, &changes(&[(4, Some("four"))])).unwrap();
    let frame = fs::read(&path).unwrap()[length..].to_vec();
    journal.append(16, &changes(&[(4, None)])).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(&frame);
    fs::write(&path, bytes).unwrap();
    let (sequence, tail, records) = read(&path).unwrap();
    assert_eq!((sequence, tail, records.len()), (16, Tail::Torn, 2));
}

#[test]
fn it_has_outgrown_its_limits_when_most_of_it_is_history() {
    let dir = TempDir::new().unwrap();
    let mut journal = journal(&dir.path().join("journal"));
    let limits = |bytes_min| Limits { bytes_min, growth: 2 };
    assert!(!journal.has_outgrown(limits(0)));
    for sequence in 15..25 {
        journal.append(sequence, &changes(&[(2, Some("two"))])).unwrap();
    }
    assert!(journal.has_outgrown(limits(0)));
    assert!(!journal.has_outgrown(limits(10_000)));
    journal.put_off();
    assert!(!journal.has_outgrown(limits(0)));
}
