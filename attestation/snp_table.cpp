#include "attestation/snp_table.hpp"

#include <algorithm>
#include <array>

#include "attestation/certificate.hpp"
#include "attestation/reader.hpp"

namespace cocoon::attestation {
namespace {

using Guid = std::array<std::uint8_t, 16>;  // in the order in which it is written

struct Slot {
    std::string_view guid;  // lower-case hex
    Bytes SnpCollateral::*into;
};

constexpr std::array<Slot, 5> slots{{
    {"63da758de6644564adc5f4b93be8accd", &SnpCollateral::key_certificate},     // VCEK
    {"a8074bc2a25a483eaae639c045a0b8a1", &SnpCollateral::key_certificate},     // VLEK
    {"4ab7b379bbac4fe4a02f05aef327c782", &SnpCollateral::signer_certificate},  // ASK or ASVK
    {"c0b406a4a803495297433fb6014cd0ae", &SnpCollateral::root_certificate},    // ARK
    {"92f81bc358114d3d97ffd19f88dc67ea", &SnpCollateral::revocation_list},
}};

// DER of what is DER or PEM; nothing for anything else.
template <class Object>
Bytes der_of(ByteView blob) {
    if (const auto object = Object::from_der(blob)) return object->der();
    if (const auto object = Object::from_pem(as_text(blob))) return object->der();
    return {};
}

}  // namespace

Result<SnpCollateral> read_snp_table(ByteView table) {
    SnpCollateral found;
    Reader in{table};
    while (in.left() > 0) {
        const Guid guid = in.array<16>();
        const auto offset = in.little<std::uint32_t>();
        const auto length = in.little<std::uint32_t>();
        if (!in.ok()) return refuse(ErrorCode::malformed_request, "the table ends in an entry");
        if (guid == Guid{}) break;
        if (offset > table.size() || length > table.size() - offset)
            return refuse(ErrorCode::malformed_request, "an entry points outside the table");
        const auto slot = std::find_if(slots.begin(), slots.end(), [&](const Slot& known) {
            return known.guid == to_hex(guid);
        });
        if (slot == slots.end()) continue;  // AMD and hosts may add more
        const ByteView blob = table.subspan(offset, length);
        Bytes der = slot->into == &SnpCollateral::revocation_list ? der_of<RevocationList>(blob)
                                                                  : der_of<Certificate>(blob);
        if (der.empty() || !(found.*slot->into).empty())
            return refuse(ErrorCode::malformed_request,
                          "an entry holds no certificate, or a second one of its kind");
        found.*slot->into = std::move(der);
    }
    return found;
}

}  // namespace cocoon::attestation
