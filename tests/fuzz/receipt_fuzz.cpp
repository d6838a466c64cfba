// Any bytes as keyset, receipt and envelope; nothing verifies, since nobody signed it. The reader
// behind the signature is reached by signing the input's document with the fuzzer's own key.
#include <cstdint>
#include <cstdlib>

#include "sealing/canonical_json.hpp"
#include "sealing/receipt.hpp"
#include "sealing/statement.hpp"

using namespace cocoon;
using namespace cocoon::sealing;

namespace {

const SigningKey key = SigningKey::from_seed(Bytes(32, 9)).value();
const Keyset keyset = [] {
    Keyset parts;
    parts.receipt_keys = {{"k", key.public_key()}};
    parts.not_after = Instant{} + seconds(1'900'000'000);
    return build_keyset(parts).value();
}();

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    if (const auto read = parse_keyset(text))
        if (parse_keyset(read->document).value().digest != read->digest) std::abort();
    (void)session_id(text);
    (void)receipt_of_envelope(text);
    if (verify_cosigned(text, keyset, key.public_key())) std::abort();
    auto document = Json::parse(text);
    if (!document || !document->is_object()) return 0;
    document->erase("signature");
    document->set("api_version", aci_version);
    document->set("key_id", "k");
    document->set("workload_keyset_digest", keyset.digest);
    document->set("signature", to_hex(key.sign(as_bytes(document->canonical()))));
    const std::string signed_text = document->serialize();
    const ReceiptVerdict verdict = verify_receipt(signed_text, keyset);
    if (verdict && !verify_receipt(verdict.receipt().document, keyset)) std::abort();
    (void)verify_job_receipt(signed_text, keyset);
    return 0;
}
