// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// The shards of a relay chain, as their owners order them. Installed by the genesis at a fixed address.
///
/// Every order is one `Ordered` event. Validators put the events of executed blocks into relay blocks, in
/// their order, and the shard ledger carries them out or refuses them; this contract knows nothing of that.
/// An order is: kind (1 byte), shard (4), what the kind has. Numbers are big-endian.
contract Registry {
    event Ordered(uint32 indexed shard, uint8 indexed kind, bytes order);

    struct Shard {
        address owner;
        bool retired;
        uint64 ordered; // the block of its last order
        uint96 deposit;
    }

    error NotOwner();
    error NotGovernor();
    error Retired();
    error TooLittle(uint256 deposit);
    error TooLong();
    error UnknownVersion(uint32 version);
    error Busy();
    error Unpaid();

    /// Orders of one block; relay blocks carry twice as many, so that none wait for long.
    uint32 public constant ORDERS_MAX = 8;
    uint256 public constant COLLATORS_MAX = 64;
    uint256 public constant CHARTER_BYTES_MAX = 1024;

    // Slot 0: who allows versions of charters, the number of the next shard, the newest version allowed.
    address public governor;
    uint32 public nextShard;
    uint32 public versionMax;
    // Slot 1: the least deposit for each core, in wei.
    uint96 public depositMin;
    // Slot 1 as well: how many orders this block has.
    uint64 private blockOfOrders;
    uint32 private ordersOfBlock;
    // Slot 2.
    mapping(uint32 => Shard) public shards;

    /// A new shard; the sender owns it. The deposit, for each core and for one at least, comes back when it retires.
    function create(
        bytes32 genesisHash,
        bytes32 genesisRoot,
        uint64 genesisMs,
        uint64 gasLimit,
        uint16 cores,
        bytes32[] calldata collators,
        bytes calldata charter
    ) external payable returns (uint32 shard) {
        uint256 least = uint256(depositMin) * (cores == 0 ? 1 : cores);
        if (msg.value < least || msg.value > type(uint96).max) revert TooLittle(least);
        _check(charter);
        if (collators.length > COLLATORS_MAX) revert TooLong();
        shard = nextShard++;
        shards[shard] = Shard(msg.sender, false, 0, uint96(msg.value));
        _order(
            shard,
            0,
            abi.encodePacked(
                genesisHash,
                genesisRoot,
                genesisMs,
                gasLimit,
                cores,
                uint16(collators.length),
                collators,
                charter
            )
        );
    }

    /// Takes no candidates for a while.
    function pause(uint32 shard) external {
        _owned(shard);
        _order(shard, 1, "");
    }

    /// Takes candidates again.
    function resume(uint32 shard) external {
        _owned(shard);
        _order(shard, 2, "");
    }

    /// Is over, for ever. Its deposit goes back to the owner.
    function retire(uint32 shard) external {
        Shard storage known = _owned(shard);
        known.retired = true;
        uint256 deposit = known.deposit;
        known.deposit = 0;
        _order(shard, 3, "");
        (bool paid, ) = msg.sender.call{value: deposit}("");
        if (!paid) revert Unpaid();
    }

    /// Candidates whose anchors are at this relay height or above are executed under another charter.
    function upgrade(uint32 shard, uint64 height, uint64 gasLimit, bytes calldata charter) external {
        _owned(shard);
        _check(charter);
        _order(shard, 4, abi.encodePacked(height, gasLimit, charter));
    }

    /// Others build its blocks.
    function setCollators(uint32 shard, bytes32[] calldata collators) external {
        _owned(shard);
        if (collators.length > COLLATORS_MAX) revert TooLong();
        _order(shard, 5, abi.encodePacked(uint16(collators.length), collators));
    }

    /// Somebody else owns it.
    function transfer(uint32 shard, address owner) external {
        _owned(shard).owner = owner;
    }

    /// Charters up to this version are taken. Nodes that do not know it stop before it is in force, so it is
    /// the governor's to say when enough of them do.
    function allow(uint32 version) external {
        if (msg.sender != governor) revert NotGovernor();
        versionMax = version;
    }

    function _owned(uint32 shard) private view returns (Shard storage known) {
        known = shards[shard];
        if (known.owner != msg.sender) revert NotOwner();
        if (known.retired) revert Retired();
    }

    /// A charter begins with its version.
    function _check(bytes calldata charter) private view {
        if (charter.length > CHARTER_BYTES_MAX || charter.length < 4) revert TooLong();
        uint32 version = uint32(bytes4(charter[:4]));
        if (version == 0 || version > versionMax) revert UnknownVersion(version);
    }

    /// A shard has one order in a block, so nobody keeps others out without as many deposits as a block has orders.
    function _order(uint32 shard, uint8 kind, bytes memory rest) private {
        Shard storage known = shards[shard];
        if (known.ordered == block.number) revert Busy();
        known.ordered = uint64(block.number);
        if (blockOfOrders != block.number) {
            blockOfOrders = uint64(block.number);
            ordersOfBlock = 0;
        }
        if (ordersOfBlock++ >= ORDERS_MAX) revert Busy();
        emit Ordered(shard, kind, abi.encodePacked(kind, shard, rest));
    }
}
