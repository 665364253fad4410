//! What `bench/run` needs besides the product: the physical floors, a generator, and ledger checks.
//!
//! A floor is the least that a stage costs with the same server, broker and libraries: a reader that
//! only counts, a producer whose messages are ready, a Parquet writer fed from memory. Each command
//! prints one JSON object on one line.

mod copy;
mod cpu;
mod ledger;
mod narrow;
mod objects;
mod parquet_floor;
mod produce;
mod replication;
mod topic;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// Floors and ledger checks of the benchmark
#[derive(Debug, Parser)]
#[command(name = "ferroconnect-bench", max_term_width = 100)]
enum Command {
    /// Floor: reads a slot's changes and counts them, without confirming any
    Replication {
        #[arg(long)]
        postgres: SocketAddr,
        #[arg(long)]
        database: String,
        #[arg(long)]
        slot: String,
        #[arg(long)]
        publication: String,
        /// Ends with the commit after so many row changes
        #[arg(long)]
        rows: u64,
        /// Microseconds to sleep before each read: fewer and larger reads
        #[arg(long, default_value_t = 0)]
        nap_us: u64,
    },
    /// Floor: COPY of a table to a client that only counts
    Copy {
        #[arg(long)]
        postgres: SocketAddr,
        #[arg(long)]
        database: String,
        #[arg(long)]
        table: String,
    },
    /// Floor: produces ready-made change events with the product's producer settings
    Produce {
        #[arg(long)]
        kafka: String,
        #[arg(long)]
        topic: String,
        #[arg(long)]
        rows: u64,
        #[arg(long, default_value = "none")]
        compression: String,
        /// Further librdkafka settings, `KEY=VALUE`
        #[arg(long)]
        set: Vec<String>,
    },
    /// Floor: consumes a topic to its end and looks at no byte of it
    Consume {
        #[arg(long)]
        kafka: String,
        #[arg(long)]
        topic: String,
    },
    /// Floor: writes rows to Parquet from memory to memory, one thread
    Parquet {
        #[arg(long)]
        rows: u64,
        #[arg(long, default_value = "snappy")]
        compression: String,
    },
    /// Fills a new topic with flat records as JsonConverter writes them, schemas enabled
    Fill {
        #[arg(long)]
        kafka: String,
        #[arg(long)]
        topic: String,
        #[arg(long)]
        rows: u64,
        #[arg(long, default_value_t = 4)]
        partitions: i32,
    },
    /// Prints when the topic has its first record, and when it has so many
    Watch {
        #[arg(long)]
        kafka: String,
        #[arg(long)]
        topic: String,
        #[arg(long)]
        rows: u64,
        #[arg(long, default_value_t = 25)]
        every_ms: u64,
    },
    /// Ledger: every id from 1 to `rows` is in the topic, each once
    Ledger {
        #[arg(long)]
        kafka: String,
        #[arg(long)]
        topic: String,
        #[arg(long)]
        rows: u64,
    },
    /// From commit to append: percentiles over a topic of change events with LogAppendTime
    Latency {
        #[arg(long)]
        kafka: String,
        #[arg(long)]
        topic: String,
    },
    /// Deletes a topic, so that many runs do not fill the disk
    Delete {
        #[arg(long)]
        kafka: String,
        #[arg(long)]
        topic: String,
    },
    /// Ledger: every id from 1 to `rows` is in the Parquet objects below a folder, each once
    Objects {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        rows: u64,
    },
}

#[expect(clippy::print_stdout, reason = "a command-line tool")]
fn main() -> anyhow::Result<()> {
    let result = match Command::parse() {
        Command::Replication { postgres, database, slot, publication, rows, nap_us } => {
            let stream = replication::Stream { slot: &slot, publication: &publication };
            replication::read(postgres, &database, &stream, rows, nap_us)?
        }
        Command::Copy { postgres, database, table } => copy::read(postgres, &database, &table)?,
        Command::Produce { kafka, topic, rows, compression, set } => {
            produce::floor(&kafka, &topic, rows, &compression, &set)?
        }
        Command::Consume { kafka, topic } => topic::consume_floor(&kafka, &topic)?,
        Command::Parquet { rows, compression } => parquet_floor::write(rows, &compression)?,
        Command::Fill { kafka, topic, rows, partitions } => {
            produce::fill(&kafka, &topic, rows, partitions)?
        }
        Command::Watch { kafka, topic, rows, every_ms } => {
            topic::watch(&kafka, &topic, rows, every_ms)?
        }
        Command::Ledger { kafka, topic, rows } => topic::ledger(&kafka, &topic, rows)?,
        Command::Latency { kafka, topic } => topic::latency(&kafka, &topic)?,
        Command::Delete { kafka, topic } => produce::delete(&kafka, &topic)?,
        Command::Objects { dir, rows } => objects::ledger(&dir, rows)?,
    };
    println!("{result}");
    Ok(())
}
