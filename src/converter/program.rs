//! The planned path out, whatever the format: a shape compiled into literals and the cells between
//! them.
//!
//! Everything that is the same for all rows is rendered once; a row costs copies of literals and the
//! form of its cells, and no allocation.

use std::fmt;
use std::ops::Range;

use super::{Presence, RowEncoder};
use crate::data::{Cell, RowView};
use crate::error::DataError;

type Span = Range<usize>;

/// How one cell is written.
pub(super) trait CellForm: fmt::Debug + Send {
    /// Appends `cell`, which is neither null nor unchanged.
    ///
    /// # Errors
    /// When the cell does not fit.
    fn push(&self, cell: Cell, row: &RowView<'_>, out: &mut Vec<u8>) -> Result<(), DataError>;

    /// What is said of a null where none is allowed; `None` is a struct.
    fn refused_null(form: Option<&Self>) -> DataError;
}

/// A compiled shape.
#[derive(Debug)]
pub(super) struct Program<F> {
    /// All literals, one behind the other.
    text: Vec<u8>,
    steps: Vec<Step<F>>,
}

/// A literal and what follows it.
#[derive(Debug)]
struct Step<F> {
    literal: Span,
    action: Action<F>,
}

#[derive(Debug)]
enum Action<F> {
    Nothing,
    Cell(CellAction<F>),
    /// When the cell is null so is the struct: write `null` and go on behind it.
    Presence {
        index: usize,
        null: Option<Span>,
        behind: usize,
    },
}

#[derive(Debug)]
struct CellAction<F> {
    index: usize,
    form: F,
    /// `None`: null is not allowed here.
    null: Option<Span>,
    /// `None`: a row cannot leave this value unchanged.
    unchanged: Option<Span>,
}

impl<F: CellForm> RowEncoder for Program<F> {
    fn write(&self, row: &RowView<'_>, out: &mut Vec<u8>) -> Result<Presence, DataError> {
        let start = out.len();
        match self.run(row, out) {
            Ok(()) => Ok(Presence::Present),
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }
}

impl<F: CellForm> Program<F> {
    fn run(&self, row: &RowView<'_>, out: &mut Vec<u8>) -> Result<(), DataError> {
        let mut next = 0;
        while let Some(step) = self.steps.get(next) {
            next += 1;
            self.push_literal(out, &step.literal);
            match &step.action {
                Action::Nothing => {}
                Action::Cell(cell) => self.push_cell(out, cell, row)?,
                Action::Presence { index, null, behind } if row.is_null(*index) => {
                    let null = null.as_ref().ok_or_else(|| F::refused_null(None))?;
                    self.push_literal(out, null);
                    next = *behind;
                }
                Action::Presence { .. } => {}
            }
        }
        Ok(())
    }

    fn push_literal(&self, out: &mut Vec<u8>, span: &Span) {
        out.extend_from_slice(&self.text[span.clone()]);
    }

    fn push_cell(
        &self,
        out: &mut Vec<u8>,
        action: &CellAction<F>,
        row: &RowView<'_>,
    ) -> Result<(), DataError> {
        let literal = match row.cell(action.index) {
            Cell::Null => &action.null,
            Cell::Unchanged => &action.unchanged,
            cell => return action.form.push(cell, row, out),
        };
        let literal = literal.as_ref().ok_or_else(|| F::refused_null(Some(&action.form)))?;
        self.push_literal(out, literal);
        Ok(())
    }
}

/// Puts a [`Program`] together, front to back.
#[derive(Debug)]
pub(super) struct Compiler<F> {
    text: Vec<u8>,
    /// Where in `text` the literal of the next step starts.
    literal_start: usize,
    steps: Vec<Step<F>>,
}

/// A struct that is null when a cell is, and not at its end yet.
#[derive(Debug)]
pub(super) struct OpenPresence(usize);

impl<F> Compiler<F> {
    pub(super) fn new() -> Self {
        Self { text: Vec::new(), literal_start: 0, steps: Vec::new() }
    }

    /// The literal at hand, to append to.
    pub(super) fn literal(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// A cell, with what stands in its place when it is null or unchanged.
    pub(super) fn cell(
        &mut self,
        index: usize,
        form: F,
        null: Option<&[u8]>,
        unchanged: Option<&[u8]>,
    ) {
        let literal = self.end_literal();
        let (null, unchanged) = (self.aside(null), self.aside(unchanged));
        let action = Action::Cell(CellAction { index, form, null, unchanged });
        self.steps.push(Step { literal, action });
    }

    /// The start of a struct that is null when the cell `index` is.
    pub(super) fn presence(&mut self, index: usize, null: Option<&[u8]>) -> OpenPresence {
        let literal = self.end_literal();
        let null = self.aside(null);
        self.steps.push(Step { literal, action: Action::Presence { index, null, behind: 0 } });
        OpenPresence(self.steps.len() - 1)
    }

    /// The end of that struct.
    pub(super) fn end_presence(&mut self, OpenPresence(at): OpenPresence) {
        // The struct's end is a literal of its own, so that one can go on behind it.
        let literal = self.end_literal();
        self.steps.push(Step { literal, action: Action::Nothing });
        let after = self.steps.len();
        if let Some(Step { action: Action::Presence { behind, .. }, .. }) = self.steps.get_mut(at) {
            *behind = after;
        }
    }

    pub(super) fn finish(mut self) -> Program<F> {
        let literal = self.end_literal();
        self.steps.push(Step { literal, action: Action::Nothing });
        Program { text: self.text, steps: self.steps }
    }

    /// Everything since the last step.
    fn end_literal(&mut self) -> Span {
        let literal = self.literal_start..self.text.len();
        self.literal_start = self.text.len();
        literal
    }

    /// A text that stands apart from the literals.
    fn aside(&mut self, text: Option<&[u8]>) -> Option<Span> {
        let start = self.text.len();
        self.text.extend_from_slice(text?);
        self.literal_start = self.text.len();
        Some(start..self.text.len())
    }
}
