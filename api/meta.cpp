// What the market says about itself: version, cosigning key, the contract and its reference page.
#include "api/embedded.hpp"
#include "api/handlers.hpp"
#include "api/respond.hpp"

namespace cocoon::api {
namespace {

Response file(std::string_view text, const char* type) {
    Response response;
    response.content_type = type;
    response.body = text;
    response.headers.emplace_back("Cache-Control", "public, max-age=300");
    response.headers.emplace_back("X-Content-Type-Options", "nosniff");
    return response;
}

}  // namespace

Result<Response> read_market_key(const Call&, const Context& context) {
    JsonWriter out;
    out.open_object();
    out.text("key_id", context.market_key_id);
    out.text("public_key", context.market_public_key);
    out.close_object();
    return json_response(200, out.take());
}

Result<Response> read_version(const Call&, const Context& context) {
    JsonWriter out;
    out.open_object();
    out.text("program", "cocoon-market");
    out.text("version", context.program_version);
    out.text_or_null("build", context.build);
    out.text("coin", context.coin_name);
    out.integer("fee_basis_points", context.fee_basis_points);
    out.text("simulated_tier", context.simulated_allowed ? "allow" : "refuse");
    out.close_object();
    return json_response(200, out.take());
}

Result<Response> openapi_yaml(const Call&, const Context&) {
    return file(openapi_yaml_text(), "application/yaml; charset=utf-8");
}

Result<Response> openapi_json(const Call&, const Context&) {
    return file(openapi_json_text(), "application/json");
}

Result<Response> docs_page(const Call&, const Context&) {
    Response page = file(reference_html(), "text/html; charset=utf-8");
    page.headers.emplace_back(
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    page.headers.emplace_back("Referrer-Policy", "no-referrer");
    return page;
}

Result<Response> docs_script(const Call&, const Context&) {
    return file(reference_js(), "text/javascript; charset=utf-8");
}

Result<Response> docs_style(const Call&, const Context&) {
    return file(reference_css(), "text/css; charset=utf-8");
}

}  // namespace cocoon::api
