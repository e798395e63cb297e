//! The definition of a topic match, written as directly as possible: what the quick ones are tested against.

pub fn matches(pattern: &str, key: &str) -> bool {
    words_match(&pattern.split('.').collect::<Vec<_>>(), &key.split('.').collect::<Vec<_>>())
}

fn words_match(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern.split_first(), key.split_first()) {
        (None, None) => true,
        (Some((&"#", rest)), _) => (0..=key.len()).any(|skipped| words_match(rest, &key[skipped..])),
        (Some((&word, rest)), Some((&of_key, key_rest))) => {
            (word == "*" || word == of_key) && words_match(rest, key_rest)
        }
        _ => false,
    }
}
