//! Well-known binary, and PostGIS's extension of it (EWKB), as far as transforms look into it.
//!
//! Sources: OGC 06-103r4, section 8.2; PostGIS, `liblwgeom/lwin_wkb.c` for what the three high bits
//! of a geometry's type mean.

#![deny(clippy::indexing_slicing)]

const HAS_Z: u32 = 0x8000_0000;
const HAS_M: u32 = 0x4000_0000;
const HAS_SRID: u32 = 0x2000_0000;
/// Collections hold geometries; nothing real nests deeper than a few.
const DEPTH_MAX: usize = 32;

/// The start of a geometry: byte order, and type with flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    little_endian: bool,
    ty: u32,
}

impl Head {
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let little_endian = *bytes.first()? == 1;
        Some(Self { little_endian, ty: word(bytes.get(1..5)?, little_endian)? })
    }

    pub(super) fn has_srid(self) -> bool {
        self.ty & HAS_SRID != 0
    }

    fn word(self, number: u32) -> [u8; 4] {
        if self.little_endian { number.to_le_bytes() } else { number.to_be_bytes() }
    }
}

fn word(bytes: &[u8], little_endian: bool) -> Option<u32> {
    let bytes = <[u8; 4]>::try_from(bytes).ok()?;
    Some(if little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
}

/// The plain form of EWKB: without its SRID.
pub(super) fn without_srid(ewkb: &[u8]) -> Option<Vec<u8>> {
    let head = Head::of(ewkb)?;
    let mut out = vec![*ewkb.first()?];
    out.extend(head.word(head.ty & !HAS_SRID));
    out.extend_from_slice(ewkb.get(9..)?);
    Some(out)
}

/// The plain form with an SRID put into it.
pub(super) fn with_srid(wkb: &[u8], srid: i32) -> Option<Vec<u8>> {
    let head = Head::of(wkb)?;
    let mut out = vec![*wkb.first()?];
    out.extend(head.word(head.ty | HAS_SRID));
    out.extend(head.word(u32::from_ne_bytes(srid.to_ne_bytes())));
    out.extend_from_slice(wkb.get(5..)?);
    Some(out)
}

/// The geometry with x and y of every point changed over; `None` when it is none that is known.
pub(super) fn swapped(wkb: &[u8]) -> Option<Vec<u8>> {
    let mut out = wkb.to_vec();
    let mut cursor = Cursor { bytes: &mut out, at: 0 };
    cursor.geometry(0)?;
    Some(out)
}

struct Cursor<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Cursor<'_> {
    fn geometry(&mut self, depth: usize) -> Option<()> {
        if depth == DEPTH_MAX {
            return None;
        }
        let head = Head::of(self.bytes.get(self.at..)?)?;
        self.at += if head.has_srid() { 9 } else { 5 };
        let more = [HAS_Z, HAS_M].into_iter().filter(|flag| head.ty & flag != 0).count();
        match head.ty & !(HAS_Z | HAS_M | HAS_SRID) {
            1 => self.point(more),
            2 => self.points(head, more),
            3 => {
                for _ in 0..self.count(head)? {
                    self.points(head, more)?;
                }
                Some(())
            }
            4..=7 => {
                for _ in 0..self.count(head)? {
                    self.geometry(depth + 1)?;
                }
                Some(())
            }
            _ => None,
        }
    }

    fn count(&mut self, head: Head) -> Option<u32> {
        let count = word(self.bytes.get(self.at..self.at + 4)?, head.little_endian)?;
        self.at += 4;
        Some(count)
    }

    fn points(&mut self, head: Head, more: usize) -> Option<()> {
        for _ in 0..self.count(head)? {
            self.point(more)?;
        }
        Some(())
    }

    /// Both coordinates have one byte order: whole numbers of bytes change places.
    fn point(&mut self, more: usize) -> Option<()> {
        let end = self.at + 16 + 8 * more;
        let (x, rest) = self.bytes.get_mut(self.at..end)?.split_at_mut_checked(8)?;
        x.swap_with_slice(rest.get_mut(..8)?);
        self.at = end;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point(x: f64, y: f64) -> Vec<u8> {
        [&[1, 1, 0, 0, 0][..], &x.to_le_bytes(), &y.to_le_bytes()].concat()
    }

    #[test]
    fn srids_come_and_go() {
        let plain = point(1.0, 2.0);
        let extended = with_srid(&plain, 4326).unwrap();
        assert!(Head::of(&extended).unwrap().has_srid());
        assert_eq!(extended.len(), plain.len() + 4);
        assert_eq!(without_srid(&extended).unwrap(), plain);
    }

    #[test]
    fn collections_are_walked() {
        let parts = |one: Vec<u8>, other: Vec<u8>| {
            [&[1, 7, 0, 0, 0, 2, 0, 0, 0][..], &one, &other].concat()
        };
        let swapped = swapped(&parts(point(1.0, 2.0), point(3.0, 4.0))).unwrap();
        assert_eq!(swapped, parts(point(2.0, 1.0), point(4.0, 3.0)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>, srid: i32) {
            let _plain = (without_srid(&bytes), with_srid(&bytes, srid));
            if let Some(there) = swapped(&bytes) {
                prop_assert_eq!(swapped(&there), Some(bytes));
            }
        }

        #[test]
        fn damaged_geometries_are_taken(at in 0_usize..30, byte: u8, length in 0_usize..30) {
            let mut line = [&[1, 2, 0, 0, 0, 2, 0, 0, 0][..], &point(1.0, 2.0), &point(3.0, 4.0)].concat();
            if let Some(there) = line.get_mut(at) {
                *there = byte;
            }
            line.truncate(length);
            let _swapped = swapped(&line);
        }
    }
}
