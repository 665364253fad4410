//! The stream as signals and incremental snapshots see it: each row before it becomes a record, the
//! positions, and the offsets that remember them.

use super::{Filling, StreamDecoder};
use crate::connector::postgres::envelope::{ReadPoint, meta};
use crate::connector::postgres::incremental::{Incremental, Moment, Seen};
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::offset::{Offsets, SnapshotPoint};
use crate::connector::postgres::pgoutput::Tuple;
use crate::connector::postgres::relation::Relation;
use crate::data::{Cell, SourceOffset};
use crate::error::ConnectError;

impl StreamDecoder {
    /// Lets the incremental snapshot see a row before it becomes a record.
    pub(super) fn watch(
        &mut self,
        lsn: Lsn,
        relation: &Relation,
        old: Option<Tuple<'_>>,
        new: Option<Tuple<'_>>,
        filling: &mut Filling<'_>,
    ) -> Result<(), ConnectError> {
        if filling.signals.is_none() {
            return Ok(());
        }
        self.set_position_cells(lsn, filling);
        let moment = moment(&filling.meta);
        let Filling { signals: Some(signals), out, .. } = filling else { return Ok(()) };
        let before = out.rows.len();
        signals.see(&Seen { relation, old, new }, moment, out)?;
        self.unsealed_rows += out.rows.len() - before;
        Ok(())
    }

    /// Everything that was committed before `position` has been streamed.
    pub(super) fn reached(
        &mut self,
        position: Lsn,
        filling: &mut Filling<'_>,
    ) -> Result<(), ConnectError> {
        if !filling.signals.as_ref().is_some_and(|signals| signals.waits_for_position()) {
            return Ok(());
        }
        self.set_position_cells(position, filling);
        let moment = moment(&filling.meta);
        filling.meta_lsn = None;
        let Filling { signals: Some(signals), out, .. } = filling else { return Ok(()) };
        let before = out.rows.len();
        signals.reached(position, moment, out)?;
        self.unsealed_rows += out.rows.len() - before;
        Ok(())
    }

    /// Rows were handed out beside the stream, which the next seal covers.
    pub(in crate::connector::postgres) fn add_unsealed(&mut self, rows: usize) {
        self.unsealed_rows += rows;
    }

    /// Where the stream stands.
    pub(in crate::connector::postgres) fn read_point(&self) -> ReadPoint {
        let lsn = self.last_commit.unwrap_or(self.sealed);
        let at = SnapshotPoint { lsn, xid: self.last_xid.map(i64::from), ts_usec: 0 };
        ReadPoint { at, last_commit: self.last_commit }
    }
}

impl Filling<'_> {
    /// Whether what was handed out may be declared so.
    pub(super) fn may_seal(&self) -> bool {
        !self.signals.as_ref().is_some_and(|signals| signals.holds_offsets())
    }

    /// An offset with what an incremental snapshot has to remember.
    pub(super) fn completed(&mut self, offset: SourceOffset) -> SourceOffset {
        completed(self.signals.as_deref_mut(), offset)
    }
}

/// An offset with what an incremental snapshot has to remember.
pub(super) fn completed(signals: Option<&mut Incremental>, offset: SourceOffset) -> SourceOffset {
    let Some(signals) = signals else { return offset };
    let offset = match signals.members() {
        None => offset,
        Some(members) => Offsets::extended(&offset, &members),
    };
    signals.sealed(&offset.offset);
    offset
}

fn moment(meta: &[Cell; meta::ALL]) -> Moment {
    Moment {
        clock: [meta[meta::TS_MS], meta[meta::TS_US], meta[meta::TS_NS]],
        sequence: meta[meta::SEQUENCE],
    }
}
