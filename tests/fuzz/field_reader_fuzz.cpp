// Any bytes as a body, a query and a path: every answer is a value, nothing crashes, and what is
// accepted is inside its limits.
#include <cstddef>
#include <cstdint>

#include "api/field_reader.hpp"
#include "api/routes.hpp"
#include "api/wire_requests.hpp"
#include "core/ensure.hpp"
#include "matching/views.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace cocoon;
    using namespace cocoon::api;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    static const Context context = [] {
        Context made;
        made.simulated_allowed = true;
        return made;
    }();
    {
        FieldReader in{text};
        const matching::PlaceRequest place = read_place_request(
            in.root(), context, AccountId{1}, KeyId{1}, Instant{1'800'000'000'000'000});
        if (in.finish()) {
            ENSURE(place.alternatives.size() >= 1 &&
                   place.alternatives.size() <= limits::alternatives_max);
            ENSURE(place.request.slots >= 1 && place.request.slots <= limits::slots_per_offer_max);
            ENSURE(place.request.quantity.prompt <= limits::tokens_max &&
                   place.request.cap_total.value >= 0);
        }
    }
    {
        FieldReader in{text, true};
        in.root().flat("hardware", 1024);
        static_cast<void>(in.finish());
    }
    QueryReader query{text};
    query.maybe_integer("limit", {1, 100});
    static_cast<void>(query.finish());
    const Lookup found = find_route(Method::get, text);
    for (const std::string& capture : found.captures)
        ENSURE(!capture.empty() && is_printable(capture));
    return 0;
}
