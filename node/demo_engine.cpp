#include "node/demo_engine.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <optional>

#include "core/encoding.hpp"
#include "core/limits.hpp"
#include "core/result.hpp"
#include "sealing/canonical_json.hpp"
#include "sealing/signing.hpp"

namespace cocoon::node::demo {
namespace {

using sealing::Json;

constexpr std::int64_t image_tokens = 85;  // what a picture counts, whatever it shows

// ---- Errors in OpenAI's shape ------------------------------------------------------------------

struct Refusal {
    int status = 400;
    std::string message = {};
    std::string parameter = {};  // empty: null
    std::string code = {};       // empty: null
    std::string type = "invalid_request_error";
};

Json text_or_null(const std::string& text) { return text.empty() ? Json{} : Json{text}; }

Answer refused(const Refusal& refusal) {
    Answer answer;
    answer.status = refusal.status;
    answer.body = Json::object({{"error", Json::object({{"message", refusal.message},
                                                        {"type", refusal.type},
                                                        {"param", text_or_null(refusal.parameter)},
                                                        {"code", text_or_null(refusal.code)}})}})
                      .serialize();
    return answer;
}

Refusal bad(std::string parameter, std::string message) {
    return {
        .message = std::move(message), .parameter = std::move(parameter), .code = "invalid_value"};
}

// ---- What is common to all calls ---------------------------------------------------------------

// A stable stream of numbers from a text: FNV-1a to start, then a 64-bit mixer (SplitMix64).
class Dice {
public:
    explicit Dice(std::string_view seed) {
        for (const char c : seed)
            state_ = (state_ ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ull;
    }
    std::uint64_t next() {
        state_ += 0x9E3779B97F4A7C15ull;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9ull;
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EBull;
        return mixed ^ mixed >> 31;
    }
    std::size_t below(std::size_t count) { return static_cast<std::size_t>(next() % count); }

private:
    std::uint64_t state_ = 0xcbf29ce484222325ull;
};

std::string answer_id(std::string_view prefix, std::string_view body) {
    return std::string{prefix} + to_hex(sealing::sha256(as_bytes(body))).substr(0, 24);
}

std::int64_t count_tokens(std::string_view text) {
    return static_cast<std::int64_t>(tokens_of(text).size());
}

struct Usage {
    std::int64_t prompt = 0;  // cached ones included
    std::int64_t cached = 0;
    std::int64_t completion = 0;  // reasoning ones included
    std::int64_t reasoning = 0;

