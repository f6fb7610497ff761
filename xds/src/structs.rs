//! JSON as `google.protobuf.Struct`, and back.
//!
//! Numbers are doubles there, as in JSON: a whole number comes back as one where a double can say it exactly.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde_json::{Map, Number};

/// Larger whole numbers are not all doubles.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// An object; what is no object is an empty one.
#[must_use]
pub fn from_json(json: &serde_json::Value) -> Struct {
    json.as_object().map(fields).unwrap_or_default()
}

fn fields(map: &Map<String, serde_json::Value>) -> Struct {
    let fields = map
        .iter()
        .map(|(name, value)| (name.clone(), of_json(value)));
    Struct {
        fields: fields.collect(),
    }
}

fn of_json(json: &serde_json::Value) -> Value {
    let kind = match json {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(is) => Kind::BoolValue(*is),
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        serde_json::Value::String(text) => Kind::StringValue(text.clone()),
        serde_json::Value::Array(values) => Kind::ListValue(ListValue {
            values: values.iter().map(of_json).collect(),
        }),
        serde_json::Value::Object(map) => Kind::StructValue(fields(map)),
    };
    Value { kind: Some(kind) }
}

/// As JSON. What JSON cannot say (a number that is none) is null.
#[must_use]
pub fn to_json(of: Struct) -> serde_json::Value {
    let fields = of.fields.into_iter();
    serde_json::Value::Object(
        fields
            .map(|(name, value)| (name, value_to_json(value)))
            .collect(),
    )
}

fn value_to_json(value: Value) -> serde_json::Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => serde_json::Value::Null,
        Some(Kind::BoolValue(is)) => is.into(),
        Some(Kind::NumberValue(number)) => number_to_json(number),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(value_to_json).collect(),
        Some(Kind::StructValue(of)) => to_json(of),
    }
}

fn number_to_json(number: f64) -> serde_json::Value {
    if number.fract() == 0.0 && number.abs() <= EXACT {
        // It is whole, and in range.
        #[expect(clippy::cast_possible_truncation, reason = "checked above")]
        return (number as i64).into();
    }
    Number::from_f64(number).map_or(serde_json::Value::Null, serde_json::Value::Number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            (-9_007_199_254_740_992_i64..9_007_199_254_740_992).prop_map(Json::from),
            (0_i32..1000).prop_map(|n| Json::from(f64::from(n) + 0.25)),
            ".{0,8}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::hash_map(".{0,4}", inner, 0..4)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same(inner in any_json()) {
            let json = json!({ "spec": inner });
            prop_assert_eq!(to_json(from_json(&json)), json);
        }
    }

    #[test]
    fn what_is_no_object_is_an_empty_one() {
        assert_eq!(to_json(from_json(&json!([1]))), json!({}));
        assert_eq!(number_to_json(f64::NAN), Json::Null);
    }
}
