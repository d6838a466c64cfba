#include "server/aci_desk.hpp"

#include <charconv>

#include "api/pages.hpp"
#include "core/log.hpp"
#include "sealing/receipt.hpp"
#include "sealing/statement.hpp"
#include "server/relay_frames.hpp"
#include "trust/aci_report.hpp"

namespace cocoon::server {
namespace {

// The nonce of the query: absent, or 64 lower-case hex digits (aci/1 §3.2 asks for 400 otherwise).
Result<std::optional<std::string>> nonce_of(const std::string& raw_query) {
    api::QueryReader query{raw_query};
    const auto nonce = query.maybe_text("nonce", {1, 256});
    if (const auto done = query.finish(); !done)
        return refuse(ErrorCode::malformed_request, "the only parameter is one nonce");
    if (nonce && !sealing::is_nonce(*nonce))
        return refuse(ErrorCode::malformed_request,
                      "the nonce must be 64 lower-case hex characters");
    return nonce;
}

std::optional<std::uint64_t> number_of(const std::string& text) {
    std::uint64_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

AciDesk::AciDesk(AciDeskDoors doors, AciDeskOptions options)
    : doors_{std::move(doors)},
      options_{options},
      nodes_{options_.per_node},
      addresses_{options_.per_address} {}

void AciDesk::ask(std::shared_ptr<Incoming> in, const std::string& node_text) {
    const auto node = NodeId::parse(node_text);
    const NodeEntry* entry = node ? doors_.directory.node(*node) : nullptr;
    if (entry == nullptr) return in->refuse(refuse(ErrorCode::not_found));
    auto nonce = nonce_of(in->request().query);
    if (!nonce) return in->refuse(nonce.error());
    if (entry->keyset_digest.empty() || !entry->connected)
        return in->refuse(refuse(ErrorCode::node_unavailable, "the node is not connected"));
    const Instant now = doors_.clock.now();
    if (!addresses_.take(address_bucket(in->address()), now).allowed ||
        !nodes_.take(node->value, now).allowed)
        return in->refuse(refuse(ErrorCode::rate_limited,
                                 "evidence costs the node work: ask again in some seconds"));
    if (asked_.contains(*node))
        return in->refuse(refuse(ErrorCode::rate_limited, "the node answers another question"));
    if (waiting_.size() >= options_.waiting_max) return in->refuse(refuse(ErrorCode::overloaded));
    const std::uint64_t ticket = next_ticket_++;
    if (!doors_.send(*node, aci_attest_message(ticket, *nonce)))
        return in->refuse(refuse(ErrorCode::node_unavailable, "the node is not connected"));
    asked_[*node] = ticket;
    Question question{in, *node, *std::move(nonce), entry->keyset_digest, {}};
    question.timer = doors_.loop.call_after(options_.patience, [this, id = *node, ticket] {
        if (const auto late = take(id, ticket))
            late->in->refuse(
                refuse(ErrorCode::deadline_exceeded, "the node has not answered in time"));
    });
    in->exchange().on_closed([this, id = *node, ticket] { take(id, ticket); });
    waiting_.emplace(ticket, std::move(question));
}

std::optional<AciDesk::Question> AciDesk::take(NodeId node, std::uint64_t ticket) {
    const auto found = waiting_.find(ticket);
    if (found == waiting_.end() || found->second.node != node) return std::nullopt;
    Question question = std::move(found->second);
    waiting_.erase(found);
    asked_.erase(node);
    question.timer.cancel();
    return question;
}

void AciDesk::answer(std::shared_ptr<Incoming> in, const std::string& node_text,
                     const std::string& ticket_text) {
    const auto node = NodeId::parse(node_text);
    const auto ticket = number_of(ticket_text);
    if (!node || in->principal().node != *node)
        return in->refuse(
            refuse(ErrorCode::forbidden, "only the node's own key may answer for it"));
    auto question = ticket ? take(*node, *ticket) : std::nullopt;
    if (!question)
        return in->refuse(refuse(ErrorCode::not_found, "nobody waits for this any more"));
    const auto shared = std::make_shared<Question>(*std::move(question));
    const bool taken = doors_.workers.submit([this, in, shared] {
        const std::string& report = in->request().body;
        const auto right = trust::check_aci_report(report, shared->keyset_digest, shared->nonce);
        if (!right) {
            in->refuse(right.error());
            return shared->in->refuse(
                refuse(ErrorCode::upstream_failed, "the node's answer: " + right.error().detail));
        }
        api::Response thanks;
        thanks.status = 204;
        in->respond(std::move(thanks));
        deliver(*shared, report);
    });
    if (taken) return;
    in->refuse(refuse(ErrorCode::overloaded));
    shared->in->refuse(refuse(ErrorCode::overloaded));
}

void AciDesk::deliver(const Question& question, std::string report) {
    doors_.metrics.aci_reports.add();
    api::Response response;
    response.headers = {{"X-ACI-Version", std::string{sealing::aci_version}},
                        {"X-ACI-Keyset-Digest", question.keyset_digest},
                        {"Cache-Control", "no-store"},
                        {"X-Content-Type-Options", "nosniff"}};
    response.body = std::move(report);
    question.in->respond(std::move(response));
}

void AciDesk::failed(NodeId node, std::uint64_t ticket, const std::string& why) {
    const auto question = take(node, ticket);
    if (!question) return;
    log::warning("aci_report_failed", {{"node", node.text()}, {"why", why}});
    question->in->refuse(
        refuse(ErrorCode::node_unavailable, "the node cannot make evidence now: " + why));
}

}  // namespace cocoon::server
