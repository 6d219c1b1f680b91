//! The files that pages need, embedded in the binary.
//!
//! ```text
//! bytes ─keccak─▶ hash ─▶ /assets/HASH/NAME   immutable: another content has another address
//! ```
//! A browser fetches each once per version of the node; an address with another hash is not found.
//! htmx and its extension are foreign files, unchanged; their licences lie beside them in `assets/`.

use alloy_primitives::{hex, keccak256};
use std::sync::LazyLock;

/// One embedded file.
#[derive(Debug)]
pub(super) struct Asset {
    name: &'static str,
    pub(super) content_type: &'static str,
    pub(super) bytes: &'static [u8],
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: [Asset; 5] = [
    Asset {
        name: "explorer.css",
        content_type: "text/css; charset=utf-8",
        bytes: include_bytes!("../../assets/explorer.css"),
    },
    Asset {
        name: "explorer.js",
        content_type: JAVASCRIPT,
        bytes: include_bytes!("../../assets/explorer.js"),
    },
    Asset {
        name: "htmx.min.js",
        content_type: JAVASCRIPT,
        bytes: include_bytes!("../../assets/htmx.min.js"),
    },
    Asset {
        name: "htmx-sse.min.js",
        content_type: JAVASCRIPT,
        bytes: include_bytes!("../../assets/htmx-sse.min.js"),
    },
    Asset {
        name: "icon.svg",
        content_type: "image/svg+xml",
        bytes: include_bytes!("../../assets/icon.svg"),
    },
];

/// Where each file is, by its place in [`ASSETS`].
static ADDRESSES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let addresses = ASSETS.iter().map(|asset| {
        let hash = keccak256(asset.bytes);
        let digits = hex::encode(hash.get(..8).unwrap_or_default());
        format!("/assets/{digits}/{}", asset.name)
    });
    addresses.collect()
});

/// Where a file is; nowhere if there is none of this name.
pub(super) fn address(name: &str) -> &'static str {
    let place = ASSETS.iter().position(|asset| asset.name == name);
    place
        .and_then(|place| ADDRESSES.get(place))
        .map_or("", String::as_str)
}

/// The file at an address.
pub(super) fn at(path: &str) -> Option<&'static Asset> {
    let place = ADDRESSES.iter().position(|address| address == path)?;
    ASSETS.get(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_at_its_address_only() {
        for asset in &ASSETS {
            let found = at(address(asset.name)).unwrap();
            assert_eq!(found.name, asset.name);
            assert!(at(&format!("/assets/0000000000000000/{}", asset.name)).is_none());
        }
        assert_eq!(address("nothing"), "");
    }

    #[test]
    fn everything_together_is_light() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(bytes < 100_000, "{bytes} bytes");
    }
}
