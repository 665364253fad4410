//! The one integration binary. `make test` starts the real servers that it speaks to.

/// The state database, statement by statement.
mod store;
/// What the tests share.
mod support;
/// The house rules: imports, file lengths.
mod tidy;
