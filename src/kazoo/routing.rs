//! Where Kazoo would publish an event: for events that come in over HTTP without an exchange and routing key.

use crate::kazoo::database::database_path;
use crate::kazoo::head::Head;
use crate::kazoo::notifications;
use crate::kazoo::segment::encode_segment;
use crate::kazoo::table::{self, Row, UNDEFINED, Word};

/// The exchange and routing key under which Kazoo would publish the event. `None` for an event of no known kind.
///
/// An id that the event lacks becomes the word [`UNDEFINED`], so that the key keeps its shape.
pub fn routing(head: &Head) -> Option<(&'static str, String)> {
    let (category, name) = (head.event_category.as_deref()?, head.event_name.as_deref()?);
    if category == notifications::EVENT_CATEGORY {
        return notifications::by_name(name).map(|row| (notifications::EXCHANGE, row.routing_key()));
    }
    let row = table::row(category, name)?;
    let words: Vec<String> = row.key.iter().map(|word| segment(*word, row, head)).collect();
    Some((row.exchange, words.join(".")))
}

fn segment(word: Word, row: &Row, head: &Head) -> String {
    let id = match word {
        Word::Literal(literal) => return literal.into(),
        Word::Category => return row.category.into(),
        Word::Name => return row.name.into(),
        Word::Account => head.account_id.as_deref().or(head.channel_account_id.as_deref()),
        Word::Action => head.action.as_deref(),
        Word::CallId => head.call_id.as_deref(),
        Word::ConferenceId => head.conference_id.as_deref(),
        Word::Database => return segment_of(head.database.as_deref().map(database_path).as_deref()),
        Word::DocId => head.doc_id.as_deref(),
        Word::DocType => head.doc_type.as_deref(),
        Word::Event => head.event.as_deref(),
        // Kazoo's fax application calls it Job-ID.
        Word::FaxId => head.fax_id.as_deref().or(head.job_id.as_deref()),
        Word::MessageId => head.message_id.as_deref(),
        Word::Realm => head.presence_realm(),
        Word::RouteType => return segment_of(head.route_type.as_deref().map(str::to_ascii_lowercase).as_deref()),
        Word::User => head.presence_user(),
    };
    segment_of(id)
}

fn segment_of(id: Option<&str>) -> String {
    id.filter(|id| !id.is_empty()).map_or_else(|| UNDEFINED.into(), |id| encode_segment(id).into_owned())
}

#[cfg(test)]
mod tests {
    // The key of every row is checked beside its kind, in `classify`.
    use super::routing;
    use crate::kazoo::head::Head;
    use crate::kazoo::table::ROWS;

    #[test]
    fn missing_ids_keep_the_shape_of_the_routing_key() {
        for row in &ROWS {
            let bare = Head {
                event_category: Some(row.category.into()),
                event_name: Some(row.name.into()),
                ..Head::default()
            };
            let (_, key) = routing(&bare).unwrap();
            assert_eq!(key.split('.').count(), row.key.len(), "{key}");
            assert!(key.split('.').all(|word| !word.is_empty()), "{key}");
        }
    }
}
