//! Real Ethereum blocks with the state they touch, as `headway replay` reads them.

pub use node::replay::{Codes, MainnetBlock, chain, read_codes};
