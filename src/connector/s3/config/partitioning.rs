//! The partitioner's keys.

use super::Reader;
use crate::config::Parsed;
use crate::connector::s3::arrival::FieldPath;
use crate::connector::s3::config_def as def;
use crate::connector::s3::extractor::Extractor;
use crate::connector::s3::joda::Pattern;
use crate::connector::s3::partitioner::{Affix, Partitioner, Scheme, TimeScheme};
use crate::connector::s3::zone::Zone;

const HOUR_MS: i64 = 3_600_000;

impl Reader {
    pub(super) fn partitioner(&mut self, parsed: &Parsed, writes_nulls: bool) -> Partitioner {
        let delim = parsed.string(def::DIRECTORY_DELIM);
        let scheme = self.scheme(parsed, &delim).unwrap_or(Scheme::Default);
        let affix = match parsed.string(def::SCHEMA_AFFIX).as_str() {
            "PREFIX" => Affix::Prefix,
            "SUFFIX" => Affix::Suffix,
            _ => Affix::None,
        };
        let tombstones = writes_nulls.then(|| parsed.string(def::TOMBSTONE_PARTITION));
        if tombstones.as_ref().is_some_and(|path| is_odd_path(path)) {
            self.start_error(
                def::TOMBSTONE_PARTITION,
                "object names would have an empty or relative part; write a plain name",
            );
        }
        Partitioner { scheme, affix, delim, tombstones }
    }

    fn scheme(&mut self, parsed: &Parsed, delim: &str) -> Option<Scheme> {
        let daily = format!("'year'=YYYY{delim}'month'=MM{delim}'day'=dd");
        match def::full_partitioner(&parsed.string(def::PARTITIONER_CLASS))? {
            def::FIELD_PARTITIONER => {
                let names = parsed.list(def::PARTITION_FIELD_NAME);
                if names.is_empty() {
                    self.error(
                        def::PARTITION_FIELD_NAME,
                        "Partition field name cannot be null or empty when using FieldPartitioner.",
                    );
                }
                Some(Scheme::Field(names.iter().map(|name| FieldPath::new(name)).collect()))
            }
            def::DAILY_PARTITIONER => self.time(parsed, 24 * HOUR_MS, &daily),
            def::HOURLY_PARTITIONER => {
                self.time(parsed, HOUR_MS, &format!("{daily}{delim}'hour'=HH"))
            }
            def::TIME_PARTITIONER => {
                let duration_ms = parsed.integer(def::PARTITION_DURATION_MS);
                if duration_ms <= 0 {
                    self.start_error(
                        def::PARTITION_DURATION_MS,
                        "Partition duration needs to be a positive.",
                    );
                }
                let path_format = parsed.string(def::PATH_FORMAT);
                if path_format.is_empty() || path_format == delim {
                    self.start_error(def::PATH_FORMAT, "Path format cannot be empty.");
                }
                self.time(parsed, duration_ms, &path_format)
            }
            _ => Some(Scheme::Default),
        }
    }

    fn time(&mut self, parsed: &Parsed, duration_ms: i64, path_format: &str) -> Option<Scheme> {
        let errors_before = self.start_errors.len();
        let locale = parsed.string(def::LOCALE);
        if locale.is_empty() {
            self.start_error(def::LOCALE, "Locale cannot be empty.");
        }
        let zone = Zone::parse(&parsed.string(def::TIMEZONE));
        if zone.is_none() {
            self.start_error(def::TIMEZONE, "Timezone cannot be empty.");
        }
        let name = parsed.string(def::TIMESTAMP_EXTRACTOR);
        let extractor = Extractor::of(&name, &parsed.string(def::TIMESTAMP_FIELD));
        if extractor.is_none() {
            let message = format!("Invalid timestamp extractor: {name}");
            self.start_error(def::TIMESTAMP_EXTRACTOR, message);
        }
        let delim = parsed.string(def::DIRECTORY_DELIM);
        let path_format = path_format.strip_suffix(&delim).unwrap_or(path_format);
        let pattern = Pattern::new(path_format, &locale);
        if let Err(reason) = &pattern {
            self.start_error(def::PATH_FORMAT, reason.clone());
        }
        let (zone, extractor, pattern) = (zone?, extractor?, pattern.ok()?);
        let mut sample = String::new();
        let _ = pattern.format(0, zone, &mut sample);
        if errors_before == self.start_errors.len() && is_odd_path(&sample) {
            self.start_error(
                def::PATH_FORMAT,
                "object names would have an empty or relative part; write the pattern without \
                 \"/\" at its ends and without \"//\"",
            );
        }
        Some(Scheme::Time(TimeScheme { duration_ms, pattern, zone, extractor }))
    }
}

/// Whether an object store client would refuse or change the path.
fn is_odd_path(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "" | "." | ".."))
}
