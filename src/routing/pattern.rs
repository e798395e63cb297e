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

    /// A pattern of words that are known to be whole: what stands in [`Word::Exactly`] means itself, dots included.
    pub fn of_words(words: impl IntoIterator<Item = Word>) -> Self {
        let mut kept: Vec<Word> = Vec::new();
        for word in words {
            if word != Word::Any || kept.last() != Some(&Word::Any) {
                kept.push(word);
            }
        }
        Self(kept.into())
    }

    /// Whether it matches a key. For many patterns there is the forest.
    pub fn matches(&self, key: &str) -> bool {
        let words: Vec<&str> = key.split('.').collect();
        matches(&self.0, &words)
    }

    pub fn words(&self) -> &[Word] {
        &self.0
    }
}

fn matches(pattern: &[Word], key: &[&str]) -> bool {
    match (pattern.split_first(), key.split_first()) {
        (None, None) => true,
        (Some((Word::Any, rest)), _) => (0..=key.len()).any(|skipped| matches(rest, &key[skipped..])),
        (Some((Word::One, rest)), Some((_, of_key))) => matches(rest, of_key),
        (Some((Word::Exactly(word), rest)), Some((first, of_key))) => **word == **first && matches(rest, of_key),
        _ => false,
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
    use super::{BadPattern, Pattern, Word};

    #[test]
    fn words_mean_themselves() {
        let exactly = |text: &str| Word::Exactly(text.into());
        let words = [exactly("a*"), Word::Any, Word::Any, Word::One];
        assert_eq!(Pattern::of_words(words).words(), [exactly("a*"), Word::Any, Word::One]);
        assert_eq!(Pattern::of_words([exactly("a"), Word::One]), Pattern::parse("a.*").unwrap());
    }

    #[test]
    fn patterns_are_words_and_wildcards() {
        assert_eq!(Pattern::parse("call.*.#.#").unwrap().to_string(), "call.*.#");
        assert_eq!(Pattern::parse("").unwrap().to_string(), "");
        assert!(matches!(Pattern::parse("call.CHANNEL_*"), Err(BadPattern::MixedWord(_))));
        assert_eq!(Pattern::parse(&"a".repeat(256)), Err(BadPattern::TooLong(256)));
    }
}
