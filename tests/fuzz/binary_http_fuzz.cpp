// Any bytes as binary HTTP: both kinds, whole and in pieces, must agree and not crash; what was
// read must read the same after it is written again.
#include <cstdint>
#include <cstdlib>

#include "sealing/binary_http.hpp"

using namespace cocoon;
using namespace cocoon::sealing;

namespace {

void must(bool holds) {
    if (!holds) std::abort();
}

bool read_in_pieces(bhttp::Reader::Kind kind, ByteView bytes, std::size_t step) {
    bhttp::Reader reader{kind};
    for (; !bytes.empty(); bytes = bytes.subspan(std::min(step, bytes.size())))
        if (!reader.feed(bytes.first(std::min(step, bytes.size())))) return false;
    return reader.finish().has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView bytes{data, size};
    const auto request = bhttp::parse_request(bytes);
    must(read_in_pieces(bhttp::Reader::Kind::request, bytes, 3) == request.has_value());
    if (request)
        must(bhttp::parse_request(bhttp::encode_request(*request, 64).value()).value() == *request);
    const auto response = bhttp::parse_response(bytes);
    must(read_in_pieces(bhttp::Reader::Kind::response, bytes, 3) == response.has_value());
    if (response)
        must(bhttp::parse_response(bhttp::encode_response(*response).value()).value() == *response);
    return 0;
}