    Json json() const {
        return Json::object(
            {{"prompt_tokens", prompt},
             {"completion_tokens", completion},
             {"total_tokens", prompt + completion},
             {"prompt_tokens_details", Json::object({{"cached_tokens", cached}})},
             {"completion_tokens_details", Json::object({{"reasoning_tokens", reasoning}})}});
    }
};

std::string event_of(const Json& chunk) { return "data: " + chunk.serialize() + "\n\n"; }

// What chat and text completions share.
struct Settings {
    std::string model;
    bool stream = false;
    bool usage_at_end = false;
    bool usage_always = false;
    std::int64_t tokens_max = answer_tokens_max;
    std::vector<std::string> stops;
};

Result<bool> flag(const Json& body, std::string_view name) {
    const Json* value = body.find(name);
    if (value == nullptr || value->is_null()) return false;
    const auto given = value->boolean();
    if (!given) return refuse(ErrorCode::invalid_body, std::string{name} + " must be a boolean");
    return *given;
}

Result<std::optional<std::int64_t>> count_at(const Json& body, std::string_view name,
                                             std::int64_t least, std::int64_t most) {
    const Json* value = body.find(name);
    if (value == nullptr || value->is_null()) return std::optional<std::int64_t>{};
    const auto given = value->integer();
    if (!given || *given < least || *given > most)
        return refuse(ErrorCode::invalid_body, std::string{name} + " must be an integer from " +
                                                   std::to_string(least) + " to " +
                                                   std::to_string(most));
    return std::optional<std::int64_t>{*given};
}

std::optional<Refusal> read_stops(const Json& body, Settings& settings) {
    const Json* stop = body.find("stop");
    if (stop == nullptr || stop->is_null()) return std::nullopt;
    if (const auto one = stop->text()) settings.stops.emplace_back(*one);
    for (const Json& item : stop->items()) {
        if (!item.text()) return bad("stop", "stop must be a string or an array of strings");
        settings.stops.emplace_back(*item.text());
    }
    if ((!stop->text() && !stop->is_array()) || settings.stops.size() > 4)
        return bad("stop", "stop must be a string or an array of at most 4 strings");
    std::erase(settings.stops, std::string{});
    return std::nullopt;
}

std::optional<Refusal> read_model(const Options& options, const Json& body, std::string& model) {
    const auto name = body.text_at("model");
    if (!name) return bad("model", "you must provide a model");
    if (std::find(options.models.begin(), options.models.end(), *name) == options.models.end())
        return Refusal{.status = 404,
                       .message = "The model `" + std::string{*name} + "` does not exist",
                       .parameter = "model",
                       .code = "model_not_found"};
    model = *name;
    return std::nullopt;
}

std::optional<Refusal> read_settings(const Options& options, const Json& body, Settings& settings) {
    if (auto refusal = read_model(options, body, settings.model)) return refusal;
    const auto stream = flag(body, "stream");
    if (!stream) return bad("stream", stream.error().detail);
    settings.stream = *stream;
    if (const Json* wishes = body.find("stream_options"); wishes != nullptr && !wishes->is_null()) {
        const auto at_end = flag(*wishes, "include_usage");
        const auto always = flag(*wishes, "continuous_usage_stats");
        if (!wishes->is_object() || !at_end || !always || !settings.stream)
            return bad("stream_options",
                       "stream_options is an object, and only allowed with stream: true");
        settings.usage_at_end = *at_end;
        settings.usage_always = *at_end && *always;
    }
    for (const std::string_view name : {"max_tokens", "max_completion_tokens"}) {
        const auto bound = count_at(body, name, 1, limits::tokens_max);
        if (!bound) return bad(std::string{name}, bound.error().detail);
        if (*bound) settings.tokens_max = std::min(settings.tokens_max, **bound);
    }
    const auto choices = count_at(body, "n", 1, 1);
    if (!choices) return bad("n", "the demo engine gives one choice: n must be 1");
    return read_stops(body, settings);
}

// ---- The text of an answer ---------------------------------------------------------------------

// "…write 500 words…" -> 500: people and tests choose the length of an answer this way.
std::optional<std::int64_t> asked_words(std::string_view prompt) {
    for (std::size_t at = prompt.find(" words"); at != std::string_view::npos;
         at = prompt.find(" words", at + 1)) {
        std::size_t begin = at;
        while (begin > 0 && prompt[begin - 1] >= '0' && prompt[begin - 1] <= '9') --begin;
        if (begin == at || at - begin > 6) continue;
        std::int64_t count = 0;
        for (std::size_t i = begin; i < at; ++i) count = count * 10 + (prompt[i] - '0');
        return std::min(count, answer_tokens_max);
    }
    return std::nullopt;
}

// At most `bytes_max` bytes of `text` on one line, cut between characters.
std::string quoted(std::string_view text, std::size_t bytes_max) {
    std::string line;
    for (const char c : text) line += c == '\n' || c == '\r' || c == '\t' ? ' ' : c;
    if (line.size() <= bytes_max) return line;
    std::size_t end = bytes_max;
    while (end > 0 && (static_cast<std::uint8_t>(line[end]) & 0xC0) == 0x80) --end;
    return line.substr(0, end) + "…";
}

std::string demo_text(std::string_view prompt) {
    static constexpr std::array<std::string_view, 8> remarks = {
        "A real model would now weigh its words; I only weigh bytes.",
        "Only the machine that runs this engine saw your prompt; the market carried sealed bytes.",
        "The same question gets the same answer, which makes me dull and very easy to test.",
        "Your question travelled sealed from your machine to this node and back.",
        "Put a real engine behind the node and this sentence becomes a thoughtful one.",
        "Somebody's idle machine just earned a few nano coins by saying this.",
        "The receipt of this answer says exactly how many tokens it took.",
        "Nothing here was looked up, guessed or learnt: it follows from your prompt alone.",
    };
    static constexpr std::array<std::string_view, 12> words = {
        "silk",   "river",   "copper", "lantern", "orbit", "meadow",
        "signal", "harbour", "amber",  "thread",  "north", "quiet"};
    Dice dice{prompt};
    if (const auto count = asked_words(prompt)) {
        std::string text = "[demo engine]";
        for (std::int64_t i = 1; i < *count; ++i) {
            text += ' ';
            text += words[dice.below(words.size())];
        }
        return text;
    }
    const std::size_t first = dice.below(remarks.size());
    const std::size_t second = (first + 1 + dice.below(remarks.size() - 1)) % remarks.size();
    return "[demo engine, no language model] You wrote: \"" + quoted(prompt, 120) + "\" (" +
           std::to_string(count_tokens(prompt)) + " tokens). " + std::string{remarks[first]} + " " +
           std::string{remarks[second]};
}

struct Written {
    std::vector<std::string> tokens;
    std::string finish = "stop";
};

// `text` up to the first stop and at most `tokens_max` tokens.
Written write_text(std::string text, const Settings& settings, std::int64_t tokens_max) {
    std::size_t cut = std::string::npos;
    for (const std::string& stop : settings.stops) cut = std::min(cut, text.find(stop));
    if (cut != std::string::npos) text.resize(cut);
    Written written;
    for (const std::string_view token : tokens_of(text)) {
        if (static_cast<std::int64_t>(written.tokens.size()) == tokens_max) {
            written.finish = "length";
            break;
        }
        written.tokens.emplace_back(token);
    }
    return written;
}

std::string joined(const std::vector<std::string>& tokens) {
    std::string text;
    for (const std::string& token : tokens) text += token;
    return text;
}

// ---- Chat --------------------------------------------------------------------------------------

struct Conversation {
    std::string last_user;  // text of the last user message
    std::string last_tool;  // text of the last message, if it is a tool's
    std::string last_role;
    std::int64_t tokens = 0;
    std::int64_t cached = 0;  // system and developer messages, as if their prefix were cached
};

// Text of a message's content, or why it is none. Pictures and sounds count but are not looked at.
Result<std::string> content_text(const Json& content, std::int64_t& extra_tokens) {
    if (const auto text = content.text()) return std::string{*text};
    if (content.is_null()) return std::string{};
    if (!content.is_array())
        return refuse(ErrorCode::invalid_body, "content must be a string or an array of parts");
    std::string text;
    for (const Json& part : content.items()) {
        const auto type = part.text_at("type");
        if (!type) return refuse(ErrorCode::invalid_body, "each content part needs a type");
        if (*type != "text") {
            extra_tokens += image_tokens;
            continue;
        }
        const auto piece = part.text_at("text");
        if (!piece) return refuse(ErrorCode::invalid_body, "a text part needs text");
        if (!text.empty()) text += '\n';
        text += *piece;
    }
    return text;
}

std::optional<Refusal> read_conversation(const Json& body, Conversation& conversation) {
    static constexpr std::array<std::string_view, 5> roles = {"system", "developer", "user",
                                                              "assistant", "tool"};
    const Json* messages = body.find("messages");
    if (messages == nullptr || !messages->is_array() || messages->items().empty())
        return bad("messages", "messages must be an array with at least one message");
    for (std::size_t i = 0; i < messages->items().size(); ++i) {
        const Json& message = messages->items()[i];
        const std::string where = "messages[" + std::to_string(i) + "]";
        const auto role = message.text_at("role");
        if (!role || std::find(roles.begin(), roles.end(), *role) == roles.end())
            return bad(where + ".role",
                       "role must be one of system, developer, user, assistant, tool");
        std::int64_t extra = 3;  // the frame of a message
        const Json* content = message.find("content");
        const auto text = content_text(content == nullptr ? Json{} : *content, extra);
        if (!text) return bad(where + ".content", text.error().detail);
        const std::int64_t tokens = count_tokens(*text) + extra;
        conversation.tokens += tokens;
        if (*role == "system" || *role == "developer") conversation.cached += tokens;
        conversation.last_role = *role;
        if (*role == "user") conversation.last_user = *text;
        if (*role == "tool") conversation.last_tool = *text;
    }
    return std::nullopt;
}

struct Call {
    std::string name;
    std::string arguments;
};

// A value for one parameter, found in the prompt where there is one to find.
Json argument_for(const Json& schema, std::string_view prompt) {
    if (const Json* choices = schema.find("enum");
        choices != nullptr && !choices->items().empty()) {
        for (const Json& choice : choices->items())
            if (choice.text() && prompt.find(*choice.text()) != std::string_view::npos)
                return choice;
        return choices->items().front();
    }
    const std::string_view type = schema.text_at("type").value_or("string");
    if (type == "integer" || type == "number") {
        const std::size_t digit = prompt.find_first_of("0123456789");
        std::int64_t value = 1;
        if (digit != std::string_view::npos) {
            value = 0;
            for (std::size_t i = digit;
                 i < prompt.size() && i < digit + 9 && prompt[i] >= '0' && prompt[i] <= '9'; ++i)
                value = value * 10 + (prompt[i] - '0');
        }
        return Json{value};
    }
    if (type == "boolean") return Json{true};
    if (type == "array") return Json::array();
    if (type == "object") return Json::object();
    // The last capitalised word after the first: "What is the weather in Paris?" -> "Paris".
    std::string found;
    for (std::size_t i = prompt.find(' '); i != std::string_view::npos;
         i = prompt.find(' ', i + 1)) {
        std::size_t end = i + 1;
        while (end < prompt.size() && std::isalpha(static_cast<unsigned char>(prompt[end])) != 0)
            ++end;
        if (end > i + 1 && std::isupper(static_cast<unsigned char>(prompt[i + 1])) != 0)
            found = prompt.substr(i + 1, end - i - 1);
    }
    return Json{found.empty() ? std::string{"demo"} : found};
}

// The tool to call, if this conversation asks for one.
std::optional<Refusal> choose_tool(const Json& body, const Conversation& conversation,
                                   std::optional<Call>& call) {
    const Json* tools = body.find("tools");
    if (tools == nullptr || tools->is_null()) return std::nullopt;
    if (!tools->is_array()) return bad("tools", "tools must be an array");
    const Json* choice = body.find("tool_choice");
    const std::string_view mode = choice == nullptr ? "auto" : choice->text().value_or("");
    std::string forced;
    if (choice != nullptr && choice->is_object()) {
        const Json* function = choice->find("function");
        forced = function == nullptr ? "" : std::string{function->text_at("name").value_or("")};
        if (forced.empty()) return bad("tool_choice", "tool_choice.function.name is missing");
    }
    const Json* chosen = nullptr;
    for (std::size_t i = 0; i < tools->items().size(); ++i) {
        const Json* function = tools->items()[i].find("function");
        const auto name = function == nullptr ? std::nullopt : function->text_at("name");
        if (!name || name->empty())
            return bad("tools[" + std::to_string(i) + "].function.name",
                       "each tool needs a function with a name");
        const bool mentioned = mode == "auto" && conversation.last_role == "user" &&
                               conversation.last_user.find(*name) != std::string::npos;
        if (chosen == nullptr && (*name == forced || mode == "required" || mentioned))
            chosen = function;
    }
    if (!forced.empty() && chosen == nullptr)
        return bad("tool_choice", "tool_choice names an unknown function");
    if (chosen == nullptr || mode == "none") return std::nullopt;
    Json arguments = Json::object();
    const Json* parameters = chosen->find("parameters");
    const Json* properties = parameters == nullptr ? nullptr : parameters->find("properties");
    if (properties != nullptr)
        for (const auto& [name, schema] : properties->members())
            arguments.set(name, argument_for(schema, conversation.last_user));
    call = Call{std::string{*chosen->text_at("name")}, arguments.serialize()};
    return std::nullopt;
}

struct ChatAnswer {
    Written reasoning;
    Written text;
    std::optional<Call> call;
    Usage usage;
};

ChatAnswer write_chat(const Json& body, const Settings& settings, const Conversation& conversation,
                      std::optional<Call> call) {
    ChatAnswer answer;
    answer.usage.prompt = conversation.tokens + 3;
    answer.usage.cached = conversation.cached;
    std::int64_t left = settings.tokens_max;
    const auto effort = body.text_at("reasoning_effort");
    if (effort && *effort != "none") {
        Settings without_stops = settings;
        without_stops.stops.clear();
        answer.reasoning =
            write_text("The demo engine pretends to think about " +
                           std::to_string(count_tokens(conversation.last_user)) + " tokens.",
                       without_stops, left);
        answer.usage.reasoning = static_cast<std::int64_t>(answer.reasoning.tokens.size());
        left -= answer.usage.reasoning;
    }
    if (call) {
        answer.call = std::move(call);
        answer.text.finish = "tool_calls";
        answer.usage.completion =
            count_tokens(answer.call->arguments) + count_tokens(answer.call->name);
    } else {
        const bool after_tool = conversation.last_role == "tool";
        answer.text = write_text(after_tool ? "[demo engine, no language model] The tool said: \"" +
                                                  quoted(conversation.last_tool, 200) + "\"."
                                            : demo_text(conversation.last_user),
                                 settings, left);
        answer.usage.completion = static_cast<std::int64_t>(answer.text.tokens.size());
    }
    answer.usage.completion += answer.usage.reasoning;
    return answer;
}

// Builds the chunks of one streamed answer; knows how usage is shown in them.
class Chunks {
public:
    Chunks(const Settings& settings, std::string object, std::string id, Instant at, Usage whole)
        : settings_{settings},
          object_{std::move(object)},
          id_{std::move(id)},
          at_{at},
          whole_{whole} {}

