//! State in Postgres: connectors, offsets, status, leases. The SQL stands beside the type it fills.
