//! Pages of what lies on disk: attempts and dead letters.
//!
//! They are read in chunks, newest first or oldest first, and only as far as a page needs. A filter that lets little
//! through ends after a bounded number of records with a short page, and `next_start_key` goes on from there.

use serde_json::Value;

use super::call::offload;
use super::error::ApiError;
use super::page::{Key, Listing, Page};
use crate::config::Http;

/// Records read at a time: with bodies at their limit some 20 MB.
const CHUNK: usize = 500;

/// So that a small page with a filter does not take a read for each record.
const CHUNK_MIN: usize = 50;

/// Records looked at for one page.
const SCAN_MAX: usize = 10_000;

/// A record on disk with its place in the listing.
pub trait Recorded: Send + 'static {
    fn key(&self) -> Key;

    /// `None` for one that cannot be read.
    fn document(&self) -> Option<Value>;
}

/// `fetch` gets the key to start at, itself included, and how many to read at most.
pub async fn page<T: Recorded>(
    listing: &Listing,
    limits: &Http,
    fetch: impl AsyncFn(Option<Key>, usize) -> Result<Vec<T>, ApiError>,
) -> Result<Page, ApiError> {
    // Without paging there would be no bound on what one request reads; it gets the largest page instead.
    let size = listing.size().unwrap_or(limits.page_size_max);
    let chunk = if listing.filter().needs_document() { CHUNK } else { size.clamp(CHUNK_MIN, CHUNK) };
    let mut found: Vec<(Key, Value)> = Vec::new();
    let mut start = listing.start();
    let mut next = None;
    for _ in 0..SCAN_MAX.div_ceil(chunk) {
        let mut records = fetch(start, chunk + 1).await?;
        next = if records.len() > chunk { records.pop().map(|record| record.key()) } else { None };
        let filter = listing.filter();
        records.retain(|record| filter.is_within(record.key().created_ms));
        let documents = offload(move || records.iter().filter_map(document).collect::<Vec<_>>()).await?;
        found.extend(documents.into_iter().filter(|(_, document)| filter.matches(document)));
        if found.len() >= size || next.is_none() {
            break;
        }
        start = next;
    }
    if let Some((key, _)) = found.get(size) {
        next = Some(*key);
    }
    found.truncate(size);
    Ok(Page {
        start_key: found.first().map(|(key, _)| key.to_text()),
        next_start_key: next.map(Key::to_text),
        items: found.into_iter().map(|(_, document)| document).collect(),
    })
}

fn document(record: &impl Recorded) -> Option<(Key, Value)> {
    Some((record.key(), record.document()?))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::{Value, json};

    use super::{ApiError, CHUNK, CHUNK_MIN, Http, Key, Listing, Page, Recorded, SCAN_MAX, page};
    use crate::http::query::Query;

    struct Record(u64);

    impl Recorded for Record {
        fn key(&self) -> Key {
            Key { created_ms: self.0, id: [0; 16] }
        }

        fn document(&self) -> Option<Value> {
            // Every tenth cannot be read.
            (self.0 % 10 != 9).then(|| json!({ "number": self.0, "rare": self.0 == 5 }))
        }
    }

    /// Pages through `count` records; answers the page and how many records were read for it.
    async fn scan(query: &str, count: u64) -> (Page, usize) {
        let limits = Http { page_size_max: 200, ..Http::default() };
        let listing = Listing::parse(&Query::parse(query), &limits).unwrap();
        let read = Cell::new(0);
        let fetch = async |start: Option<Key>, limit: usize| {
            let first = start.map_or(count, |key| key.created_ms + 1);
            let records: Vec<Record> = (0..first).rev().take(limit).map(Record).collect();
            read.set(read.get() + records.len());
            Ok::<_, ApiError>(records)
        };
        let page = page(&listing, &limits, fetch).await.unwrap();
        (page, read.get())
    }

    fn numbers(page: &Page) -> Vec<u64> {
        page.items.iter().map(|item| item["number"].as_u64().unwrap()).collect()
    }

    #[actix_web::test]
    async fn walking_the_pages_shows_every_readable_record_once() {
        for query in ["page_size=7", "page_size=60", "page_size=200", "page_size=3&filter_rare=false"] {
            let mut seen = Vec::new();
            let mut start = String::new();
            loop {
                let (page, _) = scan(&format!("{query}&start_key={start}"), 207).await;
                seen.extend(numbers(&page));
                match page.next_start_key {
                    Some(key) => start = key,
                    None => break,
                }
            }
            let rare = |number: &u64| !query.contains("rare") || *number != 5;
            let expected: Vec<u64> = (0..207).rev().filter(|number| number % 10 != 9).filter(rare).collect();
            assert_eq!(seen, expected, "{query}");
        }
    }

    #[actix_web::test]
    async fn a_page_reads_little_more_than_it_shows() {
        let (page, read) = scan("page_size=1", 100_000).await;
        assert_eq!((page.items.len(), read), (1, CHUNK_MIN + 1));
        let (page, read) = scan("paginate=false", 100_000).await;
        assert_eq!(page.items.len(), 200);
        assert!(read < 500 && page.next_start_key.is_some(), "{read}");
    }

    #[actix_web::test]
    async fn a_filter_that_lets_little_through_ends_with_a_key_to_go_on_from() {
        let (mut page, read) = scan("filter_rare=true", 15_000).await;
        assert!(page.items.is_empty() && read <= SCAN_MAX + SCAN_MAX / CHUNK, "{read}");
        while let Some(key) = page.next_start_key.take() {
            page = scan(&format!("filter_rare=true&start_key={key}"), 15_000).await.0;
        }
        assert_eq!(numbers(&page), [5]);
    }

    #[actix_web::test]
    async fn what_is_outside_the_window_is_not_shown() {
        let (page, _) = scan("created_from=62167219201&created_to=62167219201", 10_000).await;
        assert!(numbers(&page).iter().all(|number| (1_000..2_000).contains(number)));
    }
}
