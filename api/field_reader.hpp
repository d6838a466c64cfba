// Reads JSON bodies and query strings strictly: types, ranges, encodings, unknown and duplicate
// fields, with every fault collected under its path before anything is refused. Called by the api
// handlers through wire_*.cpp, one body on one thread. Knows no resource; nlohmann stays in the
// .cpp.
//
//   FieldReader in{body};
//   ObjectReader root = in.root();
//   offer.slots = root.integer("slots", {1, 4096});
//   if (auto done = in.finish(); !done) return done.error();   // values before this are
//   provisional
//
// An optional field may be absent or null. A reader of something that is not there (or is of
// another type, which was noted) gives empty values and notes nothing more.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/ids.hpp"
#include "core/limits.hpp"
#include "core/money.hpp"
#include "core/result.hpp"
#include "core/time.hpp"

namespace cocoon::api {

constexpr std::size_t json_depth_max = 16;
constexpr std::size_t json_values_max = 50'000;
constexpr std::size_t json_members_max = 128;  // of one object
constexpr std::size_t field_errors_max = 64;   // told; more are only counted

struct IntegerRange {
    std::int64_t min = 0, max = INT64_MAX;
};
struct MoneyRange {
    std::int64_t min = 0, max = limits::amount_nano_max;
};

// What a text must be like. Control characters and invisible direction marks are always refused
// unless `any_character`.
struct TextRule {
    std::size_t bytes_min = 1, bytes_max = limits::name_bytes_max;
    bool (*allowed)(std::string_view text) = nullptr;
    std::string_view expected = {};  // "must be …" when not allowed
    bool any_character = false;
};

// Whether `text` has no control character (C0, DEL, C1) and no invisible or direction-changing one.
// REQUIRES: UTF-8.
bool is_printable(std::string_view text);

class ObjectReader {
public:
    ObjectReader() = default;  // of nothing

    bool exists() const { return document_ != nullptr; }
    // Present and not null. Does not count as read.
    bool has(std::string_view name) const;

    std::string text(std::string_view name, const TextRule& rule = {});
    std::optional<std::string> maybe_text(std::string_view name, const TextRule& rule = {});
    std::int64_t integer(std::string_view name, IntegerRange range);
    std::optional<std::int64_t> maybe_integer(std::string_view name, IntegerRange range);
    bool boolean(std::string_view name);
    std::optional<bool> maybe_boolean(std::string_view name);
    Nano money(std::string_view name, MoneyRange range = {});
    std::optional<Nano> maybe_money(std::string_view name, MoneyRange range = {});
    // Also given as text: counts that may exceed 2^53.
    std::optional<std::uint64_t> maybe_decimal(std::string_view name);
    std::optional<Instant> maybe_instant(std::string_view name);
    // Index into `names`.
    std::size_t choice(std::string_view name, std::span<const std::string_view> names);
    std::optional<std::size_t> maybe_choice(std::string_view name,
                                            std::span<const std::string_view> names);
    std::optional<std::vector<std::size_t>> maybe_choices(std::string_view name,
                                                          std::span<const std::string_view> names);
    std::optional<std::vector<std::string>> maybe_texts(std::string_view name,
                                                        std::size_t items_max,
                                                        const TextRule& rule = {});
    ObjectReader object(std::string_view name);
    ObjectReader maybe_object(std::string_view name);  // check exists()
    std::optional<std::vector<ObjectReader>> maybe_objects(std::string_view name,
                                                           std::size_t items_max);
    std::vector<ObjectReader> objects(std::string_view name, std::size_t items_min,
                                      std::size_t items_max);
    // A flat object of texts, whole numbers and flags, as canonical JSON; "{}" if absent.
    std::string flat(std::string_view name, std::size_t bytes_max);

    template <class AnyId>
    std::optional<AnyId> maybe_id(std::string_view name) {
        const std::optional<std::string> raw = maybe_text(name, id_rule);
        return raw ? parsed<AnyId>(name, *raw) : std::nullopt;
    }
    template <class AnyId>
    AnyId id(std::string_view name) {
        if (exists() && !has(name)) {
            text(name);  // notes that it is required
            return {};
        }
        return maybe_id<AnyId>(name).value_or(AnyId{});
    }
    template <class AnyId>
    std::optional<std::vector<AnyId>> maybe_ids(std::string_view name, std::size_t items_max) {
        const auto raw = maybe_texts(name, items_max, id_rule);
        if (!raw) return std::nullopt;
        std::vector<AnyId> ids;
        for (std::size_t i = 0; i < raw->size(); ++i)
            if (const auto one = AnyId::parse((*raw)[i]))
                ids.push_back(*one);
            else
                refuse_item(name, i, "must be an id of the right kind");
        return ids;
    }

    // Notes a fault of the member `name`, of its item, or of this object.
    void refuse(std::string_view name, std::string message);
    void refuse_item(std::string_view name, std::size_t index, std::string message);
    void refuse_whole(std::string message);

private:
    friend class FieldReader;
    struct Document;
    static constexpr TextRule id_rule{1, 32};

    ObjectReader(Document* document, std::uint32_t node) : document_{document}, node_{node} {}
    std::uint32_t take(std::string_view name, bool required);
    template <class AnyId>
    std::optional<AnyId> parsed(std::string_view name, const std::string& raw) {
        const std::optional<AnyId> id = AnyId::parse(raw);
        if (!id) refuse(name, "must be an id of the right kind");
        return id;
    }

    Document* document_ = nullptr;
    std::uint32_t node_ = 0;
};

class FieldReader {
public:
    // An empty body reads as {} when `may_be_empty`.
    explicit FieldReader(std::string_view body, bool may_be_empty = false);
    ~FieldReader();
    FieldReader(const FieldReader&) = delete;
    FieldReader& operator=(const FieldReader&) = delete;

    ObjectReader root();
    // malformed_request: no JSON object, bad UTF-8, or over a limit of structure. invalid_body:
    // every fault noted, plus fields nobody read and fields given twice.
    Result<void> finish();

private:
    std::unique_ptr<ObjectReader::Document> document_;
};

// name=value&…, percent-decoded; paths are "?name".
class QueryReader {
public:
    explicit QueryReader(std::string_view raw_query);

    std::optional<std::string> maybe_text(std::string_view name, const TextRule& rule = {});
    std::optional<std::int64_t> maybe_integer(std::string_view name, IntegerRange range);
    std::optional<Instant> maybe_instant(std::string_view name);
    std::optional<std::size_t> maybe_choice(std::string_view name,
                                            std::span<const std::string_view> names);
    template <class AnyId>
    std::optional<AnyId> maybe_id(std::string_view name) {
        const auto raw = maybe_text(name, TextRule{1, 32});
        const auto id = raw ? AnyId::parse(*raw) : std::nullopt;
        if (raw && !id) refuse(name, "must be an id of the right kind");
        return id;
    }
    void refuse(std::string_view name, std::string message);
    Result<void> finish();

private:
    struct Parameter {
        std::string name, value;
        bool seen = false;
    };
    const std::string* take(std::string_view name);

    std::vector<Parameter> parameters_;
    std::vector<FieldError> errors_;
    bool malformed_ = false;
};

// Strict percent-decoding; nothing if an escape is broken or the result is not printable UTF-8.
std::optional<std::string> percent_decoded(std::string_view raw, bool plus_is_space = false);

}  // namespace cocoon::api
