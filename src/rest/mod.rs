//! The Kafka Connect REST API. It asks the herder and never touches the store or Kafka.
