//! Documents one after another, compressed as a whole where that is wanted: what JSON and byte files
//! have in common.

use std::io::Write as _;

use flate2::write::GzEncoder;

use crate::error::{ConnectError, DataError};

/// `s3.compression.type` with its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    /// `None` is zlib's default level.
    Gzip(Option<u32>),
}

impl Compression {
    /// What names end in behind the format's own extension.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip(_) => ".gz",
        }
    }
}

enum Output {
    /// The content, and where the staged document starts.
    Plain {
        bytes: Vec<u8>,
        staged: usize,
    },
    Gzip {
        encoder: GzEncoder<Vec<u8>>,
        staged: Vec<u8>,
    },
}

/// Where documents go. One is staged at a time.
pub(super) struct Lines {
    output: Output,
}

impl Lines {
    pub(super) fn new(compression: Compression) -> Self {
        let output = match compression {
            Compression::None => Output::Plain { bytes: Vec::new(), staged: 0 },
            Compression::Gzip(level) => {
                let level =
                    level.map_or_else(flate2::Compression::default, flate2::Compression::new);
                Output::Gzip { encoder: GzEncoder::new(Vec::new(), level), staged: Vec::new() }
            }
        };
        Self { output }
    }

    /// Has `write` append a document. What is refused leaves no trace.
    pub(super) fn stage(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let bytes = match &mut self.output {
            Output::Plain { bytes, staged } => {
                *staged = bytes.len();
                bytes
            }
            Output::Gzip { staged, .. } => {
                staged.clear();
                staged
            }
        };
        let result = write(bytes);
        if result.is_err() {
            self.discard();
        }
        result
    }

    pub(super) fn accept(&mut self) -> Result<(), ConnectError> {
        match &mut self.output {
            Output::Plain { .. } => Ok(()),
            Output::Gzip { encoder, staged } => encoder.write_all(staged).map_err(compressing),
        }
    }

    pub(super) fn discard(&mut self) {
        match &mut self.output {
            Output::Plain { bytes, staged } => bytes.truncate(*staged),
            Output::Gzip { staged, .. } => staged.clear(),
        }
    }

    pub(super) fn memory(&self) -> usize {
        match &self.output {
            // What was reserved ahead is not resident.
            Output::Plain { bytes, .. } => bytes.len(),
            Output::Gzip { encoder, staged } => encoder.get_ref().len() + staged.capacity(),
        }
    }

    pub(super) fn size(&self) -> usize {
        match &self.output {
            Output::Plain { bytes, .. } => bytes.len(),
            Output::Gzip { encoder, .. } => encoder.get_ref().len(),
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), ConnectError> {
        match &mut self.output {
            Output::Plain { .. } => Ok(()),
            Output::Gzip { encoder, .. } => encoder.flush().map_err(compressing),
        }
    }

    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        match &mut self.output {
            Output::Plain { bytes, .. } => bytes,
            Output::Gzip { encoder, .. } => encoder.get_mut(),
        }
    }

    pub(super) fn finish(&mut self) -> Result<(), ConnectError> {
        match &mut self.output {
            Output::Plain { .. } => Ok(()),
            Output::Gzip { encoder, .. } => encoder.try_finish().map_err(compressing),
        }
    }
}

fn compressing(error: std::io::Error) -> ConnectError {
    ConnectError::fatal("gzip failed").because(error)
}
