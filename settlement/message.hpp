// Messages and the initial states they may carry (TL-B `Message`, `MessageRelaxed`, `StateInit` of
// the reference node's block.tlb). Read by the transaction reader and the chain adapter, written by
// the wallets; any thread. It must not know what a body asks for.
#pragma once

#include <optional>

#include "settlement/boc.hpp"
#include "settlement/slice.hpp"

namespace cocoon::settlement::ton {

struct StateInit {
    std::optional<std::uint8_t> fixed_prefix_length;  // 0 to 31
    std::optional<std::uint8_t> tick_tock;            // bit 1: tick, bit 0: tock
    CellRef code, data, libraries;                    // each may be null

    CellRef cell() const;
    // The account that this state creates: its hash is the account's id.
    Address address(std::int8_t workchain = 0) const;
    // malformed_request: not exactly one StateInit.
    static Result<StateInit> parse(const CellRef& cell);
};

struct Message {
    enum class Kind { internal, external_in, external_out };
    Kind kind = Kind::internal;
    CellRef cell;                        // the whole message; its hash names it
    std::optional<Address> source;       // nothing: external, or still to be filled in by the chain
    std::optional<Address> destination;  // nothing: external
    std::optional<StateInit> init;
    CellRef body;  // a cell of its own, however it was stored

    // Internal ones only.
    bool ihr_disabled = false, bounce = false, bounced = false;
    Nano value;
    CellRef other_currencies;  // null: none
    Nano extra_flags;          // the former ihr_fee (global version 12)
    Nano forward_fee;          // what is left of it for the next hop
    // Internal and external_out.
    std::uint64_t created_lt = 0;
    std::uint32_t created_at = 0;
    // external_in only.
    Nano import_fee;

    // `relaxed`: the source may be missing, as inside an action list.
    static Result<Message> parse(const CellRef& cell, bool relaxed = false);
};

// What a wallet is asked to send. The chain fills in the rest.
struct Transfer {
    Address to;
    Nano value;
    // False for wallets and for accounts that do not exist yet: the coins stay there in any case.
    bool bounce = false;
    std::optional<StateInit> init;
    CellRef body;  // null: empty
};
CellRef internal_message(const Transfer& transfer);

// From outside to `to`. `in_references`: state and body always in references, as highload wallets'
// own tools write them; otherwise inside the message where they fit.
CellRef external_message(const Address& to, const std::optional<StateInit>& init,
                         const CellRef& body, bool in_references = false);

// TEP-467: the hash that names an external message however it was packed on its way (no source, no
// import fee, no state, the body in a reference). REQUIRES: external_in.
Hash normalised_hash(const Message& message);

}  // namespace cocoon::settlement::ton
