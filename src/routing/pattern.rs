//! AMQP topic patterns: words separated by dots, `*` for one word, `#` for any number of words. Pure.

use std::fmt;

/// One word of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Word {
    Exactly(Box<str>),
    /// `*`
    One,
    /// `#`
    Any,
}

/// A parsed pattern. Runs of `#` are one `#`, so that equal meaning gives equal words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern(Box<[Word]>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    #[error("pattern has {0} bytes, more than the {max} that AMQP allows", max = Pattern::BYTES_MAX)]
    TooLong(usize),
    #[error("pattern {0:?} mixes a wildcard with other characters in one word")]
    MixedWord(String),
}

impl Pattern {
    /// The longest routing key that AMQP can carry.
    pub const BYTES_MAX: usize = 255;

    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        if text.len() > Self::BYTES_MAX {
            return Err(BadPattern::TooLong(text.len()));
        }
        let mut words = Vec::new();
        for word in text.split('.') {
            match word {
                "#" if words.last() == Some(&Word::Any) => (),
                "#" => words.push(Word::Any),
                "*" => words.push(Word::One),
                mixed if mixed.contains(['*', '#']) => return Err(BadPattern::MixedWord(text.to_owned())),
                exact => words.push(Word::Exactly(exact.into())),
            }
        }
        Ok(Self(words.into()))
    }

    pub fn words(&self) -> &[Word] {
        &self.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, word) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(".")?;
            }
            f.write_str(match word {
                Word::Exactly(text) => text,
                Word::One => "*",
                Word::Any => "#",
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{BadPattern, Pattern};

    #[test]
    fn patterns_are_words_and_wildcards() {
        assert_eq!(Pattern::parse("call.*.#.#").unwrap().to_string(), "call.*.#");
        assert_eq!(Pattern::parse("").unwrap().to_string(), "");
        assert!(matches!(Pattern::parse("call.CHANNEL_*"), Err(BadPattern::MixedWord(_))));
        assert_eq!(Pattern::parse(&"a".repeat(256)), Err(BadPattern::TooLong(256)));
    }
}
