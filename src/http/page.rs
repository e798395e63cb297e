//! Cuts a listing into pages: `page_size`, `start_key`, `paginate=false`, `ascending=true`; newest first by default.
//!
//! A key says where an item stands, not which item it is: when the item at a page's start was deleted meanwhile, the
//! page starts at the next one.

use std::cmp::Reverse;

use serde_json::Value;

use super::filter::{Filter, number};
use super::query::Query;
use crate::config::Http;
use crate::validation::Faults;

/// What has a place in a listing.
pub trait Listed {
    fn key(&self) -> Key;

    /// What filters look at.
    fn document(&self) -> Value;

    /// What the listing shows.
    fn summary(&self) -> Value;
}

/// The place of an item: by time, and by id within the same millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub created_ms: u64,
    pub id: [u8; 16],
}

impl Key {
    fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 24];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        let (time, id) = bytes.split_first_chunk()?;
        Some(Self { created_ms: u64::from_be_bytes(*time), id: id.try_into().ok()? })
    }

    pub fn to_text(self) -> String {
        format!("{:016x}{}", self.created_ms, hex::encode(self.id))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    NewestFirst,
    OldestFirst,
}

#[derive(Debug, PartialEq)]
pub struct Listing {
    filter: Filter,
    order: Order,
    start: Option<Key>,
    /// `None` with `paginate=false`.
    size: Option<usize>,
}

/// A page as the envelope shows it.
#[derive(Debug, Default, PartialEq)]
pub struct Page {
    pub items: Vec<Value>,
    pub start_key: Option<String>,
    pub next_start_key: Option<String>,
}

impl Page {
    /// All there is, in the order given.
    pub fn whole(items: Vec<Value>) -> Self {
        Self { items, start_key: None, next_start_key: None }
    }
}

impl Listing {
    pub fn parse(query: &Query, limits: &Http) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        let filter = Filter::parse(query, &mut faults);
        let size = page_size(query, limits, &mut faults);
        let listing = Self {
            filter,
            order: if flag(query, "ascending", &mut faults) == Some(true) {
                Order::OldestFirst
            } else {
                Order::NewestFirst
            },
            start: start_key(query, &mut faults),
            size: (flag(query, "paginate", &mut faults) != Some(false)).then_some(size),
        };
        faults.into_result()?;
        Ok(listing)
    }

    /// Where all there is has always been shown at once: pages come only when they are asked for.
    pub fn parse_whole(query: &Query, limits: &Http) -> Result<Self, Faults> {
        let mut listing = Self::parse(query, limits)?;
        if ["page_size", "start_key"].iter().all(|key| query.get(key).is_none_or(str::is_empty)) {
            listing.size = None;
        }
        Ok(listing)
    }

    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    pub fn order(&self) -> Order {
        self.order
    }

    pub fn start(&self) -> Option<Key> {
        self.start
    }

    /// `None` with `paginate=false`.
    pub fn size(&self) -> Option<usize> {
        self.size
    }

    /// Filters, sorts and cuts. Takes long for many items: callers run it off the worker.
    pub fn page<T: Listed>(&self, mut items: Vec<T>) -> Page {
        match self.order {
            Order::NewestFirst => items.sort_by_key(|item| Reverse(item.key())),
            Order::OldestFirst => items.sort_by_key(T::key),
        }
        let mut rest = items.iter().filter(|item| self.starts_at_or_before(item.key()) && self.lets_through(*item));
        let Some(size) = self.size else {
            return Page::whole(rest.map(T::summary).collect());
        };
        let shown: Vec<&T> = rest.by_ref().take(size).collect();
        Page {
            start_key: shown.first().map(|item| item.key().to_text()),
            next_start_key: rest.next().map(|item| item.key().to_text()),
            items: shown.into_iter().map(T::summary).collect(),
        }
    }

    fn starts_at_or_before(&self, key: Key) -> bool {
        match (self.start, self.order) {
            (None, _) => true,
            (Some(start), Order::NewestFirst) => key <= start,
            (Some(start), Order::OldestFirst) => key >= start,
        }
    }

    fn lets_through(&self, item: &impl Listed) -> bool {
        self.filter.is_within(item.key().created_ms)
            && (!self.filter.needs_document() || self.filter.matches(&item.document()))
    }
}

