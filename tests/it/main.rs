//! The one integration binary. `make test` starts the real servers that it speaks to.

/// What the tests share.
mod support;
/// The house rules: imports, file lengths.
mod tidy;
