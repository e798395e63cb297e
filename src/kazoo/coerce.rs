//! Kazoo's booleans and numbers often arrive as text. Called where a payload promises a type.

use serde_json::Number;

use crate::kazoo::fields::Seen;

/// `true` or the text of it, in any case.
pub fn is_true<'a>(value: impl Into<Seen<'a>>) -> bool {
    match value.into() {
        Seen::Truth(truth) => truth,
        Seen::Text(text) => is_true_text(text),
        _ => false,
    }
}

pub fn is_true_text(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

/// A whole number or the text of one; nothing else is rounded into one.
pub fn integer<'a>(value: impl Into<Seen<'a>>) -> Option<Number> {
    let number = number(value)?;
    if number.is_i64() || number.is_u64() {
        return Some(number);
    }
    // Beyond 2^53 a float no longer says which integer was meant.
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0)?;
    Some(Number::from(float as i64))
}

/// A number or the text of one.
pub fn number<'a>(value: impl Into<Seen<'a>>) -> Option<Number> {
    match value.into() {
        Seen::Number(number) => Some(number.clone()),
        Seen::Text(text) => number_of_text(text.trim()),
        _ => None,
    }
}

fn number_of_text(text: &str) -> Option<Number> {
    // Rust reads "inf" and "nan" as floats; `from_f64` refuses those.
    text.parse::<i64>().map(Number::from).ok().or_else(|| Number::from_f64(text.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{integer, is_true, number};

    #[track_caller]
    fn check(value: Value, truth: bool, as_integer: Value, as_number: Value) {
        let found =
            (integer(&value).map_or(Value::Null, Value::Number), number(&value).map_or(Value::Null, Value::Number));
        assert_eq!((is_true(&value), found), (truth, (as_integer, as_number)), "{value}");
    }

    #[test]
    fn text_counts_as_what_it_says() {
        check(json!(true), true, Value::Null, Value::Null);
        check(json!("true"), true, Value::Null, Value::Null);
        check(json!("TRUE"), true, Value::Null, Value::Null);
        check(json!("false"), false, Value::Null, Value::Null);
        check(json!("yes"), false, Value::Null, Value::Null);
        check(json!(12), false, json!(12), json!(12));
        check(json!("12"), false, json!(12), json!(12));
        check(json!("-012"), false, json!(-12), json!(-12));
        check(json!(12.0), false, json!(12), json!(12.0));
        check(json!("12.5"), false, Value::Null, json!(12.5));
        check(json!(u64::MAX), false, json!(u64::MAX), json!(u64::MAX));
        check(json!(1e300), false, Value::Null, json!(1e300));
        check(json!("nan"), false, Value::Null, Value::Null);
        check(json!("inf"), false, Value::Null, Value::Null);
        check(json!(""), false, Value::Null, Value::Null);
        check(json!(["12"]), false, Value::Null, Value::Null);
        check(Value::Null, false, Value::Null, Value::Null);
    }
}
