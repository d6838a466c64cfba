// Reads a cell from its first bit on, and Builder writes one. A Slice is lenient towards its caller
// and strict towards the data: a read that the data cannot answer gives zero, and from then on
// good() is false and every read gives zero. So a parser reads a whole structure and asks once, at
// the end. Both are one thread's. They know the shapes that TL-B shares everywhere (integers,
// coins, addresses) and no message.
#pragma once

#include <optional>

#include "core/money.hpp"
#include "settlement/address.hpp"
#include "settlement/cell.hpp"

namespace cocoon::settlement::ton {

class Slice {
public:
    // Not good from the start for an exotic cell: its bits are not what they seem.
    explicit Slice(CellRef cell);

    bool good() const { return good_; }
    // Good, and nothing left: what every complete structure ends with.
    bool finished() const { return good_ && bits_left() == 0 && refs_left() == 0; }
    std::size_t bits_left() const { return good_ ? cell_->bits() - bit_ : 0; }
    std::size_t refs_left() const { return good_ ? cell_->refs().size() - ref_ : 0; }

    bool bit() { return number(1) != 0; }
    // `count` bits, the highest first. REQUIRES: count <= 64.
    std::uint64_t number(std::size_t count);
    std::int64_t signed_number(std::size_t count);  // two's complement
    // Whole bytes.
    Bytes bytes(std::size_t count);
    Hash hash();
    CellRef ref();        // null when not good
    CellRef maybe_ref();  // null also when absent
    // VarUInteger with a length of `length_bits` bits (TL-B `VarUInteger`): not good if spelled
    // longer than need be, or over 2^64 - 1.
    std::uint64_t variable(std::size_t length_bits);
    // Coins (TL-B `Grams`). Not good above the largest Nano, which the coin's supply cannot reach.
    Nano coins();
    // addr_std, or nothing for addr_none. Not good: anycast and variable addresses, external ones.
    std::optional<Address> maybe_address();
    Address address();
    // addr_none or addr_extern, which carry nothing we use.
    void skip_external_address();
    // Makes the slice not good: what was read has no place here.
    void fail() { good_ = false; }
    // The rest as a cell of its own; an empty cell when not good.
    CellRef rest();

private:
    CellRef cell_;
    std::size_t bit_ = 0, ref_ = 0;
    bool good_;
};

class Builder {
public:
    Builder& bit(bool value) { return number(value, 1); }
    // REQUIRES (of all below): what is written fits the cell; see fits().
    Builder& number(std::uint64_t value, std::size_t count);
    Builder& bytes(ByteView bytes);
    Builder& ref(CellRef cell);
    Builder& maybe_ref(const CellRef& cell);  // one bit, and the reference unless null
    Builder& variable(std::uint64_t value, std::size_t length_bits);
    Builder& coins(Nano amount);  // REQUIRES: not negative
    Builder& address(const Address& address);
    Builder& no_address() { return number(0, 2); }
    // All bits and references of an ordinary cell.
    Builder& content(const Cell& cell);

    bool fits(std::size_t bits, std::size_t refs) const;
    std::size_t bits() const { return bits_; }
    // REQUIRES: no reference is as deep as cells may be.
    CellRef cell() const;

private:
    std::array<std::uint8_t, 128> data_{};
    std::array<CellRef, cell_refs_max> refs_{};
    std::size_t bits_ = 0, refs_count_ = 0;
};

}  // namespace cocoon::settlement::ton
