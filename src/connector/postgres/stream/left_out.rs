//! Changes that the records' schema cannot show: a NOT NULL column with a value that has no form
//! there, as NaN of `numeric` when decimals are precise (Debezium,
//! `event.processing.failure.handling.mode`).

use std::sync::Arc;

use super::{Filling, StreamDecoder};
use crate::connector::postgres::config::Unshowable;
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::pgoutput::Tuple;
use crate::connector::postgres::relation::Relation;
use crate::data::RowPlan;
use crate::error::ConnectError;

impl StreamDecoder {
    /// Appends a row whose last tuple is new, unless it cannot be shown and is to be left out.
    pub(super) fn new_row(
        &mut self,
        lsn: Lsn,
        relation: &Relation,
        plan: &Arc<RowPlan>,
        tuples: &[Tuple<'_>],
        filling: &mut Filling<'_>,
    ) -> Result<(), ConnectError> {
        let (cells, rows) = (filling.out.cells.len(), filling.out.rows.len());
        self.row(lsn, relation, plan, tuples, filling)?;
        let new = filling.out.cells.len() - relation.cells;
        let Some(column) = relation.unshowable(&filling.out.cells[new..]) else { return Ok(()) };
        let table = &relation.name;
        match self.config.unshowable {
            Unshowable::Fails => {
                return Err(ConnectError::fatal(format!(
                    "column \"{column}\" of {table} is NOT NULL, and the value of a change at {lsn} has \
                     no form in its schema; set decimal.handling.mode=string (or double), or \
                     event.processing.failure.handling.mode=warn to leave such changes out"
                )));
            }
            Unshowable::IsToldAndLeftOut => {
                tracing::warn!(table, column, %lsn, "a change that records cannot show is left out");
            }
            Unshowable::IsLeftOut => {}
        }
        filling.out.cells.truncate(cells);
        filling.out.rows.truncate(rows);
        self.unsealed_rows -= 1;
        self.tallies.filtered += 1;
        if let (Some(_), Some(open)) = (&self.transactions, &mut self.transaction) {
            open.counts.undo(table);
        }
        Ok(())
    }
}
