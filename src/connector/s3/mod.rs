//! `io.confluent.connect.s3.S3SinkConnector`.
