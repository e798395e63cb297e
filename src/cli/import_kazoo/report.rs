//! What an import says: a line on stderr for each document that was not taken as it is, and the figures at its end.

use std::fmt;

/// A line is for a person to read, whatever the dump holds.
const LINE_CHARS_MAX: usize = 500;

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    Account,
    ApiKey,
    Hook,
    Document,
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account => "account",
            Self::ApiKey => "API key of account",
            Self::Hook => "hook",
            Self::Document => "document",
        })
    }
}

/// How something was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Imported,
    Replaced,
    Unchanged,
}

/// Its `Display` is the figures.
#[derive(Debug)]
pub struct Report {
    accounts: Tally,
    api_keys: Tally,
    hooks: Tally,
    documents: Tally,
    lines: usize,
    lines_max: usize,
}

#[derive(Debug, Default)]
struct Tally {
    imported: u64,
    replaced: u64,
    unchanged: u64,
    skipped: u64,
}

impl Report {
    pub fn new(lines_max: usize) -> Self {
        Self {
            accounts: Tally::default(),
            api_keys: Tally::default(),
            hooks: Tally::default(),
            documents: Tally::default(),
            lines: 0,
            lines_max,
        }
    }

    pub fn taken(&mut self, topic: Topic, how: Taken) {
        let tally = self.tally(topic);
        match how {
            Taken::Imported => tally.imported += 1,
            Taken::Replaced => tally.replaced += 1,
            Taken::Unchanged => tally.unchanged += 1,
        }
    }

    pub fn left_out(&mut self, topic: Topic, id: impl fmt::Display, reason: impl fmt::Display) {
        self.tally(topic).skipped += 1;
        self.say(&format!("{topic} {id}: left out: {reason}"));
    }

    /// It was taken, but there is something to know about it.
    pub fn note(&mut self, topic: Topic, id: impl fmt::Display, note: impl fmt::Display) {
        self.say(&format!("{topic} {id}: {note}"));
    }

    /// How many lines were not written.
    pub fn end(&self) {
        let unsaid = self.lines.saturating_sub(self.lines_max);
        if unsaid > 0 {
            eprintln!("hookswitch: … and {unsaid} more lines than import.reports_max allows");
        }
    }

    fn say(&mut self, line: &str) {
        self.lines += 1;
        if self.lines <= self.lines_max {
            eprintln!("hookswitch: {}", printable(line));
        }
    }

    fn tally(&mut self, topic: Topic) -> &mut Tally {
        match topic {
            Topic::Account => &mut self.accounts,
            Topic::ApiKey => &mut self.api_keys,
            Topic::Hook => &mut self.hooks,
            Topic::Document => &mut self.documents,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, tally) in [("accounts", &self.accounts), ("API keys", &self.api_keys), ("hooks", &self.hooks)] {
            let Tally { imported, replaced, unchanged, skipped } = tally;
            writeln!(f, "{name}: {imported} imported, {replaced} replaced, {unchanged} unchanged, {skipped} skipped")?;
        }
        match self.documents.skipped {
            0 => Ok(()),
            skipped => writeln!(f, "other documents: {skipped} skipped"),
        }
    }
}

/// One line without control characters: ids and keys of a dump are anybody's words.
fn printable(text: &str) -> String {
    let cut = text.chars().take(LINE_CHARS_MAX);
    cut.map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::{LINE_CHARS_MAX, Report, Taken, Topic, printable};

    #[test]
    fn the_figures_count_every_topic_by_itself() {
        let mut report = Report::new(0);
        report.taken(Topic::Account, Taken::Imported);
        report.taken(Topic::Hook, Taken::Replaced);
        report.taken(Topic::ApiKey, Taken::Unchanged);
        report.left_out(Topic::Hook, "x", "no reason");
        report.note(Topic::Hook, "x", "nothing");
        let expected = "accounts: 1 imported, 0 replaced, 0 unchanged, 0 skipped\n\
            API keys: 0 imported, 0 replaced, 1 unchanged, 0 skipped\n\
            hooks: 0 imported, 1 replaced, 0 unchanged, 1 skipped\n";
        assert_eq!(report.to_string(), expected);
        report.left_out(Topic::Document, "x", "no reason");
        assert_eq!(report.to_string(), format!("{expected}other documents: 1 skipped\n"));
    }

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(printable("a\nb\u{1b}[2Jc"), "a\u{fffd}b\u{fffd}[2Jc");
        assert_eq!(printable(&"ö".repeat(1000)).chars().count(), LINE_CHARS_MAX);
    }
}
