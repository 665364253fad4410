//! Everything that Ferroconnect does with Kafka; the only users of rdkafka.
