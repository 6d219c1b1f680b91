//! The encoding of anchors. Every length is bounded before anything is read.

use super::{ANCESTORS_MAX, AnchorHead, HEADER_BYTES_MAX, LAG_MAX, ORDER_BLOCKS_MAX, SyncAnchor};
use crate::{
    Block, BlockLimits, ExecutionCertificate, ExecutionResult, certificate::ResultScheme,
    crypto::Finalization,
};
use alloy_consensus::Header;
use alloy_rlp::{Decodable as _, Encodable as _};
use bytes::{BufMut, Bytes};
use commonware_codec::{Buf, EncodeSize, Error, FixedSize, RangeCfg, Read, ReadExt, Write};
use commonware_cryptography::certificate::Verifier as _;

/// Most headers of one anchor.
pub(super) const HEADERS_MAX: usize = 512;
const _: () = assert!(
    HEADERS_MAX as u64 == ANCESTORS_MAX + LAG_MAX,
    "as many headers as an anchor may have"
);
/// Bytes of one header of ours: only that of a genesis can be longer, and there is one of those.
const HEADER_BYTES: usize = 1_024;
/// Bytes of the length prefixes and numbers of a head.
const HEAD_FIXED_SIZE: usize = 64;

pub(super) fn head_bytes_max(limits: &BlockLimits) -> usize {
    let signatures = ResultScheme::max_certificate_size(limits.validators);
    Finalization::max_encode_size(limits.validators)
        .saturating_add(ExecutionResult::SIZE.saturating_add(signatures))
        .saturating_add(HEADERS_MAX.saturating_mul(HEADER_BYTES))
        .saturating_add(HEADER_BYTES_MAX.saturating_add(HEAD_FIXED_SIZE))
}

/// An Ethereum header in its own encoding, with its length.
struct Rlp(Header);

impl Write for Rlp {
    fn write(&self, buf: &mut impl BufMut) {
        let mut bytes = Vec::with_capacity(self.0.length());
        self.0.encode(&mut bytes);
        Bytes::from(bytes).write(buf);
    }
}

impl EncodeSize for Rlp {
    fn encode_size(&self) -> usize {
        let length = self.0.length();
        length.encode_size().saturating_add(length)
    }
}

impl Read for Rlp {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        let bytes = Bytes::read_cfg(buf, &RangeCfg::new(1..=HEADER_BYTES_MAX))?;
        let mut rest = bytes.as_ref();
        match Header::decode(&mut rest) {
            Ok(header) if rest.is_empty() => Ok(Self(header)),
            Ok(_) | Err(_) => Err(Error::Invalid("AnchorHead", "not an Ethereum header")),
        }
    }
}

impl Write for AnchorHead {
    fn write(&self, buf: &mut impl BufMut) {
        self.height.write(buf);
        self.certificate.write(buf);
        self.finalization.write(buf);
        self.headers.len().write(buf);
        for header in &self.headers {
            Rlp(header.clone()).write(buf);
        }
    }
}

impl EncodeSize for AnchorHead {
    fn encode_size(&self) -> usize {
        let headers = self.headers.iter();
        let headers = headers.map(|header| Rlp(header.clone()).encode_size());
        u64::SIZE
            .saturating_add(self.certificate.encode_size())
            .saturating_add(self.finalization.encode_size())
            .saturating_add(self.headers.len().encode_size())
            .saturating_add(headers.fold(0, usize::saturating_add))
    }
}

impl Read for AnchorHead {
    type Cfg = BlockLimits;
    fn read_cfg(buf: &mut impl Buf, limits: &BlockLimits) -> Result<Self, Error> {
        let participants = usize::try_from(limits.validators).unwrap_or(usize::MAX);
        let height = u64::read(buf)?;
        let certificate = ExecutionCertificate::read_cfg(buf, &participants)?;
        let finalization = Finalization::read_cfg(buf, &participants)?;
        let headers = Vec::<Rlp>::read_cfg(buf, &(RangeCfg::new(1..=HEADERS_MAX), ()))?;
        Ok(Self {
            height,
            certificate,
            headers: headers.into_iter().map(|rlp| rlp.0).collect(),
            finalization,
        })
    }
}

impl Write for SyncAnchor {
    fn write(&self, buf: &mut impl BufMut) {
        self.head.write(buf);
        self.order.write(buf);
    }
}

impl EncodeSize for SyncAnchor {
    fn encode_size(&self) -> usize {
        self.head
            .encode_size()
            .saturating_add(self.order.encode_size())
    }
}

impl Read for SyncAnchor {
    type Cfg = BlockLimits;
    fn read_cfg(buf: &mut impl Buf, limits: &BlockLimits) -> Result<Self, Error> {
        let head = AnchorHead::read_cfg(buf, limits)?;
        let blocks = (RangeCfg::new(1..=ORDER_BLOCKS_MAX), *limits);
        Ok(Self {
            head,
            order: Vec::<Block>::read_cfg(buf, &blocks)?,
        })
    }
}
