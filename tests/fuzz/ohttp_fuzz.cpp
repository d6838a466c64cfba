// Any bytes where sealed bytes belong: key lists, both request variants and an answer. Nothing that
// was not sealed may open; the key is fixed so that findings repeat.
#include <cstdint>
#include <cstdlib>

#include "sealing/ohttp.hpp"

using namespace cocoon;
using namespace cocoon::sealing;

namespace {

const SealingKey key = SealingKey::from_private(Bytes(32, 7)).value();
const ohttp::GatewayKey gateway{ohttp::make_key_config(1, key.public_key()), key};
const ohttp::StreamLimits limits{1 << 12, 1 << 16};

template <class Opener>
void feed_in_pieces(Opener& opener, ByteView bytes, std::size_t step) {
    for (; !bytes.empty(); bytes = bytes.subspan(std::min(step, bytes.size())))
        if (!opener.feed(bytes.first(std::min(step, bytes.size())))) break;
    (void)opener.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView bytes{data, size};
    if (const auto configs = ohttp::parse_key_list(bytes))
        for (const auto& config : *configs)
            if (ohttp::parse_key_config(ohttp::encode(config)).value() != config) std::abort();
    if (ohttp::looks_sealed(bytes, gateway.config))
        (void)ohttp::GatewayRequest::open({&gateway, 1}, bytes);
    ohttp::ChunkedRequestOpener request{{gateway}, {}, limits};
    feed_in_pieces(request, bytes, 11);
    static const auto client = ohttp::ChunkedRequestSealer::start(gateway.config).value();
    auto response = client.response_opener(limits);
    feed_in_pieces(response, bytes, 5);
    // A real stream with the input's bytes mixed in: it opens as sealed, or not at all.
    auto sealer = ohttp::ChunkedRequestSealer::start(gateway.config).value();
    Bytes sealed = sealer.seal(as_bytes("first")).value();
    const Bytes last = sealer.finish(as_bytes("last")).value();
    sealed.insert(sealed.end(), last.begin(), last.end());
    bool changed = false;
    for (std::size_t i = 0; i + 1 < size && i < 8; i += 2) {
        const std::size_t at = data[i] % sealed.size();
        changed = changed || data[i + 1] != 0;
        sealed[at] ^= data[i + 1];
    }
    ohttp::ChunkedRequestOpener opener{{gateway}, {}, limits};
    const bool fed = opener.feed(sealed).has_value();
    if (!changed && !(fed && opener.finish())) std::abort();
    return 0;
}
