#include "settlement/address.hpp"

#include <algorithm>

namespace cocoon::settlement::ton {
namespace {

constexpr std::uint8_t bounceable_tag = 0x11;
constexpr std::uint8_t non_bounceable_tag = 0x51;
constexpr std::uint8_t test_only_flag = 0x80;
constexpr std::size_t friendly_letters = 48;
constexpr std::size_t friendly_bytes = 36;  // tag, workchain, id, checksum

// CRC-16/XMODEM.
std::uint16_t crc16(ByteView bytes) {
    std::uint16_t crc = 0;
    for (const std::uint8_t byte : bytes) {
        crc ^= static_cast<std::uint16_t>(byte << 8);
        for (int bit = 0; bit < 8; ++bit)
            crc = static_cast<std::uint16_t>(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

Error refused(const char* why) { return refuse(ErrorCode::malformed_request, why); }

Result<Address> checked(std::int8_t workchain, ByteView id) {
    if (workchain != 0 && workchain != -1) return refused("the address is in an unknown workchain");
    Address address{workchain, {}};
    std::copy(id.begin(), id.end(), address.id.begin());
    return address;
}

Result<AddressText> parse_raw(std::string_view text, std::size_t colon) {
    const std::string_view workchain = text.substr(0, colon);
    std::string hex{text.substr(colon + 1)};
    for (char& letter : hex)
        if (letter >= 'A' && letter <= 'F') letter = static_cast<char>(letter - 'A' + 'a');
    const auto id = from_hex(hex);
    if (!id || id->size() != 32) return refused("a raw address has 64 hexadecimal digits");
    if (workchain != "0" && workchain != "-1")
        return refused("the address is in an unknown workchain");
    const Result<Address> address = checked(workchain == "0" ? 0 : -1, *id);
    return AddressText{*address, std::nullopt, false};
}

}  // namespace

std::string Address::raw() const { return std::to_string(workchain) + ":" + to_hex(id); }

std::string Address::friendly(bool bounceable, Network network) const {
    Bytes bytes{static_cast<std::uint8_t>((bounceable ? bounceable_tag : non_bounceable_tag) |
                                          (network == Network::mainnet ? 0 : test_only_flag)),
                static_cast<std::uint8_t>(workchain)};
    bytes.insert(bytes.end(), id.begin(), id.end());
    const std::uint16_t crc = crc16(bytes);
    bytes.push_back(static_cast<std::uint8_t>(crc >> 8));
    bytes.push_back(static_cast<std::uint8_t>(crc));
    return to_base64url(bytes);
}

Result<AddressText> parse_address(std::string_view text, Network network) {
    if (const auto colon = text.find(':'); colon != text.npos) return parse_raw(text, colon);
    if (text.size() != friendly_letters) return refused("an address has 48 letters, or a colon");
    auto bytes = from_base64url(text);
    if (!bytes) bytes = from_base64(text);
    if (!bytes || bytes->size() != friendly_bytes)
        return refused("the address is not base64 or base64url");
    const ByteView content = ByteView{*bytes}.first(friendly_bytes - 2);
    const std::uint16_t crc = crc16(content);
    if ((*bytes)[34] != crc >> 8 || (*bytes)[35] != (crc & 0xFF))
        return refused("the address has a wrong checksum: it was mistyped");
    const std::uint8_t tag = content[0] & ~test_only_flag;
    const bool test_only = content[0] & test_only_flag;
    if (tag != bounceable_tag && tag != non_bounceable_tag)
        return refused("the address has unknown flags");
    if (test_only && network == Network::mainnet)
        return refused("the address is of a test network");
    const Result<Address> address =
        checked(static_cast<std::int8_t>(content[1]), content.subspan(2));
    if (!address) return address.error();
    return AddressText{*address, tag == bounceable_tag, test_only};
}

}  // namespace cocoon::settlement::ton
