//! [`JsonText`]: the JSON text of an array or key-value list, of bounded length, whichever encoding it came in.

use daytwo_storage::schema::anomaly;

use super::Limits;
use super::text::{self, TRUNCATED};

/// Writes one nested value. Both readers drive it; it keeps the length within the limit by leaving out what comes after.
#[derive(Debug)]
pub(super) struct JsonText<'l> {
    out: String,
    limits: &'l Limits,
    anomalies: i64,
    separate: bool,
}

impl<'l> JsonText<'l> {
    pub(super) fn new(limits: &'l Limits) -> Self {
        Self { out: String::new(), limits, anomalies: 0, separate: false }
    }

    /// The text and the anomalies met on the way.
    pub(super) fn finish(self) -> (String, i64) {
        (self.out, self.anomalies)
    }

    pub(super) fn anomalies(&mut self) -> &mut i64 {
        &mut self.anomalies
    }

    pub(super) fn limits(&self) -> &'l Limits {
        self.limits
    }

    /// Bytes that may still be written.
    pub(super) fn room(&self) -> usize {
        self.limits.value_bytes_max.saturating_sub(self.out.len())
    }

    /// Whether the limit is reached. The caller leaves out the rest of its container after one of the `cut` calls.
    pub(super) fn is_full(&self) -> bool {
        self.room() == 0
    }

    pub(super) fn open(&mut self, bracket: char) {
        self.before_value();
        self.out.push(bracket);
        self.separate = false;
    }

    pub(super) fn close(&mut self, bracket: char) {
        self.out.push(bracket);
        self.separate = true;
    }

    pub(super) fn key(&mut self, key: &str) {
        self.before_value();
        text::push_json_key(&mut self.out, key);
        self.separate = false;
    }

    /// Says, inside an array, that elements are missing.
    pub(super) fn cut_array(&mut self) {
        self.anomalies |= anomaly::VALUE_CUT;
        self.string(TRUNCATED);
    }

    /// Says, inside an object, that entries are missing.
    pub(super) fn cut_object(&mut self) {
        self.anomalies |= anomaly::VALUE_CUT;
        self.key(TRUNCATED);
        self.bool(true);
    }

    /// Stands for a value that is nested too deep.
    pub(super) fn too_deep(&mut self) {
        self.anomalies |= anomaly::DEPTH_CUT;
        self.string(TRUNCATED);
    }

    pub(super) fn string(&mut self, text: &str) {
        self.before_value();
        text::push_json_string(&mut self.out, text);
    }

    pub(super) fn integer(&mut self, number: i64) {
        self.before_value();
        text::push_number(&mut self.out, format_args!("{number}"));
    }

    pub(super) fn double(&mut self, number: f64) {
        self.before_value();
        text::push_json_double(&mut self.out, number);
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.before_value();
        self.out.push_str(if value { "true" } else { "false" });
    }

    pub(super) fn null(&mut self) {
        self.before_value();
        self.out.push_str("null");
    }

    pub(super) fn bytes(&mut self, base64: &str) {
        self.before_value();
        text::push_json_bytes(&mut self.out, base64);
    }

    fn before_value(&mut self) {
        if self.separate {
            self.out.push(',');
        }
        self.separate = true;
    }
}
