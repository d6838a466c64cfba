#include "client/channel.hpp"

#include <charconv>

#include "client/wire.hpp"
#include "core/log.hpp"
#include "settlement/boc.hpp"

namespace cocoon::client {

using sealing::Json;
using namespace settlement::ton;

namespace {

constexpr std::string_view channels_path = "/v1/channels";

Error nonsense(const char* what) {
    return refuse(ErrorCode::upstream_failed, std::string{"the market shows "} + what);
}

std::optional<std::uint64_t> decimal(std::optional<std::string_view> text) {
    std::uint64_t number = 0;
    if (!text || text->empty()) return std::nullopt;
    const auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (failure != std::errc{} || end != text->data() + text->size()) return std::nullopt;
    return number;
}

std::optional<Nano> amount(const Json& value, std::string_view name) {
    const auto read = Nano::parse(value.text_at(name).value_or(""));
    return read && read->value >= 0 ? read : std::nullopt;
}

template <std::size_t size>
std::optional<std::array<std::uint8_t, size>> hex(const Json& value, std::string_view name) {
    const auto bytes = from_hex(value.text_at(name).value_or(""));
    if (!bytes || bytes->size() != size) return std::nullopt;
    std::array<std::uint8_t, size> read{};
    std::copy(bytes->begin(), bytes->end(), read.begin());
    return read;
}

Result<Json> asked(MarketApi& market, std::string path, std::optional<Json> body = {}) {
    ApiCall call;
    call.method = body ? "POST" : "GET";
    call.path = std::move(path);
    call.body = std::move(body);
    ApiAnswer answer = market.call(call);
    if (!answer.ok()) return answer.problem->error;
    return std::move(answer.body);
}

Result<Network> network_of(const Json& channels) {
    const auto number = channels.integer_at("network");
    if (!number || *number < INT32_MIN || *number > INT32_MAX) return nonsense("no network");
    return static_cast<Network>(*number);
}

// The total of a voucher that the market shows, if `key` signed it.
Nano proven(const Json& channel, const PublicKey& key, Voucher voucher) {
    const Json* shown = channel.find("voucher");
    if (!shown) return {};
    const auto total = amount(*shown, "amount_nano");
    const auto sequence = decimal(shown->text_at("sequence"));
    const auto signature = hex<64>(*shown, "signature");
    if (!total || !sequence || !signature) return {};
    voucher.amount = *total;
    voucher.sequence = *sequence;
    return verify(key, voucher, *signature) ? *total : Nano{};
}

Result<ChannelView> read_view(const Json& channel, Network network, const Address& address,
                              const PublicKey& key) {
    const auto deposited = amount(channel, "deposited_nano");
    const auto claimed = amount(channel, "claimed_nano");
    if (!deposited || !claimed) return nonsense("a channel without amounts");
    ChannelView view;
    view.network = network;
    view.stage = channel.text_at("stage").value_or("");
    view.deposited = *deposited;
    view.claimed = *claimed;
    view.promised = proven(channel, key, Voucher{network, address, {}, 0});
    if (const Json* shown = channel.find("voucher"))
        view.sequence = decimal(shown->text_at("sequence")).value_or(0);
    return view;
}

// Opens a wallet with a message filled in.
std::string link_to(const std::string& address, Nano value, const CellRef& body) {
    return "ton://transfer/" + address + "?amount=" + value.text() +
           "&bin=" + to_base64url(write_boc(body));
}

}  // namespace

Result<ChannelPayer> ChannelPayer::load(const std::string& key_file, const std::string& address) {
    // Whatever the network: the address is ours, and a voucher names its network by itself.
    const auto parsed = parse_address(address, Network::testnet);
    if (!parsed) return refuse(ErrorCode::invalid_body, "channel: " + parsed.error().detail);
    auto key = sealing::SigningKey::load(key_file);
    if (!key) return key.error();
    return ChannelPayer{*std::move(key), parsed->address};
}

Result<ChannelView> ChannelPayer::view(MarketApi& market) {
    const auto channels = asked(market, std::string{channels_path});
    if (!channels) return channels.error();
    const auto network = network_of(*channels);
    if (!network) return network.error();
    const Json* items = channels->find("items");
    for (const Json& channel : items ? items->items() : Json::Array{}) {
        const auto at = parse_address(channel.text_at("address").value_or(""), *network);
        if (at && at->address == address_)
            return read_view(channel, *network, address_, key_.public_key());
    }
    return refuse(ErrorCode::not_found, "the market does not know the channel " + address_.raw());
}

Result<ChannelView> ChannelPayer::promise(MarketApi& market, Nano more) {
    const auto now = view(market);
    if (!now) return now.error();
    if (now->deposited <= now->promised)
        return refuse(ErrorCode::insufficient_funds,
                      "all of the channel's deposits are promised; send more to " + address_.raw());
    Voucher voucher{now->network, address_, {}, now->sequence + 1};
    voucher.amount = now->promised + std::min(more, now->deposited - now->promised);
    Json body = Json::object();
    body.set("amount_nano", voucher.amount.text());
    body.set("sequence", std::to_string(voucher.sequence));
    body.set("signature", to_hex(key_.sign(voucher.cell()->hash())));
    const auto given = asked(
        market, std::string{channels_path} + "/" + percent_encode(address_.raw()) + "/vouchers",
        std::move(body));
    if (!given) return given.error();
    return read_view(*given, now->network, address_, key_.public_key());
}

Result<OpenedChannel> open_channel(MarketApi& market, const sealing::SigningKey& key,
                                   const ChannelWish& wish, Nano deposit) {
    const auto channels = asked(market, std::string{channels_path});
    if (!channels) return channels.error();
    const auto account = asked(market, "/v1/account");
    if (!account) return account.error();
    const auto network = network_of(*channels);
    if (!network) return network.error();
    const auto payer = parse_address(wish.payer, *network);
    if (!payer) return refuse(ErrorCode::invalid_body, "--payer: " + payer.error().detail);
    const auto payee = parse_address(channels->text_at("payee").value_or(""), *network);
    const auto payee_key = hex<32>(*channels, "payee_key");
    const auto cap = amount(*channels, "cap_nano_max");
    const auto challenge = channels->integer_at("challenge_seconds_min");
    if (!payee || !payee_key || !cap || !challenge) return nonsense("no terms for channels");
    ChannelTerms terms;
    terms.payer_key = key.public_key();
    terms.payee_key = *payee_key;
    terms.payer = payer->address;
    terms.payee = payee->address;
    terms.challenge_seconds = static_cast<std::uint32_t>(
        wish.challenge_seconds > 0 ? wish.challenge_seconds : *challenge);
    terms.cap = wish.cap.value > 0 ? wish.cap : *cap;
    terms.salt = wish.salt;
    // The same limits as the market's: terms beyond them may never give the coins back.
    if (auto fit = check_terms(terms, {terms.payee_key, terms.payee}); !fit) return fit.error();
    const StateInit state = channel_state(terms);
    const Address address = state.address();
    Json body = Json::object();
    body.set("payer_key", to_hex(terms.payer_key));
    body.set("payer", terms.payer.raw());
    body.set("challenge_seconds", terms.challenge_seconds);
    body.set("cap_nano", terms.cap.text());
    body.set("salt", std::to_string(terms.salt));
    body.set("signature",
             to_hex(key.sign(registration_message(account->text_at("id").value_or(""), address))));
    const auto opened = asked(market, std::string{channels_path}, std::move(body));
    if (!opened) return opened.error();
    const auto theirs = parse_address(opened->text_at("address").value_or(""), *network);
    if (!theirs || theirs->address != address) return nonsense("another contract than ours");
    const Nano value = deposit + channel_message_cost + channel_reserve;
    const std::string text = address.friendly(true, *network);
    return OpenedChannel{text, link_to(text, value, top_up_body(1)) +
                                   "&init=" + to_base64url(write_boc(state.cell()))};
}

Result<ClosingLinks> closing_links(const std::string& address) {
    const auto parsed = parse_address(address, Network::testnet);
    if (!parsed) return refuse(ErrorCode::invalid_body, "channel: " + parsed.error().detail);
    constexpr Nano value{10'000'000};
    return ClosingLinks{link_to(address, value, start_close_body(1)),
                        link_to(address, value, finish_close_body(1))};
}

Result<std::unique_ptr<ChannelFeeder>> ChannelFeeder::start(const ChannelSettings& settings,
                                                            MarketApi& market) {
    auto payer = ChannelPayer::load(settings.key_file, settings.address);
    if (!payer) return payer.error();
    return std::unique_ptr<ChannelFeeder>{new ChannelFeeder{*std::move(payer), settings, market}};
}

ChannelFeeder::ChannelFeeder(ChannelPayer payer, const ChannelSettings& settings, MarketApi& market)
    : payer_{std::move(payer)}, settings_{settings}, market_{market} {
    thread_ = std::thread{[this] {
        std::unique_lock lock{mutex_};
        while (!stopping_) {
            lock.unlock();
            look();
            lock.lock();
            wake_.wait_for(lock, std::chrono::seconds{settings_.seconds},
                           [this] { return stopping_; });
        }
    }};
}

ChannelFeeder::~ChannelFeeder() {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

// What was promised and is not yet claimed comes by itself: nothing is added to it.
void ChannelFeeder::look() {
    const auto done = [&]() -> Result<void> {
        const auto balance = asked(market_, "/v1/account/balance");
        if (!balance) return balance.error();
        const auto available = amount(*balance, "available_nano");
        if (!available) return nonsense("no balance");
        if (*available >= settings_.low) return {};
        const auto view = payer_.view(market_);
        if (!view) return view.error();
        if (view->claimed < view->promised) return {};
        // What was claimed between the two answers is in the balance by now.
        const auto again = asked(market_, "/v1/account/balance");
        if (!again) return again.error();
        const auto credited = amount(*again, "available_nano");
        if (!credited || *credited >= settings_.low) return {};
        const auto promised = payer_.promise(market_, settings_.step);
        if (!promised) return promised.error();
        log::info("voucher_given", {{"promised_nano", promised->promised.value},
                                    {"deposited_nano", promised->deposited.value}});
        return {};
    }();
    const std::string trouble = done ? std::string{} : done.error().detail;
    if (!trouble.empty() && trouble != told_)
        log::warning("channel_not_fed",
                     {{"code", describe(done.error().code).name}, {"why", trouble}});
    told_ = trouble;
}

}  // namespace cocoon::client
