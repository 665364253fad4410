//! Record to path: the encoded partition of the original's partitioners. Pure.

/// How records are spread over paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Partitioner {
    /// One path per Kafka partition.
    Default,
}

impl Partitioner {
    /// The path of a record of `partition`, without topic and file name.
    pub(super) fn encode(self, partition: i32) -> String {
        match self {
            Self::Default => format!("partition={partition}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_path_is_the_kafka_partition() {
        assert_eq!(Partitioner::Default.encode(2), "partition=2");
    }
}
