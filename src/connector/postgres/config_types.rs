//! The keys that say how values are represented.

use crate::config::Parsed;
use crate::connector::postgres::generation::Generation;
use crate::error::ConnectError;

/// How values are represented.
#[derive(Debug, Clone)]
pub(super) struct TypeModes {
    pub(super) generation: Generation,
    pub(super) decimal: DecimalMode,
    pub(super) time: TimeMode,
    pub(super) binary: BinaryMode,
    pub(super) hstore_map: bool,
    pub(super) interval_text: bool,
    pub(super) money_digits: u8,
    pub(super) include_unknown: bool,
    /// What stands for an unchanged TOAST value.
    pub(super) placeholder: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecimalMode {
    Precise,
    Double,
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeMode {
    Adaptive,
    AdaptiveTimeMicroseconds,
    Connect,
    Microseconds,
    Nanoseconds,
    IsoString,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BinaryMode {
    Bytes,
    Base64,
    Base64UrlSafe,
    Hex,
}

/// Reads them.
pub(super) fn parse(parsed: &Parsed, generation: Generation) -> Result<TypeModes, ConnectError> {
    let lower = |key: &str| parsed.string(key).to_lowercase();
    let decimal = match lower("decimal.handling.mode").as_str() {
        "double" => DecimalMode::Double,
        "string" => DecimalMode::Text,
        _ => DecimalMode::Precise,
    };
    let time = match lower("time.precision.mode").as_str() {
        "adaptive_time_microseconds" => TimeMode::AdaptiveTimeMicroseconds,
        "connect" => TimeMode::Connect,
        "microseconds" => TimeMode::Microseconds,
        "nanoseconds" => TimeMode::Nanoseconds,
        "isostring" => TimeMode::IsoString,
        _ => TimeMode::Adaptive,
    };
    let binary = match lower("binary.handling.mode").as_str() {
        "base64" => BinaryMode::Base64,
        "base64-url-safe" => BinaryMode::Base64UrlSafe,
        "hex" => BinaryMode::Hex,
        _ => BinaryMode::Bytes,
    };
    let digits = parsed.integer("money.fraction.digits");
    Ok(TypeModes {
        generation,
        decimal,
        time,
        binary,
        hstore_map: lower("hstore.handling.mode") == "map",
        interval_text: lower("interval.handling.mode") == "string",
        money_digits: u8::try_from(digits).ok().filter(|digits| *digits <= 18).ok_or_else(
            || {
                ConnectError::config(format!(
                    "money.fraction.digits: {digits} is not within 0 and 18"
                ))
            },
        )?,
        include_unknown: parsed.boolean("include.unknown.datatypes"),
        placeholder: placeholder(&parsed.string("unavailable.value.placeholder"))?,
    })
}

/// The bytes of the placeholder: its text, or the octets behind `hex:`.
fn placeholder(text: &str) -> Result<Vec<u8>, ConnectError> {
    let Some(octets) = text.strip_prefix("hex:") else { return Ok(text.as_bytes().to_vec()) };
    let digit = |c: &u8| char::from(*c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let octet = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    octets.as_bytes().chunks(2).map(octet).collect::<Option<_>>().ok_or_else(|| {
        ConnectError::config(format!(
            "unavailable.value.placeholder: \"{octets}\" is not an even number of hex digits"
        ))
    })
}
