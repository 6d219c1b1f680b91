//! How large an access list from outside may be.

/// Longest encoded list, in bytes; longer ones are rejected before they are read. A block of 50,000
/// transfers needs about a tenth.
pub const LIST_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most transactions of the block that a list is of.
pub const TRANSACTIONS_MAX: usize = 1 << 20;
/// Longest code that an account can be given, in bytes; far more than a transaction can create.
pub const CODE_BYTES_MAX: usize = 1024 * 1024;
