//! Room ahead: builders that grow at once, where it is known how many rows will come, instead of doubling again and again.

use arrow::array::builder::{GenericByteBuilder, PrimitiveBuilder};
use arrow::array::{ArrayBuilder, ArrowPrimitiveType};
use arrow::datatypes::ByteArrayType;

use crate::Result;

/// A builder that can be given room.
pub(super) trait Ahead {
    /// Makes room for `times` as much as there is, and an eighth more, since rows differ.
    fn make_room(&mut self, times: usize) -> Result<()>;
}

impl<T: ByteArrayType> Ahead for GenericByteBuilder<T> {
    fn make_room(&mut self, times: usize) -> Result<()> {
        let mut roomy = Self::with_capacity(ahead(self.len(), times), ahead(self.values_slice().len(), times));
        roomy.append_array(&self.finish())?;
        *self = roomy;
        Ok(())
    }
}

impl<T: ArrowPrimitiveType> Ahead for PrimitiveBuilder<T> {
    fn make_room(&mut self, times: usize) -> Result<()> {
        let mut roomy = Self::with_capacity(ahead(self.len(), times));
        roomy.append_array(&self.finish());
        *self = roomy;
        Ok(())
    }
}

impl<T> Ahead for Vec<T> {
    fn make_room(&mut self, times: usize) -> Result<()> {
        self.reserve_exact(ahead(self.len(), times).saturating_sub(self.len()));
        Ok(())
    }
}

fn ahead(length: usize, times: usize) -> usize {
    let wanted = length.saturating_mul(times);
    wanted.saturating_add(wanted / 8)
}
