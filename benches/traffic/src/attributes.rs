//! Building OTLP attribute lists.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};

/// An attribute list in the making.
#[derive(Debug, Default)]
pub(crate) struct Attributes(Vec<KeyValue>);

impl Attributes {
    /// An empty list with room for a usual span's attributes.
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(24))
    }

    fn put(mut self, key: &str, value: Value) -> Self {
        self.0.push(KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() });
        self
    }

    /// Adds a string.
    pub(crate) fn text(self, key: &str, value: impl Into<String>) -> Self {
        self.put(key, Value::StringValue(value.into()))
    }

    /// Adds a string, if there is one.
    pub(crate) fn maybe_text(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(key, value),
            None => self,
        }
    }

    /// Adds an integer.
    pub(crate) fn integer(self, key: &str, value: i64) -> Self {
        self.put(key, Value::IntValue(value))
    }

    /// Adds a floating-point number.
    pub(crate) fn double(self, key: &str, value: f64) -> Self {
        self.put(key, Value::DoubleValue(value))
    }

    /// Adds a truth value.
    pub(crate) fn truth(self, key: &str, value: bool) -> Self {
        self.put(key, Value::BoolValue(value))
    }

    /// Adds an array of strings.
    pub(crate) fn texts(self, key: &str, values: &[&str]) -> Self {
        let values = values.iter().map(|value| AnyValue { value: Some(Value::StringValue((*value).into())) });
        self.put(key, Value::ArrayValue(ArrayValue { values: values.collect() }))
    }

    /// The finished list.
    pub(crate) fn finish(self) -> Vec<KeyValue> {
        self.0
    }
}
