//! `org.apache.kafka.connect.transforms.TimestampRouter`: the record's time in its topic.

use super::java_date_format::DateFormat;
use super::{Keep, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props};
use crate::data::Record;
use crate::error::ConnectError;

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new(
            "topic.format",
            ConfigType::String,
            "The topic, of ${topic} and ${timestamp}.",
        )
        .default("${topic}-${timestamp}")
        .high(),
        ConfigKey::new(
            "timestamp.format",
            ConfigType::String,
            "The pattern of the timestamp, as for java.text.SimpleDateFormat, in UTC.",
        )
        .default("yyyyMMdd")
        .high(),
    ])
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let pattern = parsed.string("timestamp.format");
    let format = DateFormat::new(&pattern).map_err(|reason| {
        ConnectError::config(format!(
            "Invalid value {pattern} for configuration timestamp.format: {reason}"
        ))
    })?;
    Ok(Box::new(TimestampRouter { topic_format: parsed.string("topic.format"), format }))
}

#[derive(Debug)]
struct TimestampRouter {
    topic_format: String,
    format: DateFormat,
}

impl Transformation for TimestampRouter {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let timestamp_ms = record.timestamp_ms.ok_or_else(|| {
            let topic = &record.topic;
            ConnectError::data(format!("Timestamp missing on record: topic {topic}"))
        })?;
        let timestamp = self.format.format(timestamp_ms);
        let topic = self.topic_format.replace("${topic}", &record.topic);
        record.topic = topic.replace("${timestamp}", &timestamp).into();
        Ok(Keep::Record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::{apply, record, smt};

    #[test]
    fn topics_carry_the_time_in_utc() {
        for (settings, expected) in [
            (&[][..], "t-20240502"),
            (
                &[("topic.format", "${timestamp}.${topic}.${topic}"), ("timestamp.format", "yyyy")],
                "2024.t.t",
            ),
        ] {
            let mut smt = smt(construct, settings).unwrap();
            let mut record = Record { timestamp_ms: Some(1_714_680_930_123), ..record("t") };
            apply(smt.as_mut(), &mut record).unwrap();
            assert_eq!(&*record.topic, expected);
        }
        let error = apply(smt(construct, &[]).unwrap().as_mut(), &mut record("t")).unwrap_err();
        assert!(error.starts_with("Timestamp missing on record: "), "{error}");
    }
}
