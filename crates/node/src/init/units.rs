//! What runs a network's nodes: a systemd unit for each machine, and a compose file for all on one.
//!
//! Templates; nothing but the number of nodes and the grace period goes into them.

/// How long whoever stops a node waits before it kills it, in seconds: longer than a node takes to flush.
const STOP_SECONDS: u64 = 30;

/// `systemd/headway@.service`: one node of the network, by the name of its folder.
pub(super) fn systemd() -> String {
    format!(
        r#"# One node of a Headway network: `systemctl enable --now headway@node0`.
#
#   useradd --system --home-dir /var/lib/headway --shell /usr/sbin/nologin headway
#   install -D headway /usr/local/bin/headway
#   the network's genesis.json and this machine's node folder to /var/lib/headway, owned by headway
#   this file to /etc/systemd/system/headway@.service
#
# A validator's key must run on one machine only: never enable the same node twice.
[Unit]
Description=Headway node %i
Documentation=file:/usr/share/doc/headway/operations.md
Wants=network-online.target
After=network-online.target time-sync.target

[Service]
Type=exec
User=headway
Group=headway
WorkingDirectory=/var/lib/headway
ExecStart=/usr/local/bin/headway node --config /var/lib/headway/%i/headway.toml --log-format json --log info
# A mistake in the config file does not go away by trying again.
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=2
# SIGTERM lets the node flush; what is not flushed is executed again.
KillSignal=SIGTERM
TimeoutStopSec={STOP_SECONDS}
LimitNOFILE=65536

# It needs its folder, the network, and nothing else.
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ReadWritePaths=/var/lib/headway/%i
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
ProtectHostname=yes
ProtectClock=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged

[Install]
WantedBy=multi-user.target
"#
    )
}

/// `compose.yaml`: all nodes of the network on this machine.
pub(super) fn compose(validators: u16) -> String {
    let mut text = String::from(
        r#"# All nodes of this network on one Linux machine, each in a container of its own:
#
#   docker build -t headway .        in Headway's source folder; there is no published image
#   docker compose up --detach       in this folder
#
# The containers share the machine's network, because the config files name its addresses, and run as the user
# who owns this folder (`HEADWAY_USER=$(id -u):$(id -g) docker compose up`), because keys are readable by their
# owner only.
services:
"#,
    );
    for index in 0..validators {
        text.push_str(&format!(
            r#"  node{index}:
    image: headway
    command: ["node", "--config", "/network/node{index}/headway.toml", "--log", "info"]
    user: "${{HEADWAY_USER:-1000:1000}}"
    network_mode: host
    volumes:
      - ./:/network
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    stop_grace_period: {STOP_SECONDS}s
    restart: on-failure
"#
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compose_file_has_every_node_once() {
        let text = compose(3);
        for index in 0..3 {
            assert_eq!(text.matches(&format!("\n  node{index}:\n")).count(), 1);
            assert_eq!(
                text.matches(&format!("/network/node{index}/headway.toml"))
                    .count(),
                1
            );
        }
        assert!(!text.contains("node3") && !text.contains("{{"));
    }

    #[test]
    fn the_unit_waits_longer_than_a_node_takes_to_stop() {
        let text = systemd();
        assert!(text.contains("TimeoutStopSec=30\n"));
        assert!(STOP_SECONDS > crate::process::STOP_TIMEOUT.as_secs());
        // What the node's exit code 2 says, the unit understands.
        assert!(text.contains("RestartPreventExitStatus=2\n"));
    }
}
