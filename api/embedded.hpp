// The files of api/ that travel inside the binary and are served as they are. Any thread.
#pragma once

#include <string_view>

namespace cocoon::api {

std::string_view openapi_yaml_text();
std::string_view openapi_json_text();
std::string_view reference_html();
std::string_view reference_js();
std::string_view reference_css();

}  // namespace cocoon::api
