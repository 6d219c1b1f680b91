//! What one node may choose about its RPC, and every limit on what a caller can ask for.
//!
//! Each limit has its default as a named constant; overflow is always a typed error to the caller,
//! never a queue that grows.

/// Largest request body, in bytes (geth's 5 MB; a batch of 500 raw transfers has 0.2 MB).
pub const BODY_BYTES_MAX: u32 = 5 * 1024 * 1024;
/// Largest answer, in bytes; a full block of 8 MiB fits as JSON.
pub const RESPONSE_BYTES_MAX: u32 = 32 * 1024 * 1024;
/// How long the body of a request may take to arrive, in milliseconds.
pub const BODY_WAIT_MS: u64 = 30_000;
/// Posted bundles that are read or worked on at the same time, over all connections; 8 MiB each at most.
pub const BUNDLES_MAX: usize = 32;
/// Of them, how many are worked on: beside other calls that compute, not in their place.
pub const BUNDLES_WORKED_MAX: usize = 2;
/// Requests that are not answered yet, over all connections.
pub(crate) const REQUESTS_MAX: usize = 4_096;
/// The same over one connection: HTTP/2 carries many.
pub(crate) const SOCKET_REQUESTS_MAX: usize = 128;
/// Bytes of the bodies of such requests, posted bundles apart; 25 of the largest.
pub const BODIES_BYTES_MAX: usize = 128 * 1024 * 1024;
/// How much of each body does not count there: who sends little is not refused because others send much.
pub(crate) const BODY_FREE_BYTES: usize = 64 * 1024;
/// Bytes of an unknown method's name that its caller is told.
pub(crate) const NAME_BYTES_MAX: usize = 64;
/// Open connections, HTTP and WebSocket together.
pub const CONNECTIONS_MAX: u32 = 512;
/// A connection that asks for nothing is closed after this long, in milliseconds (geth's two minutes).
pub const IDLE_MS: u64 = 120_000;
/// The part of it that is left when fewer than a quarter of the connections are free.
pub(crate) const IDLE_CROWDED_SHARE: u32 = 12;
/// A connection whose reader takes less than 64 KiB of an answer in this long is closed, in milliseconds.
pub const STALL_MS: u64 = 30_000;
/// What a reader has to take in the time of a stall, in bytes.
pub(crate) const STALL_BYTES: usize = 64 * 1024;
/// Bytes of answers that all readers together have not taken, beyond which no call computes another one.
pub const UNREAD_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The same of one connection, beyond which it is not read from.
pub(crate) const SOCKET_UNREAD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The same, beyond which its subscriptions wait.
pub(crate) const SUBSCRIBER_UNREAD_BYTES_MAX: usize = 256 * 1024;
/// Calls over one WebSocket that are worked on or wait at the same time.
pub(crate) const SOCKET_CALLS_MAX: usize = 1_024;
/// Bytes of calls over one WebSocket that are taken before all calls there are have been answered.
pub(crate) const SOCKET_READ_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Calls in one batch (geth's).
pub const BATCH_LENGTH_MAX: usize = 1_000;
/// Calls in one batch beyond which it is not even split into calls.
pub(crate) const BATCH_PARSE_MAX: u32 = 16_384;
/// Subscriptions of one WebSocket connection.
pub const SUBSCRIPTIONS_PER_CONNECTION_MAX: u32 = 128;
/// Messages a slow WebSocket client may leave unread before its subscriptions wait.
pub(crate) const UNREAD_MESSAGES_MAX: u32 = 1_024;
/// Calls that may compute at the same time: `eth_call`, proofs, logs, signature recovery.
pub const BLOCKING_CALLS_MAX: usize = 4;
/// Calls that may wait to compute, over all connections.
pub const WAITING_CALLS_MAX: usize = 4_096;
/// Gas of one `eth_call` or estimate (geth's `--rpc.gascap`).
pub const CALL_GAS_MAX: u64 = 50_000_000;
/// Steps of the virtual machine in one trace, or in the traces of one block.
pub const TRACE_STEPS_MAX: u64 = 1_000_000;
/// Length of one trace, or of the traces of one block, in bytes of JSON, estimated while it is recorded.
pub const TRACE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// How long a trace may take if the caller does not say, in milliseconds (geth's five seconds).
pub const TRACE_TIMEOUT_MS: u64 = 5_000;
/// The longest it may take, in milliseconds.
pub const TRACE_TIMEOUT_MS_MAX: u64 = 60_000;
/// Blocks one `trace_filter` may span.
pub const TRACE_FILTER_BLOCKS_MAX: u64 = 100;
/// Traces in one answer of `trace_filter`.
pub const TRACE_FILTER_MAX: usize = 10_000;
/// Blocks of one `eth_simulateV1` (geth's).
pub const SIMULATED_BLOCKS_MAX: u64 = 256;
/// Calls of one `eth_simulateV1`.
pub const SIMULATED_CALLS_MAX: usize = 5_000;
/// Calls in one `trace_callMany`.
pub const TRACE_CALLS_MAX: usize = 256;
/// Blocks one log query may look into.
pub const LOGS_BLOCKS_MAX: usize = 10_000;
/// Logs in one answer.
pub const LOGS_MAX: usize = 20_000;
/// Addresses, or topics at one position, in one log filter (geth's).
pub const LOG_CRITERIA_MAX: usize = 1_000;
/// Installed polling filters.
pub const FILTERS_MAX: usize = 1_024;
/// A filter nobody polls is dropped after this long, in milliseconds (geth's five minutes).
pub const FILTER_IDLE_MS: u64 = 5 * 60 * 1_000;
/// Blocks in one answer of `eth_feeHistory` (geth's).
pub const FEE_HISTORY_BLOCKS_MAX: u64 = 1_024;
/// Reward percentiles in one call of `eth_feeHistory` (geth's).
pub const FEE_HISTORY_PERCENTILES_MAX: usize = 100;
/// Storage keys in one `eth_getProof` (geth's).
pub const PROOF_KEYS_MAX: usize = 1_024;
/// Longest encoded access list that is served, in bytes: of some 50,000 transfers.
pub const ACCESS_LIST_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Browsers that may follow the explorer's overview at the same time; each takes one of the connections.
pub const LIVE_READERS_MAX: usize = 64;
/// Largest form that the explorer reads, in bytes: an ABI of some hundred functions.
pub const FORM_BYTES_MAX: usize = 512 * 1024;
/// How long `eth_sendRawTransactionSync` waits when the caller does not say, in milliseconds.
pub const RECEIPT_WAIT_MS: u64 = 20_000;
/// The longest it waits, in milliseconds.
pub const RECEIPT_WAIT_MS_MAX: u64 = 60_000;
/// New pending transactions a slow subscriber may fall behind.
pub const ADMISSIONS_MAX: usize = 16_384;
/// Blocks one `hardhat_mine` may ask for.
pub const MINE_BLOCKS_MAX: u64 = 10_000;
/// Accounts and slots in one dump of the state.
pub const DUMP_ENTRIES_MAX: usize = 100_000;
/// Bytes of an unpacked dump.
pub const LOAD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long `eth_sendTransaction` waits for the block that is to follow at once, in milliseconds.
pub const SENT_WAIT_MS: u64 = 2_000;
/// How long a development method waits for the next of the blocks it asked for, in milliseconds.
pub const DEV_WAIT_MS: u64 = 20_000;

/// Which web pages of other origins a browser may let talk to this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cors {
    /// None but pages that this node serves itself.
    Refused,
    /// Every page: for development chains, whose keys are public anyway.
    Any,
    /// The listed origins, as in `https://app.example`.
    Origins(Vec<String>),
}

