// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// Counts votes: few hot slots that all voters add to, one cold slot for each voter.
contract Governor {
    struct Proposal {
        uint256 against;
        uint256 inFavour;
        uint256 abstain;
    }

    mapping(uint256 proposal => Proposal) private _proposals; // 0
    mapping(uint256 proposal => mapping(address voter => bool)) public hasVoted; // 1

    event VoteCast(address indexed voter, uint256 indexed proposal, uint8 support, uint256 weight);

    error AlreadyVoted(address voter);
    error InvalidSupport(uint8 support);

    function vote(uint256 proposal, uint8 support) external {
        if (hasVoted[proposal][msg.sender]) revert AlreadyVoted(msg.sender);
        hasVoted[proposal][msg.sender] = true;
        Proposal storage counted = _proposals[proposal];
        if (support == 0) counted.against += 1;
        else if (support == 1) counted.inFavour += 1;
        else if (support == 2) counted.abstain += 1;
        else revert InvalidSupport(support);
        emit VoteCast(msg.sender, proposal, support, 1);
    }

    function votes(uint256 proposal) external view returns (uint256, uint256, uint256) {
        Proposal storage counted = _proposals[proposal];
        return (counted.against, counted.inFavour, counted.abstain);
    }
}
