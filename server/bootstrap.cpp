#include "server/bootstrap.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <stdexcept>

#include "core/log.hpp"
#include "sealing/aead.hpp"

namespace cocoon::server {
namespace {

constexpr std::size_t secret_file_bytes_max = 16 << 10;
constexpr const char* first_admin_name = "admin";

// Opens it with the commands after it; its key is in `file` before the commit.
AccountId open_admin(matching::Writer& writer, const std::string& name, const std::string& file,
                     std::vector<matching::Envelope> after, Instant now) {
    const std::string secret = "ck_" + to_base64url(sealing::random_bytes(32));
    write_secret_file(file, secret + "\n");
    matching::OpenAccount open;
    open.kind = matching::AccountKind::admin;
    open.name = name;
    open.profile = "{}";
    open.deposit_memo = to_hex(sealing::random_bytes(8));
    open.first_key.name = "first admin key";
    open.first_key.shown = secret.substr(0, 10);
    open.first_key.secret_hash = sealing::sha256(as_bytes(secret));
    open.first_key.scopes = matching::scope_read | matching::scope_manage | matching::scope_admin |
                            matching::scope_audit;
    after.emplace(after.begin())->command = std::move(open);
    const auto answers = writer.step(after, now);
    for (const matching::Answered& answered : answers) {
        if (!answered.reply)
            throw std::runtime_error("the admin " + name +
                                     " could not be opened: " + answered.reply.error().detail);
    }
    return std::get<matching::AccountAnswer>(*answers.front().reply).account;
}

// A password and the secret of the codes for the pages, written to `file` once.
void open_login(const FirstDoors& doors, AccountId admin, const std::string& name,
                const std::string& file, Instant now) {
    const std::string password = to_base64url(sealing::random_bytes(15));
    const sealing::Secret secret{ByteView{sealing::random_bytes(api::code_secret_bytes)}};
    db::Login login;
    login.account = admin;
    for (const char c : name)  // as people type it is no matter
        login.name += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    login.password_hash = api::hash_password(doors.keys, password, sealing::random_bytes(16));
    login.code_secret = api::seal_code_secret(
        doors.keys, admin, sealing::random_bytes(sealing::aead_nonce_bytes), secret.view());
    write_secret_file(file, "account " + name + "\npassword " + password + "\ncode_secret " +
                                api::to_base32(secret.view()) + "\ncode_url " +
                                api::otpauth_url(api::code_issuer, name, secret.view()) + "\n");
    if (!doors.logins.store(login, now))
        log::warning("admin_login_not_set", {{"why", "somebody signs in with this name"},
                                             {"name", name},
                                             {"what_to_do", "PUT /v1/account/login"}});
}

bool has_admin(const matching::Writer& writer, std::string_view name = {}) {
    bool found = false;
    writer.state().accounts.for_each([&](const matching::AccountRecord& record) {
        found = found || (record.account.kind == matching::AccountKind::admin &&
                          (name.empty() || record.account.name == name));
    });
    return found;
}

}  // namespace

void make_folder_of(const std::string& file) {
    const std::filesystem::path folder = std::filesystem::path{file}.parent_path();
    if (folder.empty()) return;
    std::error_code failure;
    std::filesystem::create_directories(folder, failure);
    if (failure)
        throw std::runtime_error("cannot make the folder of " + file + ": " + failure.message());
}

void write_secret_file(const std::string& file, const std::string& content) {
    make_folder_of(file);
    const std::string draft = file + ".new";
    const int descriptor = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (descriptor < 0) throw std::runtime_error("cannot write " + draft);
    const bool written = ::fchmod(descriptor, 0600) == 0 &&
                         ::write(descriptor, content.data(), content.size()) ==
                             static_cast<ssize_t>(content.size()) &&
                         ::fsync(descriptor) == 0;
    ::close(descriptor);
    if (!written || std::rename(draft.c_str(), file.c_str()) != 0)
        throw std::runtime_error("cannot write " + file);
}

std::string read_secret_file(const std::string& file) {
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) throw std::runtime_error("cannot read " + file);
    struct stat facts {};
    std::array<char, secret_file_bytes_max> content;
    ssize_t size = -1;
    const bool ours = ::fstat(descriptor, &facts) == 0 && (facts.st_mode & 077) == 0;
    if (ours) size = ::read(descriptor, content.data(), content.size());
    ::close(descriptor);
    if (!ours) throw std::runtime_error(file + " may be read by others: chmod 600");
    if (size < 0 || size == static_cast<ssize_t>(content.size()))
        throw std::runtime_error("cannot read " + file);
    return std::string{content.data(), static_cast<std::size_t>(size)};
}

sealing::SigningKey market_key(const std::string& file) {
    make_folder_of(file);
    auto key = sealing::SigningKey::load_or_generate(file);
    if (!key) throw std::runtime_error("MARKET_KEY_FILE " + file + ": " + key.error().detail);
    return std::move(*key);
}

std::string derived_secret(const sealing::SigningKey& key, std::string_view label) {
    const auto seed = key.seed();
    sealing::Sha256 hash;
    hash.update(as_bytes(label));
    hash.update(seed.view());
    return std::string{as_text(hash.finish())};
}

void open_first_admin(const FirstDoors& doors, const Config& config, Instant now) {
    if (has_admin(doors.writer)) return;
    std::vector<matching::Envelope> fee(1);
    fee[0].command = matching::SetFee{static_cast<int>(config.fee_basis_points), "first start"};
    const AccountId admin =
        open_admin(doors.writer, first_admin_name, config.admin_token_file, std::move(fee), now);
    open_login(doors, admin, first_admin_name, config.admin_login_file, now);
    log::info("first_start", {{"admin_token_file", config.admin_token_file},
                              {"admin_login_file", config.admin_login_file}});
}

void open_more_admins(const FirstDoors& doors, const Config& config, Instant now) {
    for (const std::string& name : config.more_admin_names()) {
        if (has_admin(doors.writer, name)) continue;
        const std::string file = config.admin_token_file + "." + name;
        const AccountId admin = open_admin(doors.writer, name, file, {}, now);
        open_login(doors, admin, name, config.admin_login_file + "." + name, now);
        log::info("admin_opened", {{"name", name}, {"admin_token_file", file}});
    }
}

void set_trust_rule(matching::Writer& writer, const Config& config, Instant now) {
    std::array<matching::Envelope, 1> envelopes;
    envelopes[0].command = matching::SetTrustRule{config.trust_rule(), "settings at start"};
    for (const matching::Answered& answered : writer.step(envelopes, now))
        if (!answered.reply)
            throw std::runtime_error("the rule of trust could not be set: " +
                                     answered.reply.error().detail);
}

}  // namespace cocoon::server
