// Any bytes as what a vendor's service answers: the signed text that is cut out of it is the value
// that a JSON parser finds there, and a chain or a list that reads once reads again.
#include <cstdlib>

#include "attestation/json.hpp"
#include "attestation/vendor_answer.hpp"

using namespace cocoon;
using namespace cocoon::attestation;

namespace {

void check(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view answer = as_text({data, size});
    for (const char* name : {"tcbInfo", "enclaveIdentity"}) {
        const auto found = read_signed_text(answer, name);
        if (!found) continue;
        const auto whole = parse_json(answer, vendor_answer_bytes_max);
        const auto part = parse_json(found->text, vendor_answer_bytes_max);
        check(whole && part && *member(*whole, name) == *part);
        check(answer.find(found->text) != std::string_view::npos);
        check(found->signature.size() == 64);
    }
    if (const auto chain = read_issuer_chain(answer))
        check(read_issuer_chain(*chain).value() == *chain);
    if (const auto list = read_served_list(answer))
        check(read_served_list(to_hex(list->der())).has_value());
    if (const auto manifest = read_served_manifest(answer)) check(!manifest->empty());
    return 0;
}
