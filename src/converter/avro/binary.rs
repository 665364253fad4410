//! Avro's binary encoding of single values (specification, "Binary Encoding").

#![deny(clippy::indexing_slicing)]

use crate::error::DataError;

/// Appends an `int` or `long`.
pub(crate) fn put_long(number: i64, out: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        if rest == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// Appends `bytes` or a `string` with the length in front.
pub(crate) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_long(i64::try_from(bytes.len()).unwrap_or(i64::MAX), out);
    out.extend_from_slice(bytes);
}

/// Reads values one behind the other.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    data: &'a [u8],
    at: usize,
}

type Result<T, E = DataError> = std::result::Result<T, E>;

impl<'a> Cursor<'a> {
    /// Reads `data` from `at` on.
    pub(super) fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at }
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.data.len().saturating_sub(self.at)
    }

    /// The next `count` bytes and where they start.
    pub(super) fn take(&mut self, count: usize) -> Result<(usize, &'a [u8])> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.data.len());
        let bytes = end.and_then(|end| self.data.get(self.at..end));
        let bytes = bytes.ok_or_else(|| {
            DataError::new(format!("truncated: {count} bytes wanted and {} left", self.left()))
        })?;
        let at = self.at;
        self.at += count;
        Ok((at, bytes))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (_, bytes) = self.take(N)?;
        bytes.try_into().map_err(|_| DataError::new("truncated"))
    }

    pub(super) fn boolean(&mut self) -> Result<bool> {
        match self.array::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(DataError::new(format!("{other} is no boolean"))),
        }
    }

    pub(super) fn long(&mut self) -> Result<i64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array::<1>()?;
            let low = u64::from(byte & 0x7f);
            if shift == 63 && low > 1 {
                break;
            }
            number |= low << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        Err(DataError::new("a number is longer than 64 bits"))
    }

    pub(super) fn int(&mut self) -> Result<i32> {
        let number = self.long()?;
        i32::try_from(number)
            .map_err(|_| DataError::new(format!("{number} is out of range for an int")))
    }

    pub(super) fn float(&mut self) -> Result<f32> {
        Ok(f32::from_le_bytes(self.array()?))
    }

    pub(super) fn double(&mut self) -> Result<f64> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    /// `bytes` with where they start.
    pub(super) fn bytes(&mut self) -> Result<(usize, &'a [u8])> {
        let length = self.long()?;
        let length = usize::try_from(length)
            .map_err(|_| DataError::new(format!("a length of {length} bytes")))?;
        self.take(length)
    }

    /// A `string` with where it starts.
    pub(super) fn string(&mut self) -> Result<(usize, &'a str)> {
        let (at, bytes) = self.bytes()?;
        let text = std::str::from_utf8(bytes)
            .map_err(|error| DataError::new(format!("text is not valid UTF-8: {error}")))?;
        Ok((at, text))
    }

    /// The index of a branch or symbol, one of `count`.
    pub(super) fn index(&mut self, count: usize) -> Result<usize> {
        let index = self.int()?;
        usize::try_from(index)
            .ok()
            .filter(|index| *index < count)
            .ok_or_else(|| DataError::new(format!("{index} is none of {count} choices")))
    }

    /// How many items the next block of an array or map has; 0 is the end.
    pub(super) fn block(&mut self) -> Result<usize> {
        let count = self.long()?;
        if count < 0 {
            // Its size in bytes follows, for those who pass over it.
            self.long()?;
        }
        usize::try_from(count.unsigned_abs())
            .map_err(|_| DataError::new(format!("a block of {count} items")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [0, -1, 1, 63, -64, 64, 1_000_000, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_long(number, &mut bytes);
            let mut cursor = Cursor::new(&bytes, 0);
            assert_eq!((cursor.long(), cursor.left()), (Ok(number), 0));
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for (bytes, read) in [
            (&b""[..], (|cursor| cursor.long().map(drop)) as fn(&mut Cursor<'_>) -> Result<()>),
            (b"\x80", |cursor| cursor.long().map(drop)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", |cursor| cursor.long().map(drop)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", |cursor| cursor.long().map(drop)),
            (b"\x80\x80\x80\x80\x20", |cursor| cursor.int().map(drop)),
            (b"\x02", |cursor| cursor.bytes().map(drop)),
            (b"\x01", |cursor| cursor.bytes().map(drop)),
            (b"\x02\xff", |cursor| cursor.string().map(drop)),
            (b"\x02", |cursor| cursor.boolean().map(drop)),
            (b"\x04", |cursor| cursor.index(2).map(drop)),
            (b"\x01", |cursor| cursor.index(2).map(drop)),
            (b"abc", |cursor| cursor.float().map(drop)),
        ] {
            let mut cursor = Cursor::new(bytes, 0);
            assert!(read(&mut cursor).is_err(), "{bytes:?}");
        }
    }
}
