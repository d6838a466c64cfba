// Sign-in, sign-out, and what an account signs in with. A session is an API key that the lane makes
// like any other; here it is decided whose.
#include <algorithm>

#include "api/handlers.hpp"
#include "api/login.hpp"
#include "api/login_guard.hpp"
#include "api/respond.hpp"
#include "api/secrets.hpp"
#include "api/session.hpp"
#include "api/wallet_proof.hpp"
#include "api/wire_vectors.hpp"
#include "core/log.hpp"
#include "core/sign_in_limits.hpp"
#include "db/logins.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

constexpr TextRule typed_rule{1, 64};
constexpr TextRule code_rule{6, 6};
constexpr TextRule new_password_rule{
    limits::password_bytes_min, limits::password_bytes_max, nullptr, {}, true};
constexpr TextRule password_rule{1, limits::password_bytes_max, nullptr, {}, true};

bool is_login_name(std::string_view name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-' || c == '@';
    };
    return std::all_of(name.begin(), name.end(), allowed) && !name.starts_with("acc_");
}
constexpr TextRule name_rule{3, 64, is_login_name,
                             "lower-case letters, digits and . _ - @, and no account's id"};

// Who was recognised, by what, and how much of the account a session may then be.
struct Known {
    AccountId account;
    ScopeSet scopes = ~ScopeSet{0};
    std::string by;
    bool twofold = false;  // by two things, as who operates the market must be
};

// One answer for everything that can be wrong, or it would tell which accounts there are.
Error login_refused() {
    return refuse(ErrorCode::login_refused, "Account, password and code do not fit together.");
}

std::string lower(std::string_view text) {
    std::string out{text};
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return out;
}

// Whether the code is right and used for the first time. `login` has one.
bool take_code(const db::Login& login, const std::string& code, const Call& call,
               const Context& context) {
    const auto secret = open_code_secret(*context.login_keys, login.account, login.code_secret);
    if (!secret) {
        log::error("code_secret_unreadable", {{"account", login.account.text()}});
        return false;
    }
    const auto step = step_of(secret->view(), code, call.at);
    return step && context.logins->use_code(login.account, *step);
}

Result<Known> by_password(ObjectReader& root, const Call& call, const Context& context,
                          FieldReader& in) {
    // Both handles of an account, its id and its name, are counted apart: joined, they would tell
    // who hides behind a name.
    const std::string typed = lower(root.text("account", typed_rule));
    const std::string password = root.text("password", password_rule);
    const std::string code = root.maybe_text("code", code_rule).value_or(std::string{});
    if (auto done = in.finish(); !done) return done.error();
    if (auto free = context.login_guard->begin(typed, call.address_bucket, call.at); !free)
        return free.error();
    const auto login = context.logins->find(typed);
    // Without a login the hash is made all the same: the answer takes as long.
    bool right =
        is_password(*context.login_keys, password, login ? login->password_hash : std::string{});
    // A code that comes with a wrong password is not used up: its owner may be typing it just now.
    if (right && !login->code_secret.empty()) right = take_code(*login, code, call, context);
    if (!right) {
        if (login) context.note_login({login->account, "sign_in_refused", {}, "password and code"});
        return login_refused();
    }
    context.login_guard->forgive(typed, call.address_bucket);
    const bool code_used = !login->code_secret.empty();
    return Known{login->account, ~ScopeSet{0}, code_used ? "password and code" : "password",
                 code_used};
}

// By a wallet that was proven to be an account's before.
Result<Known> by_wallet(ObjectReader& root, const Call& call, const Context& context,
                        FieldReader& in) {
    const settlement::ton::TonProof proof = read_wallet_proof(root.object("wallet"));
    if (auto done = in.finish(); !done) return done.error();
    const auto address = proven_wallet(proof, call, context);
    if (!address) return address.error();
    const auto wallet = context.logins->wallet_at(address->raw());
    if (!wallet) return refuse(ErrorCode::wallet_proof_refused, "This wallet is no account's yet.");
    return Known{wallet->account, ~ScopeSet{0}, "wallet " + wallet->address, false};
}

// A key in the call's Authorization: its session may do what the key may, except that who manages
// an account may give themselves all that its sessions can do.
Known by_key(const Principal& who) {
    const ScopeSet scopes = who.has(scope_manage) ? ~ScopeSet{0} : who.scopes;
    return {who.account, scopes, "key " + who.key.text(), false};
}

Result<Known> recognise(const Call& call, const Context& context) {
    FieldReader in{call.body, true};
    ObjectReader root = in.root();
    const bool key = call.principal.account && !call.principal.session;
    if (!key && root.has("wallet")) return by_wallet(root, call, context, in);
    if (!key) return by_password(root, call, context, in);
    if (auto done = in.finish(); !done) return done.error();
    return by_key(call.principal);
}

// What ends with a new session: the one it replaces, and the oldest beyond the limit.
std::vector<KeyId> replaced(const Call& call, const Context& context, AccountId account) {
    std::vector<KeyId> ending = context.logins->sessions(account, session_prefix);
    const std::size_t kept =
        std::min<std::size_t>(ending.size(), limits::sessions_per_account_max - 1);
    ending.erase(ending.begin(), ending.begin() + static_cast<std::ptrdiff_t>(kept));
    if (call.principal.session) ending.push_back(call.principal.key);
    return ending;
}

