//! `hdr_histogram(x)`: a histogram of durations; `hdr_merge(h)`: one histogram of many. Both give HDR V2 bytes.
//!
//! Their partial state is the same bytes, so a query may be split over threads or processes and merged exactly.

use std::sync::Arc;

use arrow::array::builder::BinaryBuilder;
use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use hdrhistogram::serialization::V2Serializer;

use super::sketch::{Sketch, SketchError};

/// `hdr_histogram(x)`.
pub(super) fn hdr_histogram() -> Arc<AggregateUDF> {
    Arc::new(HdrAggregate::new("hdr_histogram", Input::Values).into())
}

/// `hdr_merge(h)`.
pub(super) fn hdr_merge() -> Arc<AggregateUDF> {
    Arc::new(HdrAggregate::new("hdr_merge", Input::Histograms).into())
}

/// What an aggregate is fed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Input {
    Values,
    Histograms,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct HdrAggregate {
    name: &'static str,
    input: Input,
    signature: Signature,
}

impl HdrAggregate {
    fn new(name: &'static str, input: Input) -> Self {
        Self { name, input, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for HdrAggregate {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [given] = arg_types else {
            return Err(DataFusionError::Plan(format!("{} takes one argument", self.name)));
        };
        let wanted = match (self.input, given) {
            (Input::Values, kind) if kind.is_floating() || matches!(kind, DataType::Decimal128(..)) => {
                DataType::Float64
            }
            (Input::Values, kind) if kind.is_integer() || kind.is_null() => DataType::Int64,
            (Input::Histograms, kind) if is_bytes(kind) => DataType::Binary,
            (Input::Values, kind) => {
                return Err(DataFusionError::Plan(format!("{} takes a number of nanoseconds, not {kind}", self.name)));
            }
            (Input::Histograms, kind) => {
                return Err(DataFusionError::Plan(format!(
                    "{} takes the BINARY of hdr_histogram, not {kind}",
                    self.name
                )));
            }
        };
        Ok(vec![wanted])
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[histogram]", args.name), DataType::Binary, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        refuse_distinct(self.name, args.is_distinct)?;
        Ok(Box::new(One { sketches: Sketches::new(self.input) }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, _args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Sketches::new(self.input)))
    }
}

pub(super) fn is_bytes(kind: &DataType) -> bool {
    matches!(kind, DataType::Binary | DataType::BinaryView | DataType::LargeBinary | DataType::Null)
}

fn refuse_distinct(name: &str, distinct: bool) -> Result<()> {
    if distinct { Err(DataFusionError::Plan(format!("{name} does not take DISTINCT"))) } else { Ok(()) }
}

fn failed(error: SketchError) -> DataFusionError {
    DataFusionError::Execution(error.to_string())
}

/// A histogram a group. The bytes they hold are counted as they grow, since the memory limit asks for every batch.
#[derive(Debug)]
struct Sketches {
    input: Input,
    groups: Vec<Sketch>,
    heap_bytes: usize,
}

impl Sketches {
    fn new(input: Input) -> Self {
        Self { input, groups: Vec::new(), heap_bytes: 0 }
    }

    fn change(&mut self, group: usize, change: impl FnOnce(&mut Sketch) -> Result<(), SketchError>) -> Result<()> {
        let Some(sketch) = self.groups.get_mut(group) else {
            return Err(DataFusionError::Internal(format!("group {group} was not announced")));
        };
        let before = sketch.heap_bytes();
        change(sketch).map_err(failed)?;
        self.heap_bytes = self.heap_bytes.saturating_add(sketch.heap_bytes()).saturating_sub(before);
        Ok(())
    }

    fn record(&mut self, values: &ArrayRef, each: impl Iterator<Item = (usize, usize)>) -> Result<()> {
        match values.data_type() {
            DataType::Int64 => {
                let values = values.as_primitive::<Int64Type>();
                for (row, group) in each.filter(|&(row, _)| values.is_valid(row)) {
                    self.change(group, |sketch| sketch.record(values.value(row)))?;
                }
            }
            _ => {
                let values = cast(values, &DataType::Float64)?;
                let values = values.as_primitive::<Float64Type>();
                // NaN is no duration.
                for (row, group) in each.filter(|&(row, _)| values.is_valid(row) && !values.value(row).is_nan()) {
                    self.change(group, |sketch| sketch.record(nanoseconds(values.value(row))))?;
                }
            }
        }
        Ok(())
    }

    fn merge(&mut self, histograms: &ArrayRef, each: impl Iterator<Item = (usize, usize)>) -> Result<()> {
        let histograms = cast(histograms, &DataType::Binary)?;
        let histograms = histograms.as_binary::<i32>();
        for (row, group) in each.filter(|&(row, _)| histograms.is_valid(row)) {
            self.change(group, |sketch| sketch.merge(histograms.value(row)))?;
        }
        Ok(())
    }

    fn take(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let mut taken = emit_to.take_needed(&mut self.groups);
        let freed: usize = taken.iter().map(Sketch::heap_bytes).sum();
        self.heap_bytes = self.heap_bytes.saturating_sub(freed);
        Ok(Arc::new(written(&mut taken)?))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "float casts saturate, which is what an endless duration needs")]
fn nanoseconds(value: f64) -> i64 {
    value.round() as i64
}

/// The histograms as bytes; null for one that counted nothing.
fn written(sketches: &mut [Sketch]) -> Result<BinaryArray> {
    let (mut serializer, mut bytes) = (V2Serializer::new(), Vec::new());
    let mut array = BinaryBuilder::with_capacity(sketches.len(), sketches.len().saturating_mul(64));
    for sketch in sketches {
        if sketch.is_empty() {
            array.append_null();
            continue;
        }
        bytes.clear();
        sketch.write(&mut serializer, &mut bytes).map_err(failed)?;
        array.append_value(&bytes);
    }
    Ok(array.finish())
}

/// Rows that pass the filter, each with its group.
fn passing<'a>(groups: &'a [usize], filter: Option<&'a BooleanArray>) -> impl Iterator<Item = (usize, usize)> + 'a {
    let passes = move |row: usize| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
    groups.iter().copied().enumerate().filter(move |&(row, _)| passes(row))
}

fn only(values: &[ArrayRef]) -> Result<&ArrayRef> {
    values.first().ok_or_else(|| DataFusionError::Internal("an aggregate got no argument".to_owned()))
}

impl GroupsAccumulator for Sketches {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups.resize_with(total_num_groups, Sketch::default);
        match self.input {
            Input::Values => self.record(only(values)?, passing(group_indices, opt_filter)),
            Input::Histograms => self.merge(only(values)?, passing(group_indices, opt_filter)),
        }
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.take(emit_to)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.take(emit_to)?])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.groups.resize_with(total_num_groups, Sketch::default);
        self.merge(only(values)?, passing(group_indices, None))
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = only(values)?.len();
        let mut each = Self::new(self.input);
        let own_group: Vec<usize> = (0..rows).collect();
        each.update_batch(values, &own_group, opt_filter, rows)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        let inline = self.groups.capacity().saturating_mul(size_of::<Sketch>());
        self.heap_bytes.saturating_add(inline)
    }
}

/// The aggregate without groups.
#[derive(Debug)]
struct One {
    sketches: Sketches,
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; only(values)?.len()];
        GroupsAccumulator::update_batch(&mut self.sketches, values, &groups, None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; only(states)?.len()];
        GroupsAccumulator::merge_batch(&mut self.sketches, states, &groups, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        // A window asks again and again, so the counts stay.
        let mut now = self.sketches.groups.clone();
        now.resize_with(1, Sketch::default);
        ScalarValue::try_from_array(&written(&mut now)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        size_of_val(self).saturating_add(GroupsAccumulator::size(&self.sketches))
    }
}
