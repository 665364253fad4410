//! The one integration binary. `make test` starts the real servers that it speaks to.

/// The house rules: imports, file lengths.
mod tidy;
