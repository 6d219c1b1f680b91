//! `headway snapshot`: a node's state in a file, and a node that begins with one.
//!
//! ```text
//!   export   node, as it runs ─▶ durable state, evidence for its height ─▶ file, renamed into place when it is whole
//!   import   file ─▶ evidence checked by the genesis ─▶ every chunk checked by the root ─▶ store ─▶ a node that begins there
//! ```
//! What is imported is checked as strictly as what peers send: a file from anywhere can be wrong, not harmful.

use crate::{
    error::NodeError,
    member::{self, Prepared},
    run::{self, Node},
};
use alloy_primitives::{B256, Bytes};
use commonware_codec::{Decode as _, Encode as _};
use commonware_runtime::{Clock as _, Runner as _, Supervisor as _, tokio};
use consensus::{
    join,
    sync::{Importer as _, StoreImporter},
};
use pipeline::ChainError;
use primitives::{Anchor, SyncAnchor, anchor::AnchorError, transaction::Impersonation};
use state::{
    Location,
    sync::{
        CHUNK_BYTES_MAX, FileError, FileHeader, FileItem, FileReader, Manifest, OpenFile,
        ScanError, WriteError, write_file,
    },
};
use std::{
    fs::File,
    io::{BufReader, BufWriter, Read},
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a node may take until it has the evidence for its durable state.
const EVIDENCE_SECONDS: u64 = 60;
const POLL: Duration = Duration::from_millis(100);

/// Why a snapshot could not be written or taken.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The node has no state but the genesis.
    #[error("the state is the genesis, which every node has; export a later one")]
    Genesis,
    /// Nothing shows that the state is the chain's.
    #[error(
        "no certificate of the state at height={height} came in {EVIDENCE_SECONDS} s; let the node reach its peers"
    )]
    NoEvidence {
        /// The height.
        height: u64,
    },
    /// The node could not be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The state could not be read.
    #[error("cannot export the state: {0}")]
    Scan(#[from] ScanError),
    /// The file could not be written.
    #[error("cannot export the state: {0}")]
    Write(#[from] WriteError),
    /// The file is not a snapshot of this chain.
    #[error(transparent)]
    File(#[from] FileError),
    /// The evidence in the file is none.
    #[error("bad snapshot file: its evidence does not read: {0}")]
    Evidence(commonware_codec::Error),
    /// The evidence in the file does not show what it should.
    #[error("bad snapshot file: {0}")]
    Anchor(#[from] AnchorError),
    /// The evidence in the file is for another height than the file says.
    #[error("bad snapshot file: it is of height={stated}, its evidence of height={proved}")]
    Height {
        /// What the file says.
        stated: u64,
        /// What the evidence shows.
        proved: u64,
    },
    /// The node has a state already.
    #[error("the data directory holds a state; import into an empty one")]
    NotEmpty,
}

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Height of the state.
    pub height: u64,
    /// Root of the state.
    pub root: B256,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Told how far it is: chunks that are done, and all.
pub type OnProgress<'a> = &'a mut (dyn FnMut(usize, usize) + Send);

/// Starts the node of a config file, writes its durable state to a file, and stops it.
///
/// # Errors
/// When the node cannot start, has nothing to show, or the file cannot be written.
pub fn export(config: &Path, file: &Path) -> Result<Summary, NodeError> {
    let prepared = member::prepare(config)?;
    let runtime = tokio::Config::new().with_storage_directory(prepared.directory.consensus());
    let file = file.to_owned();
    tokio::Runner::new(runtime).start(|runtime| async move {
        let genesis = run::identity(&prepared.genesis, &prepared.key)
            .trust
            .genesis_hash;
        let assembled = member::assemble(&runtime, prepared, None).await?;
        let (evidence, served) = evidence(&runtime, &assembled.node).await?;
        let header = FileHeader {
            genesis,
            height: served.height(),
            root: served.root(),
        };
        let manifest = Manifest::scan(&served, served.root(), CHUNK_BYTES_MAX);
        let manifest = manifest.map_err(SnapshotError::Scan)?;
        let draft = draft_of(&file);
        let out = File::create(&draft).map_err(NodeError::file("cannot create", &draft))?;
        let evidence: Bytes = evidence.encode().into();
        let written = write_file(BufWriter::new(&out), &header, &evidence, &manifest, &served);
        written.map_err(SnapshotError::Write)?;
        out.sync_all()
            .and_then(|()| std::fs::rename(&draft, &file))
            .map_err(NodeError::file("cannot write", &file))?;
        let length = std::fs::metadata(&file).map_err(NodeError::file("cannot read", &file))?;
        Ok(Summary {
            height: header.height,
            root: header.root,
            bytes: length.len(),
        })
    })
}

fn draft_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    file.with_file_name(name)
}

/// The durable state, and what shows that it is the chain's.
async fn evidence(
    runtime: &tokio::Context,
    node: &Node,
) -> Result<(SyncAnchor, state::Served), SnapshotError> {
    let served = node.chain.durable_state();
    if served.height() == 0 {
        return Err(SnapshotError::Genesis);
    }
    let until = runtime.current() + Duration::from_secs(EVIDENCE_SECONDS);
    while runtime.current() < until {
        if let Some(anchor) = node.order().anchor(&node.chain, served.height()).await? {
            return Ok((anchor, served));
        }
        runtime.sleep(POLL).await;
    }
    Err(SnapshotError::NoEvidence {
        height: served.height(),
    })
}

/// Fills the data directory of a config file, which must hold no state, from a snapshot.
///
/// # Errors
/// When the file is no snapshot of this chain or damaged, or the directory cannot be filled.
pub fn import(
    config: &Path,
    file: &Path,
    never_voted: bool,
    progress: OnProgress<'_>,
) -> Result<Summary, NodeError> {
    let prepared = member::prepare(config)?;
    let runtime = tokio::Config::new().with_storage_directory(prepared.directory.consensus());
    let input = File::open(file).map_err(NodeError::file("cannot read", file))?;
    let metadata = input
        .metadata()
        .map_err(NodeError::file("cannot read", file))?;
    let bytes = metadata.len();
    let input = BufReader::with_capacity(CHUNK_BYTES_MAX, input);
    tokio::Runner::new(runtime).start(|mut runtime| async move {
        let Prepared {
            genesis, directory, ..
        } = &prepared;
        let identity = run::identity(genesis, &prepared.key);
        let consensus = run::consensus_config_of(genesis, member::PARTITION, never_voted);
        let trust = &identity.trust;
        let impersonation = Impersonation::from(genesis.chain.protocol.dev);
        let location = Location::Directory(directory.state(member::PARTITION));
        let mut importer = StoreImporter::open(location, trust.genesis_hash, impersonation)?;
        if importer.is_complete() {
            return Err(SnapshotError::NotEmpty.into());
        }
        join::require_votes(&runtime, &identity.scheme, &consensus).await?;
        let opened = OpenFile::open(input, trust.genesis_hash).map_err(SnapshotError::File)?;
        let evidence = SyncAnchor::decode_cfg(opened.evidence().0.clone(), &identity.limits);
        let evidence = evidence.map_err(SnapshotError::Evidence)?;
        let anchor = evidence.verify(trust, &mut runtime);
        let anchor = anchor.map_err(SnapshotError::Anchor)?;
        let (stated, proved) = (opened.header().height, anchor.height());
        if stated != proved {
            return Err(SnapshotError::Height { stated, proved }.into());
        }
        let reader = opened.trust(anchor.state_root());
        let reader = reader.map_err(SnapshotError::File)?;
        fill(&mut importer, &anchor, reader, progress)?;
        let storage = runtime.child("anchor");
        join::remember(storage, &consensus.partition, identity.limits, &anchor).await?;
        importer.finish(&anchor).map_err(NodeError::Import)?;
        Ok(Summary {
            height: anchor.height(),
            root: anchor.state_root(),
            bytes,
        })
    })
}

fn fill(
    importer: &mut StoreImporter,
    anchor: &Anchor,
    mut reader: FileReader<impl Read>,
    progress: OnProgress<'_>,
) -> Result<(), NodeError> {
    let all = reader.manifest().chunks().len();
    importer
        .begin(anchor, reader.manifest())
        .map_err(NodeError::Import)?;
    while let Some(item) = reader.next_item().map_err(SnapshotError::File)? {
        let put = match item {
            FileItem::Chunk(chunk) => {
                progress(chunk.number(), all);
                importer.put_chunk(&chunk)
            }
            FileItem::Codes(codes) => importer.put_codes(&codes),
        };
        put.map_err(NodeError::Import)?;
    }
    progress(all, all);
    Ok(())
}
