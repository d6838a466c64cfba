#include "node/inference_request.hpp"

#include <algorithm>
#include <array>

#include "core/limits.hpp"

namespace cocoon::node {
namespace {

using sealing::Json;

constexpr sealing::JsonLimits body_limits{.bytes_max = limits::http_sealed_body_bytes_max,
                                          .values_max = 4'000'000};
constexpr std::int64_t choices_max = 128;
// No tokenizer puts so many bytes of ordinary text into one token; a prompt beyond that cannot be
// within its bound. The exact count is only known afterwards, and is billed then.
constexpr std::int64_t prompt_bytes_per_token_max = 64;

InferenceRefusal refusal(int status, std::string code, std::string parameter, std::string message) {
    return {status, std::move(message), std::move(parameter), std::move(code)};
}

// How many answers one request asks for: choices times prompts.
std::variant<std::int64_t, InferenceRefusal> answers_of(const Json& body, bool chat) {
    std::int64_t choices = 1;
    for (const std::string_view name : {"n", "best_of"}) {
        const Json* value = body.find(name);
        if (value == nullptr || value->is_null()) continue;
        const auto count = value->integer();
        if (!count || *count < 1 || *count > choices_max)
            return refusal(
                400, "invalid_value", std::string{name},
                std::string{name} + " must be an integer from 1 to " + std::to_string(choices_max));
        choices = std::max(choices, *count);
    }
    const Json* prompt = chat ? nullptr : body.find("prompt");
    if (prompt == nullptr || !prompt->is_array() || prompt->items().empty()) return choices;
    if (prompt->items().front().integer()) return choices;  // one prompt of tokens
    return choices * static_cast<std::int64_t>(prompt->items().size());
}

// Holds the output of each answer to `bound` tokens: refuses a larger wish, sets the bound where
// there is none. Every name that some engine lets win over max_tokens is looked at.
std::optional<InferenceRefusal> bind_output(Json& body, std::int64_t bound, bool chat,
                                            const InferenceRules& rules) {
    static constexpr std::array<std::string_view, 4> names = {"max_tokens", "max_completion_tokens",
                                                              "n_predict", "max_new_tokens"};
    if (bound < 1)
        return refusal(400, "quantity_exceeded", "max_tokens",
                       "the reservation allows no output for this many answers");
    bool bounded = false;
    for (const std::string_view name : names) {
        const Json* value = body.find(name);
        if (value == nullptr || value->is_null()) continue;
        const auto wish = value->integer();
        if (!wish || *wish < 1)
            return refusal(400, "invalid_value", std::string{name},
                           std::string{name} + " must be a positive integer");
        if (*wish > bound)
            return refusal(400, "quantity_exceeded", std::string{name},
                           std::string{name} + " exceeds the " + std::to_string(bound) +
                               " output tokens that job " + rules.job + " allows for each answer");
        bounded = true;
    }
    // OpenAI's own default for text completions is 16; for chats it is "as much as fits".
    if (!bounded) body.set("max_tokens", Json{chat ? bound : std::min<std::int64_t>(bound, 16)});
    return std::nullopt;
}

std::int64_t text_bytes(const Json& value) {
    std::int64_t bytes = static_cast<std::int64_t>(value.text().value_or("").size());
    for (const Json& item : value.items())
        bytes += item.integer() ? prompt_bytes_per_token_max : text_bytes(item);
    for (const auto& [name, member] : value.members())
        if (name == "content" || name == "text") bytes += text_bytes(member);
    return bytes;
}

std::optional<InferenceRefusal> check_prompt(const Json& body, const InferenceRules& rules) {
    const std::int64_t bound = rules.quantity.prompt + rules.quantity.cached;
    for (const std::string_view name : {"messages", "prompt", "input"}) {
        const Json* value = body.find(name);
        if (value == nullptr || text_bytes(*value) <= bound * prompt_bytes_per_token_max) continue;
        return refusal(400, "quantity_exceeded", std::string{name},
                       "the prompt cannot fit into the " + std::to_string(bound) +
                           " prompt tokens of job " + rules.job);
    }
    return std::nullopt;
}

std::optional<InferenceRefusal> bind_stream(Json& body, const InferenceRules& rules,
                                            EngineRequest& prepared) {
    const Json* stream = body.find("stream");
    if (stream != nullptr && !stream->is_null() && !stream->boolean())
        return refusal(400, "invalid_value", "stream", "stream must be a boolean");
    prepared.stream = prepared.generates && body.boolean_at("stream").value_or(false);
    if (!prepared.stream) return std::nullopt;
    Json options = Json::object();
    if (const Json* given = body.find("stream_options"); given != nullptr && !given->is_null()) {
        if (!given->is_object())
            return refusal(400, "invalid_value", "stream_options",
                           "stream_options must be an object");
        options = *given;
    }
    const bool at_end = options.boolean_at("include_usage").value_or(false);
    const bool always = at_end && options.boolean_at("continuous_usage_stats").value_or(false);
    prepared.shown = always   ? StreamMeter::Shown::always
                     : at_end ? StreamMeter::Shown::at_end
                              : StreamMeter::Shown::none;
    options.set("include_usage", Json{true});
    if (rules.continuous_usage) options.set("continuous_usage_stats", Json{true});
    body.set("stream_options", std::move(options));
    return std::nullopt;
}

std::optional<InferenceRefusal> check_call(const sealing::bhttp::Request& request,
                                           const InferenceRules& rules) {
    if (!is_served(request.path))
        return refusal(
            404, "unknown_url", {},
            "this node answers /v1/chat/completions, /v1/completions and /v1/embeddings");
    if (request.method != "POST")
        return refusal(405, "method_not_allowed", {}, "only POST is allowed here");
    const std::string* job = sealing::bhttp::find_field(request.fields, "cocoon-job");
    if (job == nullptr || *job != rules.job)
        return refusal(400, "wrong_job", "cocoon-job",
                       "the sealed request names another job than " + rules.job);
    return std::nullopt;
}

std::optional<InferenceRefusal> bind_model(Json& body, const InferenceRules& rules) {
    const auto model = body.text_at("model");
    const bool same =
        model && (*model == rules.model ||
                  (!rules.build.empty() && *model == rules.model + "@" + rules.build));
    if (!same)
        return refusal(404, "model_not_found", "model",
                       "job " + rules.job + " is for the model `" + rules.model + "`");
    if (*model != rules.engine_model) body.set("model", rules.engine_model);
    return std::nullopt;
}

}  // namespace

bool is_served(std::string_view path) {
    return path == "/v1/chat/completions" || path == "/v1/completions" || path == "/v1/embeddings";
}

std::string InferenceRefusal::body() const {
    const std::string type = status == 429   ? "rate_limit_error"
                             : status >= 500 ? "server_error"
                                             : "invalid_request_error";
    return Json::object(
               {{"error", Json::object({{"message", message},
                                        {"type", type},
                                        {"param", parameter.empty() ? Json{} : Json{parameter}},
                                        {"code", code.empty() ? Json{} : Json{code}}})}})
        .serialize();
}

std::variant<EngineRequest, InferenceRefusal> prepare(const sealing::bhttp::Request& request,
                                                      ByteView content,
                                                      const InferenceRules& rules) {
    if (auto wrong = check_call(request, rules)) return std::move(*wrong);
    auto body = Json::parse(as_text(content), body_limits);
    if (!body || !body->is_object())
        return refusal(
            400, "invalid_json", {},
            "the body is not a JSON object" + (body ? std::string{} : ": " + body.error().detail));
    if (auto wrong = bind_model(*body, rules)) return std::move(*wrong);
    if (auto wrong = check_prompt(*body, rules)) return std::move(*wrong);
    EngineRequest prepared;
    prepared.path = request.path;
    prepared.generates = request.path != "/v1/embeddings";
    if (prepared.generates) {
        const bool chat = request.path == "/v1/chat/completions";
        auto answers = answers_of(*body, chat);
        if (auto* wrong = std::get_if<InferenceRefusal>(&answers)) return std::move(*wrong);
        const std::int64_t count = std::get<std::int64_t>(answers);
        std::int64_t bound = (rules.quantity.completion + rules.quantity.reasoning) / count;
        if (rules.output_tokens_max > 0) bound = std::min(bound, rules.output_tokens_max);
        if (auto wrong = bind_output(*body, bound, chat, rules)) return std::move(*wrong);
    }
    if (auto wrong = bind_stream(*body, rules, prepared)) return std::move(*wrong);
    prepared.body = body->serialize();
    return prepared;
}

}  // namespace cocoon::node