    void add(Json choice, std::int64_t completion_so_far, std::int64_t reasoning_so_far) {
        Json chunk = head();
        chunk.set("choices", Json::array({std::move(choice)}));
        if (settings_.usage_always) {
            Usage so_far = whole_;
            so_far.completion = completion_so_far;
            so_far.reasoning = reasoning_so_far;
            chunk.set("usage", so_far.json());
        } else if (settings_.usage_at_end) {
            chunk.set("usage", Json{});
        }
        events.push_back(event_of(chunk));
    }
    void finish() {
        if (settings_.usage_at_end) {
            Json chunk = head();
            chunk.set("choices", Json::array());
            chunk.set("usage", whole_.json());
            events.push_back(event_of(chunk));
        }
        events.emplace_back("data: [DONE]\n\n");
    }

    std::vector<std::string> events;

private:
    Json head() const {
        return Json::object({{"id", id_},
                             {"object", object_},
                             {"created", at_.unix_seconds()},
                             {"model", settings_.model},
                             {"system_fingerprint", "fp_demo"}});
    }

    const Settings& settings_;
    std::string object_;
    std::string id_;
    Instant at_;
    Usage whole_;
};

Json chat_choice(Json delta, std::string_view finish) {
    return Json::object({{"index", 0},
                         {"delta", std::move(delta)},
                         {"logprobs", Json{}},
                         {"finish_reason", finish.empty() ? Json{} : Json{finish}}});
}

std::vector<std::string> chat_stream(const Settings& settings, const ChatAnswer& answer,
                                     const std::string& id, const std::string& call_id,
                                     Instant at) {
    Chunks chunks{settings, "chat.completion.chunk", id, at, answer.usage};
    std::int64_t written = 0;
    chunks.add(chat_choice(Json::object({{"role", "assistant"}, {"content", ""}}), {}), 0, 0);
    for (const std::string& token : answer.reasoning.tokens) {
        ++written;
        chunks.add(chat_choice(Json::object({{"reasoning_content", token}}), {}), written, written);
    }
    const auto call_delta = [](Json call) {
        return chat_choice(Json::object({{"tool_calls", Json::array({std::move(call)})}}), {});
    };
    if (answer.call) {
        written += count_tokens(answer.call->name);
        chunks.add(
            call_delta(Json::object(
                {{"index", 0},
                 {"id", call_id},
                 {"type", "function"},
                 {"function", Json::object({{"name", answer.call->name}, {"arguments", ""}})}})),
            written, answer.usage.reasoning);
        for (const std::string_view piece : tokens_of(answer.call->arguments))
            chunks.add(call_delta(Json::object(
                           {{"index", 0}, {"function", Json::object({{"arguments", piece}})}})),
                       ++written, answer.usage.reasoning);
    }
    for (const std::string& token : answer.text.tokens)
        chunks.add(chat_choice(Json::object({{"content", token}}), {}), ++written,
                   answer.usage.reasoning);
    chunks.add(chat_choice(Json::object(), answer.text.finish), answer.usage.completion,
               answer.usage.reasoning);
    chunks.finish();
    return std::move(chunks.events);
}

std::string chat_whole(const Settings& settings, const ChatAnswer& answer, const std::string& id,
                       const std::string& call_id, Instant at) {
    Json message =
        Json::object({{"role", "assistant"},
                      {"content", answer.call ? Json{} : Json{joined(answer.text.tokens)}},
                      {"refusal", Json{}}});
    if (!answer.reasoning.tokens.empty())
        message.set("reasoning_content", joined(answer.reasoning.tokens));
    if (answer.call)
        message.set("tool_calls",
                    Json::array({Json::object(
                        {{"id", call_id},
                         {"type", "function"},
                         {"function", Json::object({{"name", answer.call->name},
                                                    {"arguments", answer.call->arguments}})}})}));
    return Json::object(
               {{"id", id},
                {"object", "chat.completion"},
                {"created", at.unix_seconds()},
                {"model", settings.model},
                {"choices", Json::array({Json::object({{"index", 0},
                                                       {"message", std::move(message)},
                                                       {"logprobs", Json{}},
                                                       {"finish_reason", answer.text.finish}})})},
                {"usage", answer.usage.json()},
                {"system_fingerprint", "fp_demo"}})
        .serialize();
}

Answer chat(const Options& options, const Json& body, std::string_view raw, Instant at) {
    Settings settings;
    if (const auto refusal = read_settings(options, body, settings)) return refused(*refusal);
    Conversation conversation;
    if (const auto refusal = read_conversation(body, conversation)) return refused(*refusal);
    std::optional<Call> call;
    if (const auto refusal = choose_tool(body, conversation, call)) return refused(*refusal);
    if (conversation.tokens > context_tokens_max)
        return refused({.message = "This model's maximum context length is " +
                                   std::to_string(context_tokens_max) + " tokens",
                        .parameter = "messages",
                        .code = "context_length_exceeded"});
    const ChatAnswer written = write_chat(body, settings, conversation, std::move(call));
    const std::string id = answer_id("chatcmpl-demo-", raw);
    const std::string call_id = answer_id("call_demo_", raw);
    Answer answer;
    answer.output_tokens = written.usage.completion;
    if (settings.stream) {
        answer.streamed = true;
        answer.content_type = "text/event-stream";
        answer.events = chat_stream(settings, written, id, call_id, at);
    } else {
        answer.body = chat_whole(settings, written, id, call_id, at);
    }
    return answer;
}

// ---- Text completions --------------------------------------------------------------------------

struct Input {
    std::string text;  // of token arrays: a description
    std::int64_t tokens = 0;
};

bool all_integers(const Json& array) {
    return std::all_of(array.items().begin(), array.items().end(),
                       [](const Json& item) { return item.integer().has_value(); });
}

Input tokens_input(const Json& array) {
    const auto count = static_cast<std::int64_t>(array.items().size());
    return {"<" + std::to_string(count) + " tokens> " +
                to_hex(sealing::sha256(as_bytes(array.canonical()))).substr(0, 8),
            count};
}

// A prompt or an embedding input: string, array of strings, array of tokens, array of such arrays.
Result<std::vector<Input>> read_inputs(const Json* value) {
    const Error wrong =
        refuse(ErrorCode::invalid_body, "must be a string, an array of strings or of tokens");
    if (value == nullptr) return wrong;
    std::vector<Input> inputs;
    if (const auto text = value->text()) {
        inputs.push_back({std::string{*text}, count_tokens(*text)});
        return inputs;
    }
    if (!value->is_array() || value->items().empty() || value->items().size() > context_tokens_max)
        return wrong;
    if (all_integers(*value)) {
        inputs.push_back(tokens_input(*value));
        return inputs;
    }
    if (value->items().size() > embedding_inputs_max) return wrong;
    for (const Json& item : value->items()) {
        if (const auto text = item.text())
            inputs.push_back({std::string{*text}, count_tokens(*text)});
        else if (item.is_array() && !item.items().empty() && all_integers(item))
            inputs.push_back(tokens_input(item));
        else
            return wrong;
    }
    return inputs;
}

Json text_choice(std::size_t index, std::string_view text, std::string_view finish) {
    return Json::object({{"index", static_cast<std::int64_t>(index)},
                         {"text", text},
                         {"logprobs", Json{}},
                         {"finish_reason", finish.empty() ? Json{} : Json{finish}}});
}

Answer complete(const Options& options, const Json& body, std::string_view raw, Instant at) {
    Settings settings;
    settings.tokens_max = 16;  // the historic default of this endpoint
    if (body.find("max_tokens") != nullptr || body.find("max_completion_tokens") != nullptr)
        settings.tokens_max = answer_tokens_max;
    if (const auto refusal = read_settings(options, body, settings)) return refused(*refusal);
    const auto inputs = read_inputs(body.find("prompt"));
    if (!inputs) return refused(bad("prompt", "prompt " + inputs.error().detail));
    std::vector<Written> texts;
    Usage usage;
    for (const Input& input : *inputs) {
        usage.prompt += input.tokens;
        texts.push_back(write_text(demo_text(input.text), settings, settings.tokens_max));
        usage.completion += static_cast<std::int64_t>(texts.back().tokens.size());
    }
    const std::string id = answer_id("cmpl-demo-", raw);
    Answer answer;
    answer.output_tokens = usage.completion;
    if (settings.stream) {
        Chunks chunks{settings, "text_completion", id, at, usage};
        std::int64_t written = 0;
        for (std::size_t i = 0; i < texts.size(); ++i) {
            for (const std::string& token : texts[i].tokens)
                chunks.add(text_choice(i, token, {}), ++written, 0);
            chunks.add(text_choice(i, "", texts[i].finish), written, 0);
        }
        chunks.finish();
        answer.streamed = true;
        answer.content_type = "text/event-stream";
        answer.events = std::move(chunks.events);
        return answer;
    }
    Json choices = Json::array();
    for (std::size_t i = 0; i < texts.size(); ++i)
        choices.push(text_choice(i, joined(texts[i].tokens), texts[i].finish));
    answer.body = Json::object({{"id", id},
                                {"object", "text_completion"},
                                {"created", at.unix_seconds()},
                                {"model", settings.model},
                                {"choices", std::move(choices)},
                                {"usage", usage.json()},
                                {"system_fingerprint", "fp_demo"}})
                      .serialize();
    return answer;
}

// ---- Embeddings --------------------------------------------------------------------------------

// A bag of words thrown into `dimensions` buckets and scaled to length 1: texts that share words
// are near.
std::vector<float> embed(std::string_view text, std::size_t dimensions) {
    std::vector<double> sums(dimensions, 0.0);
    for (std::string_view token : tokens_of(text)) {
        while (!token.empty() && token.front() == ' ') token.remove_prefix(1);
        Dice dice{token};
        for (int i = 0; i < 8; ++i) {
            const std::uint64_t roll = dice.next();
            sums[roll % dimensions] += (roll >> 60 & 1) != 0 ? 1.0 : -1.0;
        }
    }
    double square = 0;
    for (const double sum : sums) square += sum * sum;
    if (square == 0) {
        sums[0] = 1;
        square = 1;
    }
    std::vector<float> vector;
    for (const double sum : sums) vector.push_back(static_cast<float>(sum / std::sqrt(square)));
    return vector;
}

std::string vector_text(const std::vector<float>& vector, bool base64) {
    std::string text;
    if (base64) {
        Bytes bytes;
        for (const float value : vector) {
            const auto bits = std::bit_cast<std::uint32_t>(value);
            for (int shift = 0; shift < 32; shift += 8)
                bytes.push_back(static_cast<std::uint8_t>(bits >> shift));
        }
        return '"' + to_base64(bytes) + '"';
    }
    for (const float value : vector) {
        char number[32];
        std::snprintf(number, sizeof number, "%.9g", static_cast<double>(value));
        text += text.empty() ? "[" : ",";
        text += number;
    }
    return text + "]";
}

Answer embeddings(const Options& options, const Json& body) {
    std::string model;
    if (const auto refusal = read_model(options, body, model)) return refused(*refusal);
    const std::string_view format = body.text_at("encoding_format").value_or("float");
    if (format != "float" && format != "base64")
        return refused(bad("encoding_format", "encoding_format must be float or base64"));
    const auto dimensions = count_at(body, "dimensions", 1, embedding_dimensions_max);
    if (!dimensions) return refused(bad("dimensions", dimensions.error().detail));
    const auto inputs = read_inputs(body.find("input"));
    if (!inputs) return refused(bad("input", "input " + inputs.error().detail));
    std::int64_t tokens = 0;
    std::string data;
    for (std::size_t i = 0; i < inputs->size(); ++i) {
        const Input& input = (*inputs)[i];
        tokens += input.tokens;
        const auto count =
            static_cast<std::size_t>(dimensions->value_or(embedding_dimensions_default));
        data +=
            (i == 0 ? R"({"object":"embedding","index":)" : R"(,{"object":"embedding","index":)") +
            std::to_string(i) + R"(,"embedding":)" +
            vector_text(embed(input.text, count), format == "base64") + "}";
    }
    Answer answer;
    answer.body = R"({"object":"list","data":[)" + data + R"(],"model":)" +
                  Json{model}.serialize() + R"(,"usage":{"prompt_tokens":)" +
                  std::to_string(tokens) + R"(,"total_tokens":)" + std::to_string(tokens) + "}}";
    return answer;
}

// ---- Models and the table of calls --------------------------------------------------------------

Json model_object(const std::string& name) {
    return Json::object({{"id", name},
                         {"object", "model"},
                         {"created", 1'767'225'600},
                         {"owned_by", "cocoon-demo"}});
}

Answer models(const Options& options, std::string_view path) {
    Answer answer;
    constexpr std::string_view list = "/v1/models";
    if (path == list) {
        Json data = Json::array();
        for (const std::string& name : options.models) data.push(model_object(name));
        answer.body = Json::object({{"object", "list"}, {"data", std::move(data)}}).serialize();
        return answer;
    }
    const std::string_view name = path.substr(list.size() + 1);
    for (const std::string& model : options.models) {
        if (model != name) continue;
        answer.body = model_object(model).serialize();
        return answer;
    }
    return refused({.status = 404,
                    .message = "The model `" + quoted(name, 100) + "` does not exist",
                    .parameter = "model",
                    .code = "model_not_found"});
}

}  // namespace

std::vector<std::string_view> tokens_of(std::string_view text) {
    const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; };
    const auto is_word = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
               static_cast<std::uint8_t>(c) >= 0x80;
    };
    std::vector<std::string_view> tokens;
    std::size_t begin = 0;
    while (begin < text.size()) {
        std::size_t end = begin;
        while (end < text.size() && is_space(text[end])) ++end;
        const std::size_t start = end;
        while (end < text.size() && is_word(text[end]) && end - start < 8) ++end;
        // Never inside a character: give continuation bytes back to their lead byte.
        while (end < text.size() && (static_cast<std::uint8_t>(text[end]) & 0xC0) == 0x80) ++end;
        if (end == start && end < text.size()) ++end;
        tokens.push_back(text.substr(begin, end - begin));
        begin = end;
    }
    return tokens;
}

Answer answer(const Options& options, std::string_view method, std::string_view path,
              std::string_view body, Instant at) {
    if (options.fail_after == 0 && !path.starts_with("/v1/models"))
        return refused(
            {.status = 503, .message = "the demo engine was told to fail", .type = "server_error"});
    if (method == "GET" && (path == "/v1/models" || path.starts_with("/v1/models/")))
        return models(options, path);
    const bool known =
        path == "/v1/chat/completions" || path == "/v1/completions" || path == "/v1/embeddings";
    if (!known)
        return refused(
            {.status = 404,
             .message = "Unknown request URL: " + quoted(method, 16) + " " + quoted(path, 100),
             .code = "unknown_url"});
    if (method != "POST")
        return refused(
            {.status = 405, .message = "Only POST is allowed here", .code = "method_not_allowed"});
    const auto document = Json::parse(body, {.bytes_max = 32u << 20, .values_max = 1'000'000});
    if (!document || !document->is_object())
        return refused({.message = "We could not parse the JSON body of your request",
                        .code = "invalid_json"});
    if (path == "/v1/chat/completions") return chat(options, *document, body, at);
    if (path == "/v1/completions") return complete(options, *document, body, at);
    return embeddings(options, *document);
}

}  // namespace cocoon::node::demo
