// The assembler puts the files in (GNU as, LLVM): no generator, no copy, no escaping.
// CMakeLists.txt names them as dependencies of this file.
#include "api/embedded.hpp"

#include <cstddef>

#define COCOON_EMBED(symbol, file)                                     \
    __asm__(                                                           \
        ".section .rodata\n"                                           \
        ".balign 16\n"                                                 \
        "cocoon_" #symbol                                              \
        "_begin:\n"                                                    \
        ".incbin \"" COCOON_SOURCE_DIR "/api/" file                    \
        "\"\n"                                                         \
        "cocoon_" #symbol                                              \
        "_end:\n"                                                      \
        ".byte 0\n"                                                    \
        ".text\n"                                                      \
        ".global cocoon_" #symbol "_begin, cocoon_" #symbol "_end\n"); \
    extern "C" const char cocoon_##symbol##_begin[];                   \
    extern "C" const char cocoon_##symbol##_end[];

COCOON_EMBED(openapi_yaml, "openapi.yaml")
COCOON_EMBED(openapi_json, "openapi.json")
COCOON_EMBED(reference_html, "reference.html")
COCOON_EMBED(reference_js, "reference.js")
COCOON_EMBED(reference_css, "reference.css")
#undef COCOON_EMBED

namespace cocoon::api {
namespace {

std::string_view between(const char* begin, const char* end) {
    return {begin, static_cast<std::size_t>(end - begin)};
}

}  // namespace

std::string_view openapi_yaml_text() {
    return between(cocoon_openapi_yaml_begin, cocoon_openapi_yaml_end);
}
std::string_view openapi_json_text() {
    return between(cocoon_openapi_json_begin, cocoon_openapi_json_end);
}
std::string_view reference_html() {
    return between(cocoon_reference_html_begin, cocoon_reference_html_end);
}
std::string_view reference_js() {
    return between(cocoon_reference_js_begin, cocoon_reference_js_end);
}
std::string_view reference_css() {
    return between(cocoon_reference_css_begin, cocoon_reference_css_end);
}

}  // namespace cocoon::api