void write_session(JsonWriter& out, const Account& account, const ApiKey& key) {
    out.open_object();
    out.open_object("account");
    out.id("id", account.id);
    out.text("kind", name_of(account.kind));
    out.text("name", account.name);
    out.close_object();
    write_scopes(out, "scopes", key.scopes);
    out.instant("opened_at", key.created_at);
    out.instant("expires_at", key.expires_at);
    out.instant("ends_at", key.created_at + session_life(account.kind).whole);
    out.close_object();
}

Response with_cookie(Response response, const Context& context, std::string_view secret,
                     Duration lifetime) {
    response.headers.emplace_back("Set-Cookie",
                                  session_cookie(context.secure_cookies, secret, lifetime));
    response.headers.emplace_back("Cache-Control", "private, no-store");
    return response;
}

}  // namespace

Result<PendingCommand> open_session(const Call& call, const Context& context) {
    const Result<Known> known = recognise(call, context);
    if (!known) return known.error();
    const auto person = context.logins->person(known->account);
    if (!person) return login_refused();  // opened a moment ago: the tables follow
    if (operates(person->kind) && !known->twofold)
        return refuse(ErrorCode::forbidden,
                      "Who operates the market signs in with password and code.");
    const FreshSecret secret = fresh_secret(call, session_prefix, "session");
    CreateKey create;
    create.key.account = known->account;
    create.key.name = "session";
    create.key.scopes = session_scopes(person->kind) & known->scopes;
    create.key.secret_hash = secret.hash;
    create.key.shown = secret.shown;
    create.key.created_at = call.at;
    create.key.expires_at = session_end(person->kind, call.at, call.at);
    create.replaces = replaced(call, context, known->account);
    create.sign_in = known->by;
    PendingCommand pending;
    pending.actor = known->account;
    pending.render = [person = *person, key = create.key, secret, &context](const Answer& answer,
                                                                            bool) {
        answer_as<KeyAnswer>(answer);
        JsonWriter out;
        write_session(out, person, key);
        return with_cookie(json_response(201, out.take()), context, secret.text,
                           session_life(person.kind).whole);
    };
    pending.command = std::move(create);
    return pending;
}

Result<Response> read_session(const Call& call, db::Reader& reader, const Context&) {
    if (!call.principal.session) return refuse(ErrorCode::not_found, "This call is no session's.");
    const auto account = reader.account(call.principal.account);
    const auto key = reader.key(call.principal.account, call.principal.key);
    if (!account || !key) return refuse(ErrorCode::not_found);
    JsonWriter out;
    write_session(out, *account, *key);
    return json_response(200, out.take());
}

Result<PendingCommand> close_session(const Call& call, const Context& context) {
    if (auto empty = no_body(call); !empty) return empty.error();
    if (!call.principal.session) return refuse(ErrorCode::not_found, "This call is no session's.");
    PendingCommand pending;
    pending.command = RevokeKey{call.principal.account, call.principal.key};
    pending.render = [&context](const Answer& answer, bool) {
        answer_as<Done>(answer);
        return with_cookie(no_content(), context, {}, {});
    };
    return pending;
}

Result<PendingCommand> set_login(const Call& call, const Context& context) {
    if (call.principal.session)
        return refuse(ErrorCode::forbidden,
                      "A sign-in is set with an API key, so that who borrows a browser cannot.");
    FieldReader in{call.body};
    ObjectReader root = in.root();
    db::Login login;
    login.account = call.principal.account;
    login.name = root.text("name", name_rule);
    const std::string password = root.text("password", new_password_rule);
    const bool code = root.maybe_boolean("code").value_or(true);
    if (!code && operates(call.principal.kind))
        root.refuse("code", "is needed by who operates the market");
    if (auto done = in.finish(); !done) return done.error();

    const std::string chance = fresh_secret(call, "", "login").text;
    const std::string salt = mac(chance, "salt").substr(0, 16);
    const std::string secret = mac(chance, "code").substr(0, code_secret_bytes);
    const std::string nonce = mac(chance, "nonce").substr(0, 12);
    login.password_hash = hash_password(*context.login_keys, password, as_bytes(salt));
    if (code)
        login.code_secret =
            seal_code_secret(*context.login_keys, login.account, as_bytes(nonce), as_bytes(secret));
    if (!context.logins->store(login, call.at))
        return refuse(ErrorCode::already_exists, "Somebody signs in with this name.");
    PendingCommand pending;
    // Whoever was signed in with what this replaces is not any more.
    pending.command = NoteLogin{login.account, "set_login",
                                context.logins->sessions(login.account, session_prefix),
                                code ? "password and code" : "password"};
    pending.render = [name = login.name, secret, code](const Answer& answer, bool) {
        answer_as<Done>(answer);
        JsonWriter out;
        out.open_object();
        out.text("name", name);
        out.text_or_null("code_url", code ? otpauth_url(code_issuer, name, as_bytes(secret)) : "");
        out.text_or_null("code_secret", code ? to_base32(as_bytes(secret)) : "");
        out.close_object();
        return json_response(200, out.take());
    };
    return pending;
}

Result<Response> read_login(const Call& call, db::Reader& reader, const Context& context) {
    const auto login = context.logins->find(call.principal.account.text());
    JsonWriter out;
    out.open_object();
    out.text_or_null("name", login ? login->name : "");
    out.boolean("code", login && !login->code_secret.empty());
    out.decimal("as_of", reader.as_of());
    out.close_object();
    return json_response(200, out.take());
}

}  // namespace cocoon::api
