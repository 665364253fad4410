//! A database per test, dropped with it.

use tokio_postgres::{Client, NoTls};

use super::{services, unique};

/// A database of its own; its slots and itself go when it is dropped.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    pub name: String,
    /// As superuser.
    pub url: String,
}

impl TestDatabase {
    /// Creates the database.
    pub(crate) async fn create() -> Self {
        let name = unique("it");
        let admin = connect(&format!("{}/postgres", services().postgres)).await;
        admin.batch_execute(&format!("create database {name}")).await.expect("create database");
        Self { url: format!("{}/{name}", services().postgres), name }
    }

    /// A connection as superuser.
    pub(crate) async fn connect(&self) -> Client {
        connect(&self.url).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let name = self.name.clone();
        // A thread with a runtime of its own: this may run inside the test's runtime.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(drop_database(&name));
        });
        let _ = dropped.join();
    }
}

async fn drop_database(name: &str) {
    let admin = connect(&format!("{}/postgres", services().postgres)).await;
    let terminate = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
    let _ = admin.execute(terminate, &[&name]).await;
    let slots = "select pg_drop_replication_slot(slot_name) from pg_replication_slots \
                 where database = $1 and not active";
    for _ in 0..20 {
        if admin.execute(slots, &[&name]).await.is_ok()
            && admin.batch_execute(&format!("drop database {name} with (force)")).await.is_ok()
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("PostgreSQL");
    tokio::spawn(connection);
    client
}
