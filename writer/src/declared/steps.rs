//! The steps of a decision: what walks a value pays for each part that it looks at, before it looks at the next.

use std::sync::Arc;

use super::evaluate::Fault;
use super::value::Value;

/// Most steps of one decision, or of one event's fold. A step is an operation or 16 bytes of text, about 10 to 50 ns.
pub(super) const MAX_STEPS: u64 = 1_000_000;

/// What is left of the steps of one decision.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    left: u64,
}

impl Default for Steps {
    fn default() -> Self {
        Self { left: MAX_STEPS }
    }
}

impl Steps {
    /// How many steps were taken.
    pub fn taken(self) -> u64 {
        MAX_STEPS - self.left
    }

    /// Takes so many steps.
    ///
    /// # Errors
    /// [`Fault::TooCostly`] when fewer are left; none are left then.
    pub fn charge(&mut self, steps: u64) -> Result<(), Fault> {
        let left = self.left.checked_sub(steps);
        self.left = left.unwrap_or_default();
        left.map(|_| ()).ok_or(Fault::TooCostly)
    }

    /// Whether the values are equal. What both share is equal to itself without a look, even if a NaN is inside.
    ///
    /// # Errors
    /// [`Fault::TooCostly`] when no steps are left before that is known.
    pub fn equal(&mut self, left: &Value, right: &Value) -> Result<bool, Fault> {
        self.charge(1)?;
        match (left, right) {
            (Value::Text(left), Value::Text(right)) => self.equal_bytes(left.as_bytes(), right.as_bytes()),
            (Value::Bytes(left), Value::Bytes(right)) => self.equal_bytes(left, right),
            (Value::List(left), Value::List(right)) | (Value::Record(left), Value::Record(right)) => {
                if Arc::ptr_eq(left, right) || left.len() != right.len() {
                    return Ok(left.len() == right.len());
                }
                for (left, right) in left.iter().zip(&**right) {
                    if !self.equal(left, right)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Map(left), Value::Map(right)) => {
                if Arc::ptr_eq(left, right) || left.len() != right.len() {
                    return Ok(left.len() == right.len());
                }
                for ((left_key, left), (right_key, right)) in left.iter().zip(&**right) {
                    if !self.equal_bytes(left_key.as_bytes(), right_key.as_bytes())? || !self.equal(left, right)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (left, right) => Ok(left == right),
        }
    }

    fn equal_bytes(&mut self, left: &[u8], right: &[u8]) -> Result<bool, Fault> {
        if left.len() != right.len() {
            return Ok(false);
        }
        self.charge(left.len() as u64 / 16)?;
        Ok(left == right)
    }

    /// Pays for a walk through the whole value, such as writing it.
    ///
    /// # Errors
    /// [`Fault::TooCostly`] when no steps are left before its end.
    pub fn weigh(&mut self, value: &Value) -> Result<(), Fault> {
        self.charge(1 + value.text_weight())?;
        match value {
            Value::List(items) | Value::Record(items) => items.iter().try_for_each(|item| self.weigh(item)),
            Value::Map(entries) => entries.iter().try_for_each(|(key, value)| {
                self.charge(1 + key.len() as u64 / 16)?;
                self.weigh(value)
            }),
            _ => Ok(()),
        }
    }

    /// Pays for a fault that is kept while the evaluation goes on: its words were formatted.
    ///
    /// # Errors
    /// [`Fault::TooCostly`] when too few steps are left, or the fault is that already.
    pub fn survive(&mut self, fault: &Fault) -> Result<(), Fault> {
        match fault {
            Fault::TooCostly => Err(Fault::TooCostly),
            Fault::Overflow => Ok(()),
            Fault::Failed(words) => self.charge(8 + words.len() as u64 / 16),
        }
    }

    /// Whether the item is one of the list's.
    ///
    /// # Errors
    /// [`Fault::TooCostly`] when no steps are left before that is known.
    pub fn is_among(&mut self, item: &Value, items: &[Value]) -> Result<bool, Fault> {
        for other in items {
            if self.equal(item, other)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
