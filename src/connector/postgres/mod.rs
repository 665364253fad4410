//! `io.debezium.connector.postgresql.PostgresConnector`.
