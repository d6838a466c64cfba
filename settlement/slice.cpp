#include "settlement/slice.hpp"

#include <algorithm>

namespace cocoon::settlement::ton {
namespace {

constexpr std::uint64_t addr_none = 0b00, addr_extern = 0b01, addr_std = 0b10;

}  // namespace

Slice::Slice(CellRef cell) : cell_{std::move(cell)}, good_{cell_ && !cell_->is_exotic()} {}

std::uint64_t Slice::number(std::size_t count) {
    ENSURE(count <= 64);
    if (bits_left() < count) {
        fail();
        return 0;
    }
    std::uint64_t value = 0;
    const ByteView data = cell_->data();
    while (count > 0) {
        const std::size_t here = 8 - bit_ % 8;  // bits left in the current byte
        const std::size_t taken = std::min(here, count);
        const unsigned part = data[bit_ / 8] >> (here - taken) & ((1u << taken) - 1);
        value = value << taken | part;
        bit_ += taken;
        count -= taken;
    }
    return value;
}

std::int64_t Slice::signed_number(std::size_t count) {
    const std::uint64_t value = number(count);
    const std::uint64_t sign = std::uint64_t{1} << (count - 1);
    return static_cast<std::int64_t>((value ^ sign) - sign);
}

Bytes Slice::bytes(std::size_t count) {
    if (bits_left() < count * 8) {
        fail();
        return Bytes(count);
    }
    Bytes out(count);
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(number(8));
    return out;
}

Hash Slice::hash() {
    const Bytes read = bytes(32);
    Hash out{};
    std::copy(read.begin(), read.end(), out.begin());
    return out;
}

CellRef Slice::ref() {
    if (refs_left() == 0) {
        fail();
        return nullptr;
    }
    return cell_->refs()[ref_++];
}

CellRef Slice::maybe_ref() { return bit() ? ref() : nullptr; }

std::uint64_t Slice::variable(std::size_t length_bits) {
    const std::uint64_t length = number(length_bits);
    if (length > 8) fail();
    if (length == 0 || !good_) return 0;
    const std::uint64_t value = number(length * 8);
    if (value >> (8 * (length - 1)) == 0) fail();
    return good_ ? value : 0;
}

Nano Slice::coins() {
    const std::uint64_t value = variable(4);
    if (value > static_cast<std::uint64_t>(INT64_MAX)) fail();
    return Nano{good_ ? static_cast<std::int64_t>(value) : 0};
}

std::optional<Address> Slice::maybe_address() {
    const std::uint64_t tag = number(2);
    if (tag == addr_none) return std::nullopt;
    if (tag != addr_std || bit()) fail();
    Address address;
    address.workchain = static_cast<std::int8_t>(signed_number(8));
    address.id = hash();
    return good_ ? std::optional{address} : std::nullopt;
}

Address Slice::address() {
    const auto read = maybe_address();
    if (!read) fail();
    return read.value_or(Address{});
}

void Slice::skip_external_address() {
    const std::uint64_t tag = number(2);
    if (tag == addr_none) return;
    if (tag != addr_extern) return fail();
    const std::size_t length = number(9);
    if (bits_left() < length) return fail();
    bit_ += length;
}

CellRef Slice::rest() {
    if (!good_) return Cell::empty();
    if (bit_ == 0 && ref_ == 0) {
        bit_ = cell_->bits();
        ref_ = cell_->refs().size();
        return cell_;
    }
    Builder builder;
    while (bits_left() > 0) {
        const std::size_t count = std::min<std::size_t>(64, bits_left());
        builder.number(number(count), count);
    }
    while (refs_left() > 0) builder.ref(ref());
    return builder.cell();
}

bool Builder::fits(std::size_t bits, std::size_t refs) const {
    return bits_ + bits <= cell_bits_max && refs_count_ + refs <= cell_refs_max;
}

Builder& Builder::number(std::uint64_t value, std::size_t count) {
    ENSURE(count <= 64 && fits(count, 0) && (count == 64 || value >> count == 0));
    while (count > 0) {
        const std::size_t room = 8 - bits_ % 8;
        const std::size_t written = std::min(room, count);
        const auto part = static_cast<unsigned>(value >> (count - written)) & ((1u << written) - 1);
        data_[bits_ / 8] |= static_cast<std::uint8_t>(part << (room - written));
        bits_ += written;
        count -= written;
    }
    return *this;
}

Builder& Builder::bytes(ByteView bytes) {
    ENSURE(fits(bytes.size() * 8, 0));
    for (const std::uint8_t byte : bytes) number(byte, 8);
    return *this;
}

Builder& Builder::ref(CellRef cell) {
    ENSURE(cell && fits(0, 1));
    refs_[refs_count_++] = std::move(cell);
    return *this;
}

Builder& Builder::maybe_ref(const CellRef& cell) {
    bit(cell != nullptr);
    return cell ? ref(cell) : *this;
}

Builder& Builder::variable(std::uint64_t value, std::size_t length_bits) {
    std::size_t length = 0;
    while (length < 8 && value >> (8 * length)) ++length;
    return number(length, length_bits).number(value, length * 8);
}

Builder& Builder::coins(Nano amount) {
    ENSURE(amount.value >= 0);
    return variable(static_cast<std::uint64_t>(amount.value), 4);
}

Builder& Builder::address(const Address& address) {
    return number(addr_std, 2)
        .bit(false)
        .number(static_cast<std::uint8_t>(address.workchain), 8)
        .bytes(address.id);
}

Builder& Builder::content(const Cell& cell) {
    ENSURE(!cell.is_exotic() && fits(cell.bits(), cell.refs().size()));
    std::size_t left = cell.bits();
    for (const std::uint8_t byte : cell.data()) {
        const std::size_t count = std::min<std::size_t>(8, left);
        number(static_cast<unsigned>(byte) >> (8 - count), count);
        left -= count;
    }
    for (const CellRef& child : cell.refs()) ref(child);
    return *this;
}

CellRef Builder::cell() const {
    return Cell::make(data_, bits_, {refs_.data(), refs_count_}).value();
}

}  // namespace cocoon::settlement::ton