impl Cors {
    pub(crate) fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Refused => false,
            Self::Any => true,
            Self::Origins(origins) => origins.iter().any(|allowed| allowed == origin),
        }
    }
}

/// Values of one node's RPC.
#[derive(Clone, Debug)]
pub struct RpcConfig {
    /// Pages of which origins may call.
    pub cors: Cors,
    /// Names under which this node may be addressed, besides `localhost` and IP addresses.
    ///
    /// Checked against the `Host` header while listening on a loopback address: a page that points
    /// its own name at 127.0.0.1 (DNS rebinding) is refused.
    pub hosts: Vec<String>,
    /// Largest request body, in bytes.
    pub body_bytes_max: u32,
    /// How long the body of a request may take to arrive, in milliseconds.
    pub body_wait_ms: u64,
    /// Bytes of bodies that arrive or are worked on at the same time, beside the first ones of each.
    pub bodies_bytes_max: usize,
    /// Largest answer, in bytes.
    pub response_bytes_max: u32,
    /// Open connections.
    pub connections_max: u32,
    /// A connection that asks for nothing is closed after this long, in milliseconds.
    pub idle_ms: u64,
    /// One whose reader does not take an answer is closed after this long, in milliseconds.
    pub stall_ms: u64,
    /// Calls in one batch.
    pub batch_length_max: usize,
    /// Subscriptions of one connection.
    pub subscriptions_per_connection_max: u32,
    /// Calls that may compute at the same time.
    pub blocking_calls_max: usize,
    /// Gas of one call or estimate.
    pub call_gas_max: u64,
    /// Blocks one log query may look into.
    pub logs_blocks_max: usize,
    /// Logs in one answer.
    pub logs_max: usize,
    /// Installed polling filters.
    pub filters_max: usize,
    /// A filter nobody polls is dropped after this long, in milliseconds.
    pub filter_idle_ms: u64,
    /// Makes filter ids unguessable: two nodes, or two runs of one, should not share it.
    pub filter_seed: u64,
}

impl RpcConfig {
    /// The values of a node of a production chain.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            cors: Cors::Refused,
            hosts: Vec::new(),
            body_bytes_max: BODY_BYTES_MAX,
            body_wait_ms: BODY_WAIT_MS,
            bodies_bytes_max: BODIES_BYTES_MAX,
            response_bytes_max: RESPONSE_BYTES_MAX,
            connections_max: CONNECTIONS_MAX,
            idle_ms: IDLE_MS,
            stall_ms: STALL_MS,
            batch_length_max: BATCH_LENGTH_MAX,
            subscriptions_per_connection_max: SUBSCRIPTIONS_PER_CONNECTION_MAX,
            blocking_calls_max: BLOCKING_CALLS_MAX,
            call_gas_max: CALL_GAS_MAX,
            logs_blocks_max: LOGS_BLOCKS_MAX,
            logs_max: LOGS_MAX,
            filters_max: FILTERS_MAX,
            filter_idle_ms: FILTER_IDLE_MS,
            filter_seed: 0,
        }
    }

    /// How many of the connections may be WebSockets, which stay: the others are for requests.
    pub(crate) fn websockets_max(&self) -> usize {
        let max = self.connections_max - self.connections_max / 4;
        usize::try_from(max).unwrap_or(usize::MAX)
    }

    /// The values of a development chain: any web page may call.
    #[must_use]
    pub fn dev() -> Self {
        Self {
            cors: Cors::Any,
            ..Self::new()
        }
    }
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self::new()
    }
}
