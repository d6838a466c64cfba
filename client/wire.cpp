#include "client/wire.hpp"

#include <algorithm>

#include "core/limits.hpp"

namespace cocoon::client {

using sealing::Json;

namespace {

Error malformed(std::string_view what) {
    return refuse(ErrorCode::upstream_failed,
                  "the market's answer has no valid " + std::string{what});
}

std::string text_or_empty(const Json& value, std::string_view name) {
    return std::string{value.text_at(name).value_or("")};
}

bool is_decimal(std::string_view text) {
    return !text.empty() && text.size() <= 20 && (text == "0" || text.front() != '0') &&
           text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

Result<Nano> cost_bound(const Prices& price, const Quantities& quantity) {
    Prices dearest = price;
    dearest.prompt = dearest.cached = std::max(price.prompt, price.cached);
    dearest.completion = dearest.reasoning = std::max(price.completion, price.reasoning);
    return cost_of(dearest, quantity);
}

Json prices_json(const Prices& price) {
    Json value = Json::object();
    for (const Dimension& dimension : dimensions)
        value.set(std::string{dimension.price_name}, std::to_string(price.*dimension.price));
    return value;
}

Json quantities_json(const Quantities& quantity) {
    Json value = Json::object();
    for (const Dimension& dimension : dimensions)
        value.set(std::string{dimension.quantity_name}, quantity.*dimension.quantity);
    return value;
}

Result<Prices> parse_prices(const Json& value) {
    if (!value.is_object()) return malformed("price");
    Prices price;
    for (const Dimension& dimension : dimensions) {
        const Json* found = value.find(dimension.price_name);
        if (!found || found->is_null()) continue;
        const auto amount = Nano::parse(found->text().value_or(""));
        if (!amount || amount->value < 0 || amount->value > limits::price_nano_max)
            return malformed(dimension.price_name);
        price.*dimension.price = amount->value;
    }
    return price;
}

Result<Quantities> parse_quantities(const Json& value) {
    if (!value.is_object()) return malformed("quantity");
    Quantities quantity;
    for (const Dimension& dimension : dimensions) {
        const Json* found = value.find(dimension.quantity_name);
        if (!found || found->is_null()) continue;
        const auto count = found->integer();
        if (!count || *count < 0 || *count > (std::int64_t{1} << 53))
            return malformed(dimension.quantity_name);
        quantity.*dimension.quantity = *count;
    }
    return quantity;
}

Result<Job> parse_job(const Json& value) {
    Job job;
    const auto id = JobId::parse(value.text_at("id").value_or(""));
    const auto node = NodeId::parse(value.text_at("node").value_or(""));
    if (!id) return malformed("job.id");
    if (!node) return malformed("job.node");
    job.id = *id;
    job.node = *node;
    job.request = text_or_empty(value, "request");
    job.market = text_or_empty(value, "market");
    job.build = text_or_empty(value, "build");
    job.session = value.boolean_at("session").value_or(false);
    job.state = text_or_empty(value, "state");
    job.fencing_token = text_or_empty(value, "fencing_token");
    if (!is_decimal(job.fencing_token)) return malformed("job.fencing_token");
    job.keyset_digest = text_or_empty(value, "keyset_digest");
    job.evidence_hash = text_or_empty(value, "evidence_hash");
    job.expires_at = text_or_empty(value, "expires_at");
    const auto expires = Instant::parse(job.expires_at);
    if (!expires) return malformed("job.expires_at");
    job.expires = *expires;
    const Json* price = value.find("price");
    const Json* quantity = value.find("quantity");
    if (!price || !quantity) return malformed("job.price and job.quantity");
    const auto prices = parse_prices(*price);
    if (!prices) return prices.error();
    job.price = *prices;
    const auto quantities = parse_quantities(*quantity);
    if (!quantities) return quantities.error();
    job.quantity = *quantities;
    if (const Json* usage = value.find("usage"); usage && usage->is_object()) {
        const auto used = parse_quantities(*usage);
        if (!used) return used.error();
        job.usage = *used;
    }
    job.hold = Nano::parse(value.text_at("hold_nano").value_or("0")).value_or(Nano{});
    if (const auto counter = Nano::parse(value.text_at("counter").value_or("0"));
        counter && counter->value >= 0)
        job.counter = static_cast<std::uint64_t>(counter->value);
    return job;
}

Result<Match> parse_match(const Json& answer) {
    const Json* job = answer.find("job");
    const Json* node = answer.find("node");
    if (!job || !job->is_object()) return malformed("job");
    if (!node || !node->is_object()) return malformed("node");
    auto parsed = parse_job(*job);
    if (!parsed) return parsed.error();
    Match match{*std::move(parsed), {}};
    const auto id = NodeId::parse(node->text_at("id").value_or(""));
    if (!id || *id != match.job.node) return malformed("node.id");
    match.node.id = *id;
    match.node.tier = text_or_empty(*node, "tier");
    return match;
}

std::string terms_document(const Job& job, const Quantities& bound) {
    Json terms = Json::object({{"version", 1}});
    terms.set("job", job.id.text());
    terms.set("market", job.market);
    terms.set("fencing_token", job.fencing_token);
    terms.set("quantity", quantities_json(bound));
    terms.set("price", prices_json(job.price));
    terms.set("expires_at", job.expires_at);
    return terms.canonical();
}

std::string percent_encode(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string encoded;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            encoded += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            encoded += {'%', digits[byte >> 4], digits[byte & 15]};
        }
    }
    return encoded;
}

std::optional<std::string> percent_decode(std::string_view text) {
    const auto value_of = [](char c) -> int {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        if (c >= 'A' && c <= 'F') return c - 'A' + 10;
        return -1;
    };
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            decoded += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const int high = value_of(text[i + 1]), low = value_of(text[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        decoded += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return decoded;
}

}  // namespace cocoon::client
