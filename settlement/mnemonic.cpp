#include "settlement/mnemonic.hpp"

#include <string>

namespace cocoon::settlement::ton {
namespace {

constexpr std::size_t words_count = 24;
constexpr std::size_t text_bytes_max = 1024;
constexpr int seed_rounds = 100'000;
constexpr int check_rounds = seed_rounds / 256;

// The words in lower case with single spaces between them; empty if they are not 24 words of
// letters.
std::string normalised(std::string_view words) {
    std::string text;
    text.reserve(text_bytes_max);  // so that no copy of the words is left behind
    std::size_t count = 0;
    bool inside = false;
    if (words.size() > text_bytes_max) return {};
    for (const char letter : words) {
        if (letter == ' ' || letter == '\n' || letter == '\r' || letter == '\t') {
            inside = false;
            continue;
        }
        const char lower = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter;
        if (lower < 'a' || lower > 'z') return {};
        if (!inside && count++ > 0) text += ' ';
        inside = true;
        text += lower;
    }
    return count == words_count ? text : std::string{};
}

std::span<std::uint8_t> bytes_of(std::string& text) {
    return {reinterpret_cast<std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

Result<SigningKey> key_from_mnemonic(std::string_view words) {
    std::string text = normalised(words);
    if (text.empty())
        return refuse(ErrorCode::malformed_request, "a mnemonic has 24 words of letters");
    auto entropy = hmac_sha512(as_bytes(text), {});
    wipe(bytes_of(text));
    const bool ours = pbkdf2_sha512(entropy, "TON seed version", check_rounds)[0] == 0;
    auto seed = pbkdf2_sha512(entropy, "TON default seed", seed_rounds);
    wipe(entropy);
    Result<SigningKey> key = SigningKey::from_seed(ByteView{seed}.first(32));
    wipe(seed);
    if (!ours)
        return refuse(ErrorCode::malformed_request,
                      "the words are not a mnemonic of this chain: one is wrong");
    return key;
}

}  // namespace cocoon::settlement::ton