fn page_size(query: &Query, limits: &Http, faults: &mut Faults) -> usize {
    let Some(size) = number(query, "page_size", faults) else {
        return limits.page_size;
    };
    let max = limits.page_size_max;
    match usize::try_from(size) {
        Ok(size) if (1..=max).contains(&size) => return size,
        Ok(0) => faults.add("page_size", "minimum", "Value must be at least 1", Some(size.into()), Some(1.into())),
        _ => {
            let message = format!("Value must be at most {max}");
            faults.add("page_size", "maximum", &message, Some(size.into()), Some(max.into()));
        }
    }
    limits.page_size
}

fn start_key(query: &Query, faults: &mut Faults) -> Option<Key> {
    // An empty one is what a form sends for "from the start".
    let text = query.get("start_key").filter(|text| !text.is_empty())?;
    let key = Key::parse(text);
    if key.is_none() {
        let message = "Value is not a start_key or next_start_key of this listing";
        faults.add("start_key", "format", message, Some(text.into()), None);
    }
    key
}

fn flag(query: &Query, name: &str, faults: &mut Faults) -> Option<bool> {
    match query.get(name)? {
        "true" => Some(true),
        "false" => Some(false),
        other => {
            faults.wrong_type(name, "boolean", &other.into());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Http, Key, Listed, Listing, Query};

    struct Item(u64);

    impl Listed for Item {
        fn key(&self) -> Key {
            Key { created_ms: self.0, id: [7; 16] }
        }

        fn document(&self) -> Value {
            json!({ "even": self.0.is_multiple_of(2) })
        }

        fn summary(&self) -> Value {
            self.0.into()
        }
    }

    fn listing(query: &str) -> Listing {
        Listing::parse(&Query::parse(query), &Http::default()).unwrap()
    }

    #[track_caller]
    fn check(query: &str, count: u64, expected: &[u64]) {
        let page = listing(query).page((0..count).map(Item).collect());
        assert_eq!(page.items, expected.iter().map(|number| json!(number)).collect::<Vec<_>>(), "{query}");
    }

    /// Follows `next_start_key` to the end.
    #[track_caller]
    fn check_walk(query: &str, count: u64, pages: usize) {
        let mut seen = Vec::new();
        let mut next = String::new();
        for turn in 1.. {
            let page = listing(&format!("{query}&start_key={next}")).page((0..count).map(Item).collect());
            seen.extend(page.items.iter().map(|item| item.as_u64().unwrap()));
            match page.next_start_key {
                Some(key) => next = key,
                None => {
                    assert_eq!(turn, pages, "{query}");
                    break;
                }
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..count).collect::<Vec<_>>(), "{query}");
    }

    #[test]
    fn newest_come_first_and_fifty_of_them() {
        check("", 3, &[2, 1, 0]);
        check("", 60, &(10..60).rev().collect::<Vec<_>>());
        check("ascending=true", 3, &[0, 1, 2]);
        check("page_size=2", 3, &[2, 1]);
        check("paginate=false", 60, &(0..60).rev().collect::<Vec<_>>());
        check("filter_even=true&page_size=2", 7, &[6, 4]);
    }

    #[test]
    fn walking_the_pages_shows_every_item_once() {
        check_walk("page_size=7", 50, 8);
        check_walk("page_size=7&ascending=true", 50, 8);
        check_walk("page_size=50", 50, 1);
        check_walk("page_size=50", 0, 1);
    }

    #[test]
    fn page_starts_at_the_next_item_when_the_first_was_deleted() {
        let next = listing("page_size=2").page((0..5).map(Item).collect()).next_start_key.unwrap();
        let page = listing(&format!("page_size=2&start_key={next}")).page([0, 1, 3, 4].map(Item).into());
        assert_eq!(page.items, [json!(1), json!(0)]);
    }

    #[test]
    fn an_empty_or_whole_listing_has_no_keys() {
        assert_eq!(listing("").page(Vec::<Item>::new()).start_key, None);
        assert_eq!(listing("paginate=false").page(vec![Item(1)]).start_key, None);
        assert!(listing("").page(vec![Item(1)]).start_key.is_some());
    }

    #[test]
    fn every_bad_parameter_is_named() {
        let query = "page_size=0&start_key=x&paginate=maybe&ascending=1&created_from=x";
        let faults = Listing::parse(&Query::parse(query), &Http::default()).unwrap_err().into_value();
        for (field, rule) in [
            ("page_size", "minimum"),
            ("start_key", "format"),
            ("paginate", "type"),
            ("ascending", "type"),
            ("created_from", "type"),
        ] {
            assert!(faults[field][rule]["message"].is_string(), "{field}");
        }
        let faults = Listing::parse(&Query::parse("page_size=1001"), &Http::default()).unwrap_err().into_value();
        assert_eq!(faults["page_size"]["maximum"]["target"], 1_000);
    }
}
